//! One test for each database.

/// The same tests for each database.
macro_rules! in_every_database {
    ($($(#[$attribute:meta])* async fn $name:ident($database:ident: Database) $body:block)*) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(crate::database::Database::new(crate::database::Kind::Sqlite)).await; }
        )* }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(crate::database::Database::new(crate::database::Kind::Postgres)).await; }
        )* }
        mod mariadb { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(crate::database::Database::new(crate::database::Kind::MariaDb)).await; }
        )* }
        $($(#[$attribute])* async fn $name($database: crate::database::Database) $body)*
    };
}
