//! The owner index.

use std::fs;

use session_core::{Created, Only, Owner, Store, Written};
use session_fs::{Durability, FsConfig, FsStore};

use crate::{files, folder, hex, id, next, owned, path_of, record};

#[tokio::test]
async fn the_index_follows_the_record_from_owner_to_owner_and_to_none() {
    for durability in [Durability::Os, Durability::Disk] {
        let dir = tempfile::tempdir().unwrap();
        let config = FsConfig::new(dir.path()).durability(durability);
        let store = FsStore::with_config(config).unwrap();
        let ada = Owner::new("ada").unwrap();
        let bob = Owner::new("../bob/\u{e9}").unwrap();
        let mut record = owned("ada");
        assert_eq!(store.create(&id(1), &record).await.unwrap(), Created::Done);
        assert_eq!(
            store.create(&id(2), &owned("ada")).await.unwrap(),
            Created::Done
        );
        for owner in [Some(bob.clone()), Some(ada.clone()), None] {
            let expected = record.version;
            record = next(&record, "x");
            record.owner = owner.clone();
            assert_eq!(
                store.update(&id(1), &record, expected).await.unwrap(),
                Written::Done
            );
            let mut adas = store.owned_by(&ada).await.unwrap();
            adas.sort();
            let both = [id(1), id(2)];
            let of_ada = owner.as_ref() == Some(&ada);
            assert_eq!(adas, if of_ada { &both[..] } else { &both[1..] });
            let of_bob = owner.as_ref() == Some(&bob);
            assert_eq!(
                store.owned_by(&bob).await.unwrap(),
                &both[..usize::from(of_bob)]
            );
        }
        for number in [1, 2] {
            assert_eq!(
                store.delete(&id(number), Only::Any).await.unwrap(),
                Written::Done
            );
        }
        assert!(files(dir.path()).is_empty());
        for shard in fs::read_dir(dir.path().join("owners")).unwrap() {
            let mut folders = fs::read_dir(shard.unwrap().path()).unwrap();
            assert!(folders.next().is_none(), "an empty owner's folder stays");
        }
    }
}

#[tokio::test]
async fn a_marker_without_its_record_is_dropped_and_leaves_nothing() {
    let (dir, store) = folder();
    let ada = Owner::new("ada").unwrap();
    assert_eq!(
        store.create(&id(1), &owned("ada")).await.unwrap(),
        Created::Done
    );
    assert_eq!(
        store.create(&id(2), &owned("bob")).await.unwrap(),
        Created::Done
    );
    let marker = |number| format!("{}.session", hex(&id(number)));
    let adas = files(&dir.path().join("owners"))
        .into_iter()
        .find(|file| file.ends_with(marker(1)))
        .unwrap();
    // A process was killed after it had written these markers: of a session that was never
    // created, and of one that stayed with its owner.
    for number in [2, 3] {
        fs::write(adas.with_file_name(marker(number)), "").unwrap();
    }
    assert_eq!(store.owned_by(&ada).await.unwrap(), [id(1)]);
    assert_eq!(files(adas.parent().unwrap()), [adas]);
    assert!(!path_of(dir.path(), &id(3)).exists());
    assert_eq!(
        store.owned_by(&Owner::new("bob").unwrap()).await.unwrap(),
        [id(2)]
    );
}

/// Its creator has the lock, has written the marker, and has not yet written the record.
#[tokio::test]
async fn the_marker_of_a_session_that_is_just_being_created_is_kept() {
    let (dir, store) = folder();
    let ada = Owner::new("ada").unwrap();
    let created = store.create(&id(1), &owned("ada")).await.unwrap();
    assert_eq!(created, Created::Done);
    let all = files(dir.path());
    let path = path_of(dir.path(), &id(1));
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.lock().unwrap();
    file.set_len(0).unwrap();
    assert_eq!(store.owned_by(&ada).await.unwrap(), [id(1)]);
    assert_eq!(files(dir.path()), all);
    // And dies.
    file.unlock().unwrap();
    assert_eq!(store.owned_by(&ada).await.unwrap(), []);
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn an_unreadable_session_stays_in_its_owners_list() {
    let (dir, store) = folder();
    let ada = Owner::new("ada").unwrap();
    assert_eq!(
        store.create(&id(1), &owned("ada")).await.unwrap(),
        Created::Done
    );
    fs::write(path_of(dir.path(), &id(1)), "damaged").unwrap();
    assert_eq!(store.owned_by(&ada).await.unwrap(), [id(1)]);
    assert_eq!(
        store.delete(&id(1), Only::Any).await.unwrap(),
        Written::Done
    );
    assert_eq!(store.owned_by(&ada).await.unwrap(), []);
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn a_session_without_an_owner_is_in_no_list() {
    let (dir, store) = folder();
    assert_eq!(
        store.create(&id(1), &record()).await.unwrap(),
        Created::Done
    );
    assert_eq!(
        store.owned_by(&Owner::new("ada").unwrap()).await.unwrap(),
        []
    );
    assert_eq!(files(dir.path()), [path_of(dir.path(), &id(1))]);
}

#[tokio::test]
async fn the_index_is_written_before_the_record_and_removed_after_it() {
    let (dir, store) = folder();
    let (ada, bob) = (owned("ada"), owned("bob"));
    assert_eq!(store.create(&id(1), &ada).await.unwrap(), Created::Done);
    let owners = dir.path().join("owners");
    let adas = fs::read_dir(&owners)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();

    // Where the folders of all other owners would be, something else is.
    let folders = || (0..=u8::MAX).map(|first| owners.join(format!("{first:02x}")));
    for folder in folders().filter(|folder| *folder != adas) {
        fs::write(folder, "").unwrap();
    }
    assert!(store.create(&id(2), &bob).await.is_err());
    assert_eq!(store.load(&id(2)).await.unwrap(), None);
    let mut update = next(&ada, "x");
    update.owner = bob.owner;
    assert!(store.update(&id(1), &update, ada.version).await.is_err());
    assert_eq!(store.load(&id(1)).await.unwrap().as_ref(), Some(&ada));
    for folder in folders().filter(|folder| *folder != adas) {
        fs::remove_file(folder).unwrap();
    }

    // The marker to be removed cannot be reached.
    let away = dir.path().join("away");
    fs::rename(&adas, &away).unwrap();
    fs::write(&adas, "").unwrap();
    assert!(store.update(&id(1), &update, ada.version).await.is_err());
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(update));
    fs::remove_file(&adas).unwrap();
    fs::rename(&away, &adas).unwrap();
    assert_eq!(store.owned_by(&ada.owner.unwrap()).await.unwrap(), []);
}
