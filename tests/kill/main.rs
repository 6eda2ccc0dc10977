//! F4: what was acknowledged survives `kill -9` of the application under load, twenty times.

mod application;
mod client;
mod hasty;
mod ledger;
mod parent;

macro_rules! survives_kills {
    ($store:ident, $url:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $store() {
            let (url, _kept) = $url;
            if let Err(broken) = crate::parent::kill_again_and_again(&url, false).await {
                panic!("{broken}");
            }
        }
    };
}

survives_kills!(
    f4_what_files_acknowledged_survives_a_kill_under_load,
    crate::in_a_folder("file:", "")
);
survives_kills!(
    f4_what_sled_acknowledged_survives_a_kill_under_load,
    crate::in_a_folder("shelf:", "sled")
);
survives_kills!(
    f4_what_redb_acknowledged_survives_a_kill_under_load,
    crate::in_a_folder("redb:", "sessions.redb")
);
survives_kills!(
    f4_what_sqlite_acknowledged_survives_a_kill_under_load,
    crate::in_a_folder("sqlite:", "sessions.sqlite")
);

/// The check itself: a store that answers before it has written is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f4_a_store_that_acknowledges_too_early_is_found_out() {
    let (url, _kept) = in_a_folder("file:", "");
    let broken = parent::kill_again_and_again(&url, true).await;
    let broken = broken.expect_err("a kill loses what waits in memory");
    assert!(broken.contains("acknowledged"), "{broken}");
}

/// The URL of a store in a folder of its own, and the folder, which is to be kept.
fn in_a_folder(scheme: &str, file: &str) -> (String, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(file);
    (format!("{scheme}{}", path.display()), dir)
}
