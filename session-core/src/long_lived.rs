//! What a handler needs that outlives its response: when the session ends, and staying alive.

use std::pin::pin;
use std::time::Duration;

use crate::commit::{head_sent, refused};
use crate::error::{Error, ErrorKind};
use crate::id::{SessionId, Token};
use crate::plan::{CookieMove, Refusal, Standing, is_expired, still_admits};
use crate::record::Record;
use crate::session::Session;
use crate::state::needs_touch;
use crate::store::{Touch, Written};
use crate::sweeper::with_jitter;

/// What a handle's session has come to, as far as the handle knows.
enum Known {
    /// It may still begin: the response head has not left.
    NotBegun,
    Live(SessionId),
    Over,
    /// It could not be read when the handle was made.
    Unreadable,
}

impl Session {
    /// Resolves when the session has ended: revoked, destroyed, signed out, expired, or renewed by
    /// another request's `login` or `renew`, after which this handle can write nothing more.
    ///
    /// It looks in the store about every `every`, which varies by a fifth and is at least 100
    /// milliseconds, when the session is due to expire, and at once when this process's
    /// [`SessionManager`](crate::SessionManager) ends it. Looking does not extend the session's
    /// life; [`touch`](Self::touch) does. Where nothing is stored it waits for the session to
    /// begin as long as the response head has not left, and afterwards resolves at once. An end that
    /// this handle was asked for after the head, by [`logout`](Self::logout) say, it carries out.
    ///
    /// A WebSocket or an event stream keeps its session for hours. It should close when the session
    /// ends, wherever that happens, and its traffic should count as use. This may be dropped and called
    /// again at any time, so it has its place in `tokio::select!`:
    ///
    /// ```
    /// use session_core::{Error, Session};
    /// use std::time::Duration;
    ///
    /// # struct Socket;
    /// # impl Socket {
    /// #     async fn next(&mut self) -> Option<String> { None }
    /// #     async fn close(self, _why: &str) {}
    /// # }
    /// async fn serve(session: Session, mut socket: Socket) -> Result<(), Error> {
    ///     loop {
    ///         tokio::select! {
    ///             ended = session.ended(Duration::from_secs(30)) => match ended {
    ///                 Ok(()) => {
    ///                     socket.close("signed out").await;
    ///                     return Ok(());
    ///                 }
    ///                 // The store could not be asked: go on and look again, or close here.
    ///                 Err(error) => {
    ///                     eprintln!("{error}");
    ///                     tokio::time::sleep(Duration::from_secs(5)).await;
    ///                 }
    ///             },
    ///             message = socket.next() => match message {
    ///                 // Written down at most once in a touch interval, so call it at will.
    ///                 Some(_message) => session.touch().await?,
    ///                 None => return Ok(()),
    ///             },
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// Each call looks first. Where events come faster than a look is worth, keep one call over
    /// the turns of the loop: `let mut ended = std::pin::pin!(session.ended(every))`, and
    /// `&mut ended` in its branch.
    ///
    /// A session sealed in its cookie cannot be ended from outside, so this waits for its expiry;
    /// where a store remembers which of them have ended, it is asked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store could not be asked, so
    /// whether the session has ended is not known. Close, or call again after a pause.
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt),
    /// [`ErrorKind::NewerFormat`](crate::ErrorKind::NewerFormat): the record cannot be read.
    /// [`ErrorKind::HeadSent`](crate::ErrorKind::HeadSent): an end was asked for after the head, and
    /// only the cookie could end the session, which is sealed in it.
    ///
    /// # Cost
    ///
    /// One load now and one every `every`.
    pub async fn ended(&self, every: Duration) -> Result<(), Error> {
        const OPERATION: &str = "looking whether the session has ended";
        let manager = self.manager();
        let every = every.max(SHORTEST);
        let number = self.state().number_of_the_living();
        let id = loop {
            if self.is_ended_after_head(OPERATION).await? {
                return Ok(());
            }
            match self.known(number) {
                Known::Live(id) => break id,
                Known::Over => return Ok(()),
                Known::Unreadable => return Err(refused(OPERATION, Refusal::Unavailable)),
                Known::NotBegun => tokio::time::sleep(with_jitter(every)).await,
            }
        };
        let place = manager.endings().enter(id);
        loop {
            let mut told = pin!(place.told());
            // From here on no end is missed, and then comes the look.
            told.as_mut().enable();
            if self.is_ended_after_head(OPERATION).await? {
                return Ok(());
            }
            let Some(record) = manager.load(OPERATION, &id, &manager.deadline()).await? else {
                return Ok(());
            };
            if !self.is_still_in(number, &record) {
                return Ok(());
            }
            if let Some(sealed) = manager.sealed_by() {
                let deadline = &manager.deadline();
                match sealed.check_again(OPERATION, &id, &record, deadline).await {
                    Err(error) if error.kind() == ErrorKind::Gone => return Ok(()),
                    answer => answer?,
                }
            }
            let mut pause = with_jitter(every);
            if !manager.config().options.ignore_expiry
                && let Some(end) = record.expires_at()
            {
                let left = end.since(manager.now());
                // What is shown may be older than what the handle knows, and over by itself.
                if !left.is_zero() {
                    pause = pause.min(left);
                }
            }
            // Told or not, there is another look.
            let _ = tokio::time::timeout(pause, told).await;
        }
    }

    /// Writes down that the session is in use, now, so that it does not expire under an open
    /// connection; at most once in a touch interval (rule T4).
    ///
    /// For handlers that outlive their response; a request's end does it by itself. No cookie can be
    /// sent after the response head, so where it is a persistent one, up to two intervals are left
    /// to requests, whose end sends it again. Where nothing is stored it does nothing. Within the
    /// touch interval it asks no store, so it does not notice that the session has ended;
    /// [`ended`](Self::ended) does, and shows both at work.
    ///
    /// A session sealed in its cookie lives as long as the cookie says: it is touched before the
    /// response head leaves, or not at all.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone): the session has ended, changed hands, or its
    /// secret was replaced. [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable), whatever
    /// `on_touch_outage` says. [`ErrorKind::HeadSent`](crate::ErrorKind::HeadSent): the session is
    /// sealed in a cookie and the response head has left.
    ///
    /// # Cost
    ///
    /// One load and one touch in a touch interval, or an update where the configuration has come to
    /// give the session other limits; if others have touched it meanwhile, one load.
    pub async fn touch(&self) -> Result<(), Error> {
        const OPERATION: &str = "touching the session";
        let manager = self.manager();
        let (number, id, base, in_doubt, after_head) = {
            let state = self.state();
            let life = &state.life;
            let (id, base) = match (life.standing, &life.token, &life.base) {
                (Standing::Live, Some(token), Some(base)) => (token.id(), base),
                (Standing::New, ..) => return Ok(()),
                (Standing::Detached, ..) => return Err(refused(OPERATION, Refusal::Unavailable)),
                _ => return Err(Error::gone(OPERATION)),
            };
            if !needs_touch(base, manager.now(), state.head_sent, manager) {
                return Ok(());
            }
            if state.sealed && state.head_sent {
                return Err(head_sent(OPERATION));
            }
            let in_doubt = !life.doubts.is_empty();
            (life.number, id, base.clone(), in_doubt, state.head_sent)
        };
        let deadline = &manager.deadline();
        // A touch revives what has expired, so it comes after a look (rule E2). The handle's own
        // record may be hours old.
        let record = self.reread(OPERATION, &id, &base, deadline).await?;
        let now = manager.now();
        let due = needs_touch(&record, now, after_head, manager);
        let touch = Touch {
            generation: record.generation,
            accessed_at: if due { now } else { record.accessed_at },
        };
        let mut replaced = None;
        if due {
            // What a write in doubt is to replace must stay, or nobody can tell what became of it.
            let replaceable = (!in_doubt).then_some(&*record);
            let noted = manager.note_access(OPERATION, &id, replaceable, &touch, deadline);
            let (written, by) = noted.await?;
            if written != Written::Done {
                return Err(self.gone(OPERATION, Some(&record)));
            }
            replaced = by;
        }
        let mut state = self.state();
        if state.life.number == number {
            state.life.accessed(record.version, &touch, replaced);
            // The end of the request sends the cookie again.
            state.life.due.slides |= due;
            if state.sealed {
                state.note(CookieMove::Set);
            }
        }
        Ok(())
    }

    /// Carries out what the handle was asked to end after the head; whether the session is over.
    async fn is_ended_after_head(&self, operation: &'static str) -> Result<bool, Error> {
        match self.end_after_head(operation).await {
            // Renewed or ended by another meanwhile.
            Err(error) if error.kind() == ErrorKind::Gone => Ok(true),
            is_over => is_over,
        }
    }

    fn known(&self, number: u32) -> Known {
        let mut state = self.state();
        let head_sent = state.head_sent;
        let Some(life) = state.life_mut(number) else {
            return Known::Over;
        };
        match life.standing {
            Standing::Live => match life.token.as_ref().map(Token::id) {
                Some(id) => Known::Live(id),
                None => Known::Over,
            },
            Standing::New if head_sent => Known::Over,
            Standing::New => Known::NotBegun,
            Standing::Superseded => Known::Over,
            Standing::Detached => Known::Unreadable,
        }
    }

    /// Whether the handle may still act on its session, of which `record` is stored.
    fn is_still_in(&self, number: u32, record: &Record) -> bool {
        let manager = self.manager();
        let mut state = self.state();
        let address = state.visitor.address;
        let Some(life) = state.life_mut(number) else {
            return false;
        };
        let Some(base) = &life.base else {
            return false;
        };
        let (now, config) = (manager.now(), manager.config());
        let mut doubts = life.doubts.iter();
        // A login or renewal of this very handle changes what the handle was let in to: one that
        // it has written and not yet noted, or noted and not yet been shown. Time ends both.
        if doubts.any(|doubt| doubt.version == record.version) {
            return !is_expired(record, now, config);
        }
        if record.version.counter() < base.version.counter() {
            return !is_expired(base, now, config);
        }
        still_admits(record, base, address, now, config)
    }
}

/// However often a look is asked for, it leaves the store some time for others.
const SHORTEST: Duration = Duration::from_millis(100);

#[cfg(all(test, feature = "sealed"))]
mod tests {
    use std::net::IpAddr;

    use tokio::time::timeout;

    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::config::SessionConfig;
    use crate::error::ErrorKind;
    use crate::http::{Exchange, Finish, RequestHead};
    use crate::keys::KeyRing;
    use crate::manager::SessionManager;

    struct NoHead;

    impl RequestHead for NoHead {
        fn each_header<'a>(&'a self, _: &str, _: &mut dyn FnMut(&'a [u8])) {}

        fn peer(&self) -> Option<IpAddr> {
            None
        }
    }

    #[tokio::test(start_paused = true)]
    async fn t7_a_sealed_session_ends_when_it_expires_and_is_touched_before_the_head() {
        let hands = ManualClock::at_unix_ms(1_764_000_000_000);
        let config = SessionConfig::builder()
            .clock(Clock::manual(&hands))
            .timeout(Duration::from_secs(600))
            .secret_key(KeyRing::generate().unwrap());
        let manager = SessionManager::sealed(config.build().unwrap()).unwrap();
        let exchange = Exchange::begin(&manager, "POST");
        let session = exchange.session(&NoHead).await.unwrap();
        session.insert("a", 1).unwrap();
        session.save().await.unwrap();
        hands.advance(Duration::from_secs(100));
        session.touch().await.unwrap();
        assert_eq!(session.accessed_at(), Some(manager.now()));
        let Finish::Done(finished) = exchange.finish(200) else {
            panic!("it is stored already");
        };
        assert!(format!("{finished:?}").contains("token: true"));
        hands.advance(Duration::from_secs(500));
        let refused = session.touch().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::HeadSent);
        let every = Duration::from_secs(5);
        let hour = Duration::from_secs(3_600);
        assert!(timeout(hour, session.ended(every)).await.is_err());
        hands.advance(Duration::from_secs(100));
        session.ended(every).await.unwrap();
    }
}
