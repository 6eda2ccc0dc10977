//! A question that any of several servers can answer, some of which may be silent.
//!
//! Asked one after the other, a few silent ones would use up the time of a request; asked all at
//! once each time, servers that are well would answer a question for each of them. So one is
//! asked, and if it does not know, or not soon, all the others at once.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

/// The first good answer, or all that came and were not good, in the order they came. With it
/// end the questions that have no answer yet.
///
/// `turn` says who is asked first: another one each time, as one may hang or know only the past.
/// `connect` is the time for a connection; the question gets a third of it, and leaves the rest
/// for the server that the answer names.
pub(super) async fn first_good<'a, S, F, T, E>(
    servers: &'a [S],
    turn: usize,
    connect: Duration,
    question: impl Fn(&'a S) -> F,
) -> Result<T, Vec<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let (later, now) = servers.split_at(turn % servers.len().max(1));
    let mut servers = now.iter().chain(later);
    let mut asked: FuturesUnordered<F> = servers.next().map(&question).into_iter().collect();
    let mut failures = Vec::new();
    let asking = async {
        match timeout(connect / 15, asked.next()).await {
            Ok(Some(Ok(answer))) => return Some(answer),
            Ok(Some(Err(failure))) => failures.push(failure),
            Ok(None) | Err(_) => {}
        }
        asked.extend(servers.map(&question));
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(answer) => return Some(answer),
                Err(failure) => failures.push(failure),
            }
        }
        None
    };
    let answer = timeout(connect / 3, asking).await.ok().flatten();
    answer.ok_or(failures)
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Mutex;

    use super::*;

    /// Who is not silent answers at once, so it may be short.
    const CONNECT: Duration = Duration::from_millis(600);

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Is {
        Good,
        Wrong,
        Silent,
    }
    use Is::{Good, Silent, Wrong};

    /// Who answered, or those whose answers were not good; and who was asked.
    async fn ask(servers: &[Is], turn: usize) -> (Result<usize, Vec<usize>>, Vec<usize>) {
        let asked = Mutex::new(Vec::new());
        let servers: Vec<_> = servers.iter().copied().enumerate().collect();
        let question = async |&(at, is): &(usize, Is)| {
            asked.lock().unwrap().push(at);
            match is {
                Good => Ok(at),
                Wrong => Err(at),
                Silent => pending().await,
            }
        };
        let answer = first_good(&servers, turn, CONNECT, question).await;
        (answer, asked.into_inner().unwrap())
    }

    #[tokio::test]
    async fn of_servers_that_are_well_one_is_asked() {
        for (turn, first) in [(0, 0), (1, 1), (2, 2), (3, 0), (usize::MAX, 0)] {
            let answer = ask(&[Good, Good, Good], turn).await;
            assert_eq!(answer, (Ok(first), vec![first]), "{turn}");
        }
    }

    #[tokio::test]
    async fn after_a_wrong_answer_all_others_are_asked_at_once() {
        let answer = ask(&[Wrong, Silent, Silent, Wrong, Good], 0).await;
        assert_eq!(answer, (Ok(4), vec![0, 1, 2, 3, 4]));
    }

    #[tokio::test]
    async fn after_a_silence_all_others_are_asked_at_once() {
        let answer = ask(&[Good, Silent, Silent, Silent], 1).await;
        assert_eq!(answer, (Ok(0), vec![1, 2, 3, 0]));
    }

    #[tokio::test]
    async fn without_a_good_answer_those_that_came_are_told() {
        let answer = ask(&[Wrong, Silent, Wrong], 0).await;
        assert_eq!(answer, (Err(vec![0, 2]), vec![0, 1, 2]));
        assert_eq!(ask(&[Silent], 0).await, (Err(vec![]), vec![0]));
        assert_eq!(ask(&[], 5).await, (Err(vec![]), vec![]));
    }
}
