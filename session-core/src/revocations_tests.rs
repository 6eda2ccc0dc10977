use super::*;
use crate::memory::MemoryStore;

fn builder() -> crate::SessionConfigBuilder {
    SessionConfig::builder().secret_key(KeyRing::new(b"0123456789abcdef0123456789abcdef").unwrap())
}

#[test]
fn what_could_never_be_forgotten_is_refused() {
    let day = Duration::from_secs(24 * 60 * 60);
    for (config, part) in [
        (SessionConfig::builder(), "secret_key"),
        (builder().ignore_expiry(true), "ignore_expiry"),
        (builder().timeout(401 * day), "400 days"),
    ] {
        let config = config.build().unwrap();
        let made = SessionManager::sealed_with_revocations(config, MemoryStore::new());
        let error = made.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(part), "{error}");
    }
    let config = builder().timeout(400 * day).build().unwrap();
    SessionManager::sealed_with_revocations(config, MemoryStore::new()).unwrap();
}

#[test]
fn an_owners_record_has_an_id_that_only_the_keys_give_away() {
    let revocations = |name: &str, ring: &KeyRing| {
        let config = builder().cookie_name(name).build().unwrap();
        Revocations::new(MemoryStore::new().into_store(), ring, Arc::new(config))
    };
    let older = b"fedcba9876543210fedcba9876543210";
    let ring = KeyRing::new(older).unwrap();
    let two = KeyRing::generate().unwrap().and_older(older).unwrap();
    let (ada, bob) = (Owner::new("ada").unwrap(), Owner::new("bob").unwrap());
    let ids = revocations("sid", &ring).ids(&ada);
    assert_eq!(ids, revocations("sid", &ring).ids(&ada), "on every node");
    assert_ne!(ids, revocations("sid", &ring).ids(&bob));
    assert_ne!(ids, revocations("other", &ring).ids(&ada));
    assert_eq!(revocations("sid", &two).ids(&ada)[1..], ids);
}
