//! Sessions from outside of a request: an admin page's, a job's.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::event::{EventKind, Revocation};
use crate::id::{Secret, SessionId, Token};
use crate::manager::{SessionInfo, SessionManager};
use crate::operations::Draft;
use crate::plan::{Standing, is_expired};
use crate::record::Record;
use crate::session::Session;
use crate::state::{Life, State};
use crate::store::{Cursor, Only, Written};
use crate::visitor::{Agent, Visitor};

impl SessionManager {
    /// A handle on the live session `id`, for code that runs outside of a request; `None` if there
    /// is none, or it has expired.
    ///
    /// **No request ends here that would save**: what is changed on the handle is forgotten unless
    /// [`save`](Session::save) is called; [`transact`](Session::transact) stores by itself.
    ///
    /// The handle reads, writes and [reloads](Session::reload) under the same rules as a request's:
    /// nothing is lost to requests that run meanwhile, and nothing brings a session back. It acts on
    /// the session as it was opened: after a `login` or `renew` of the client it gets
    /// [`Gone`](ErrorKind::Gone); open it again. It does not count as use: the session
    /// expires as if it had not been there, unless [`touch`](Session::touch) is called.
    ///
    /// No cookie comes of it, so what needs one ([`renew`](Session::renew),
    /// [`login`](Session::login)) makes the next save [`HeadSent`](ErrorKind::HeadSent). To end the
    /// session, call [`revoke`](Self::revoke), or [`destroy`](Session::destroy) and then `save`.
    ///
    /// ```
    /// use session_core::{Error, SessionId, SessionManager};
    ///
    /// async fn grant(sessions: &SessionManager, id: &SessionId) -> Result<bool, Error> {
    ///     let Some(session) = sessions.open(id).await? else {
    ///         return Ok(false);
    ///     };
    ///     session.transact(|draft| draft.insert("plan", "gold")).await?;
    ///     Ok(true)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]. [`ErrorKind::Corrupt`], [`ErrorKind::NewerFormat`]: there is a
    /// record and it cannot be read. [`ErrorKind::Unsupported`]: the sessions are sealed in their
    /// cookies.
    pub async fn open(&self, id: &SessionId) -> Result<Option<Session>, Error> {
        let Some(record) = self.live("opening a session", id).await? else {
            return Ok(None);
        };
        let visitor = Visitor {
            // Whoever administers a session need not come from where it is bound to.
            address: record.address,
            agent: record.agent.clone().map(Agent::Known),
            is_counted: true,
        };
        let mut life = Life::new(0, Draft::new(record.data.clone(), record.own.clone()));
        life.standing = Standing::Live;
        // A secret that opens nothing, and that nobody can guess: a CSRF seed may follow from it.
        life.token = Some(Token::new(*id, Secret::random()?));
        life.base = Some(record);
        let mut state = State::new(life, false);
        state.visitor = visitor;
        state.end_head();
        state.keep_expiry = true;
        Ok(Some(Session::new(self.clone(), state)))
    }

    /// What a device list shows of the live session `id`; `None` if there is none, or it has
    /// expired.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn find(&self, id: &SessionId) -> Result<Option<SessionInfo>, Error> {
        let record = self.live("looking a session up", id).await?;
        Ok(record.map(|record| SessionInfo::of(*id, &record)))
    }

    /// Ends every session of the store, whoever's it is; returns how many ended.
    ///
    /// For when a secret key or a backup has leaked, or the meaning of what is stored changes.
    /// Every session that began before the call ends, undecodable records included. It scans the
    /// store in batches and looks once more when it is through; sessions that begin meanwhile
    /// may end or stay.
    ///
    /// Everything in the store ends. If other applications share the backend, give each a prefix,
    /// table or directory of its own first.
    ///
    /// ```
    /// # use session_core::{Error, SessionManager};
    /// async fn sign_everybody_out(sessions: &SessionManager) -> Result<(), Error> {
    ///     let ended = sessions.revoke_all().await?;
    ///     println!("{ended} sessions ended");
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: some sessions may remain; call again. What cannot be ended keeps
    /// no other alive, unless the store fails ten times. A scan that fails, as while a cluster's slots
    /// are moved, is begun again; five in a row that ended nothing are an error.
    /// [`ErrorKind::Contended`]: sessions from before the call kept turning up.
    /// [`ErrorKind::Unsupported`]: the sessions are sealed in their cookies; take their key out of
    /// the ring.
    ///
    /// # Cost
    ///
    /// One deletion a session, two scans, and a load of each session that begins meanwhile; after a scan
    /// that failed, a load of each that is still there.
    pub async fn revoke_all(&self) -> Result<u64, Error> {
        const OPERATION: &str = "revoking every session";
        let (now, clock_skew) = (self.now(), self.config().options.clock_skew);
        let mut ended = 0;
        // The first time, all there is: a scan lists whatever is there throughout.
        let mut begun_by = None;
        let (mut passes, mut in_vain) = (0, 0);
        while passes < PASSES_MAX {
            let ended_before = ended;
            let broken_off = self.end_listed(OPERATION, begun_by, &mut ended).await?;
            let found = ended > ended_before;
            begun_by = match &broken_off {
                // What a node whose clock is behind begins meanwhile must not look like something
                // missed.
                None => Some(now.before(clock_skew)),
                // Some were not listed yet, which a node whose clock is ahead may have begun. They become
                // fewer: those that begin later are none of them.
                Some(_) => begun_by.or(Some(now.after(clock_skew))),
            };
            match broken_off {
                None if !found => return Ok(ended),
                None => passes += 1,
                // As while a cluster's slots are moved.
                Some(_) if found => (passes, in_vain) = (passes + 1, 0),
                Some(error) => {
                    in_vain += 1;
                    if in_vain == SCANS_IN_VAIN_MAX || error.kind() != ErrorKind::Unavailable {
                        return Err(error);
                    }
                }
            }
        }
        Err(Error::new(
            ErrorKind::Contended,
            format!("{OPERATION} failed: sessions from before kept turning up"),
        ))
    }

    /// Ends what a scan lists, and began until `begun_by` where that is given; what the scan failed with,
    /// if it came to no end.
    async fn end_listed(
        &self,
        operation: &'static str,
        begun_by: Option<Timestamp>,
        ended: &mut u64,
    ) -> Result<Option<Error>, Error> {
        let mut failures = Vec::new();
        let mut cursor = Some(Cursor::start());
        let mut broken_off = None;
        while let Some(at) = cursor.take() {
            let page = match self.scan(at, BATCH).await {
                Ok(page) => page,
                Err(error) => {
                    broken_off = Some(error);
                    break;
                }
            };
            for id in page.ids {
                match self.end_listed_one(operation, &id, begun_by).await {
                    Ok(Written::Done) => {
                        let kind = EventKind::Revoked(Revocation::All);
                        self.tell(kind, Some(id), None, None);
                        *ended += 1;
                    }
                    Ok(_) => {}
                    Err(error) => failures.push(error),
                }
                if failures.len() >= FAILURES_MAX {
                    break;
                }
            }
            cursor = page.next.filter(|_| failures.len() < FAILURES_MAX);
            tokio::task::yield_now().await;
        }
        failures.pop().map_or(Ok(broken_off), Err)
    }

    async fn end_listed_one(
        &self,
        operation: &'static str,
        id: &SessionId,
        begun_by: Option<Timestamp>,
    ) -> Result<Written, Error> {
        if let Some(begun_by) = begun_by
            && !self.is_from_before(operation, id, begun_by).await?
        {
            return Ok(Written::Conflict);
        }
        self.delete(operation, id, Only::Any, &self.deadline())
            .await
    }

    /// Whether what is under `id` began at or before `before`, or cannot be read.
    async fn is_from_before(
        &self,
        operation: &'static str,
        id: &SessionId,
        before: Timestamp,
    ) -> Result<bool, Error> {
        match self.load(operation, id, &self.deadline()).await {
            Ok(record) => Ok(record.is_some_and(|record| record.created_at <= before)),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NewerFormat) => {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    async fn live(
        &self,
        operation: &'static str,
        id: &SessionId,
    ) -> Result<Option<Arc<Record>>, Error> {
        let record = self.load(operation, id, &self.deadline()).await?;
        Ok(record.filter(|record| !is_expired(record, self.now(), self.config())))
    }
}

/// Ids listed by one call to the store.
const BATCH: usize = 1_000;
/// How often the store is scanned before it counts as one that never empties.
const PASSES_MAX: usize = 100;
/// So many scans in a row may fail without a session ended before the store counts as down.
const SCANS_IN_VAIN_MAX: u32 = 5;
/// So many deletions may fail before the store counts as down.
const FAILURES_MAX: usize = 10;
