//! A node that has left its Galera cluster: it refuses each statement, and answers a ping.

use super::*;
use crate::failure::Fate;
use crate::link::Repeat;
use crate::pool::{Connections, Pools, Source};

#[tokio::test]
async fn connections_to_a_node_that_left_its_cluster_give_way_for_reading_and_for_writing() {
    let database = Database::new(Kind::MariaDb);
    // What a node says, said by a server of which some connections count as such.
    let refuses = "CREATE FUNCTION node() RETURNS BIGINT BEGIN \
                   IF @left_cluster THEN SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = 1047, \
                   MESSAGE_TEXT = 'WSREP has not yet prepared node for application use'; \
                   END IF; RETURN 1; END";
    database.sql(refuses).await;
    database.sql("CREATE TABLE {table} (a BIGINT)").await;
    let insert = format!("INSERT INTO `{}` VALUES (node())", database.table).into();
    for to_write in [false, true] {
        let opener = sqlx::mysql::MySqlPoolOptions::new().max_connections(8);
        let opener = opener.connect_lazy(&database.url).unwrap();
        let at_hand = Arc::new(AtHand::new(opener, Some(Suspicion::new())));
        let source = Source::Own(Arc::clone(&at_hand));
        let pools = Pools {
            database: crate::dialect::Database::MySql,
            readers: source.clone(),
            writers: source,
            place: None,
        };
        let write = async || {
            let written = pools.count(Repeat::OnlyIfUndone, &insert, &[]).await;
            written.map(|met| met.rows)
        };
        let read = async || pools.number(&"SELECT node()".into(), &[]).await;
        let mut held = Vec::new();
        for _ in 0..7 {
            held.push(take(&at_hand).await);
        }
        held.into_iter().for_each(put);
        demote(&at_hand, "SET @left_cluster = 1").await;
        // They have just been opened: another would lead to the same node.
        assert_eq!(read().await.unwrap_err().fate, Fate::Astray);
        assert_eq!(write().await.unwrap_err().fate, Fate::Astray);
        assert_eq!(at_hand.rest(), 7);
        for taken in &mut at_hand.resting().connections {
            taken.opened_at -= ASTRAY_AFTER;
        }
        if to_write {
            assert_eq!(write().await.unwrap(), 1);
        } else {
            assert_eq!(read().await.unwrap(), Some(1));
        }
        assert_eq!(at_hand.rest(), 1, "the new one");
    }
    assert_eq!(database.sql("SELECT COUNT(*) FROM {table}").await, "1");
    database.sql("DROP FUNCTION node").await;
}
