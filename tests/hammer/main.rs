//! C2 over real stores: many requests at once, on many threads, nodes and processes, lose
//! nothing.

mod load;
mod nodes;
mod processes;
mod servers;

/// Hammers a store of which each process has one opening: two nodes share it.
macro_rules! in_one_process {
    ($store:ident, $url:expr) => {
        mod $store {
            use crate::load;
            use crate::nodes::Nodes;

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn c2_sixty_four_tasks_add_to_exactly_6_400() {
                let (url, _kept) = $url;
                load::sixty_four_tasks_add(&Nodes::of_one_opening(&url).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn c2_two_hundred_writers_of_different_keys_all_survive() {
                let (url, _kept) = $url;
                load::two_hundred_writers(&Nodes::of_one_opening(&url).await).await;
            }
        }
    };
}

/// Hammers a store that many processes share: by two nodes with an opening each, and by two
/// processes.
macro_rules! in_two_processes {
    ($store:ident, $url:expr) => {
        mod $store {
            use crate::nodes::Nodes;
            use crate::{load, processes};

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn c2_sixty_four_tasks_add_to_exactly_6_400() {
                let (url, _kept) = $url;
                load::sixty_four_tasks_add(&Nodes::of_two_openings(&url).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn c2_two_hundred_writers_of_different_keys_all_survive() {
                let (url, _kept) = $url;
                load::two_hundred_writers(&Nodes::of_two_openings(&url).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn c2_two_processes_add_to_exactly_6_400() {
                let (url, _kept) = $url;
                processes::two_processes_add(&url).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn c2_two_hundred_writers_in_two_processes_all_survive() {
                let (url, _kept) = $url;
                processes::two_hundred_writers(&url).await;
            }
        }
    };
}

in_one_process!(memory, ("memory:".to_owned(), ()));
in_one_process!(sled, crate::in_a_folder("shelf:", "sled"));
in_one_process!(redb, crate::in_a_folder("redb:", "sessions.redb"));
in_two_processes!(files, crate::in_a_folder("file:", ""));
in_two_processes!(sqlite, crate::in_a_folder("sqlite:", "sessions.sqlite"));
in_two_processes!(postgres, crate::servers::postgres());
in_two_processes!(mariadb, crate::servers::mariadb());
in_two_processes!(redis, crate::servers::redis());
in_two_processes!(redis_cluster, crate::servers::redis_cluster());

/// The URL of a store in a folder of its own, and the folder, which is to be kept.
fn in_a_folder(scheme: &str, file: &str) -> (String, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(file);
    (format!("{scheme}{}", path.display()), dir)
}
