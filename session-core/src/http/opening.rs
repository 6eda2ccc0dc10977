//! From a request's head to its session: which tokens it carries, whom they let in.

use std::net::IpAddr;
use std::sync::Arc;

use super::client_addr::{client_address, forwarded_address};
use super::exchange::Exchange;
use super::transport::RequestHead;
use crate::clock::Timestamp;
use crate::config::{OnCorrupt, OnExpired, OnOutage, SessionConfig};
use crate::error::{Error, ErrorKind};
use crate::event::{Event, EventKind, Rejection, Untold};
use crate::id::{NewerFormat, SessionId, Signed, Token};
use crate::manager::SessionManager;
use crate::operations::Draft;
use crate::plan::{Admission, Dead, Due, Standing, admit};
use crate::record::Record;
use crate::state::{initial, needs_touch};
use crate::visitor::Agent;
use crate::why_new::WhyNew;

/// What a request's head says about its session.
pub(super) struct Opening {
    first: Option<Candidate>,
    others: Vec<Candidate>,
    /// It carries a token that is not of this system.
    foreign: bool,
    /// It carries a session that a newer version of this system has sealed.
    newer: bool,
    address: Option<IpAddr>,
}

struct Candidate {
    token: Token,
    signed: Signed,
    /// The session itself, where the client keeps it.
    sealed: Option<Arc<Record>>,
}

/// Tokens of one request that are looked up at most (rule I5).
const CANDIDATES_MAX: usize = 8;

impl Opening {
    pub(super) fn read(head: &impl RequestHead, manager: &SessionManager) -> Self {
        let config = manager.config();
        let mut first: Option<Candidate> = None;
        let mut others: Vec<Candidate> = Vec::new();
        let (mut foreign, mut newer) = (false, false);
        let keys = config.token_keys.as_ref();
        config.transport.read(&config.cookie, head, &mut |text| {
            if others.len() + 1 >= CANDIDATES_MAX {
                return;
            }
            let parsed = match manager.sealed_by() {
                Some(sealed) => match sealed.open(text) {
                    Ok(opened) => opened.map(|(token, record, signed)| Candidate {
                        token,
                        signed,
                        sealed: Some(Arc::new(record)),
                    }),
                    Err(NewerFormat) => {
                        newer = true;
                        return;
                    }
                },
                None => Token::parse(text, keys)
                    .ok()
                    .map(|(token, signed)| Candidate {
                        token,
                        signed,
                        sealed: None,
                    }),
            };
            let Some(candidate) = parsed else {
                foreign = true;
                return;
            };
            let same = |other: &Candidate| {
                other.token.id() == candidate.token.id()
                    && other.token.digest() == candidate.token.digest()
            };
            match &first {
                None => first = Some(candidate),
                Some(one) if same(one) || others.iter().any(same) => {}
                Some(_) => others.push(candidate),
            }
        });
        Self {
            first,
            others,
            foreign,
            newer,
            address: address_of(head, config),
        }
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Whether there is a well-formed token.
    pub(super) fn has_token(&self) -> bool {
        self.first.is_some() || self.newer
    }

    fn candidate(&self, at: usize) -> Option<&Candidate> {
        match at.checked_sub(1) {
            None => self.first.as_ref(),
            Some(at) => self.others.get(at),
        }
    }

    /// Begins to look at the candidates.
    pub(super) fn look<'a>(&'a self, manager: &'a SessionManager) -> Look<'a> {
        let mut look = Look {
            opening: self,
            manager,
            at: 0,
            looked_at: Timestamp::from_unix_ms(0),
            live: None,
            dead: None,
            standing: Standing::New,
            unreadable: None,
            untold: Untold::default(),
        };
        if self.foreign {
            look.note(EventKind::Rejected(Rejection::Foreign), None, None, None);
        }
        look
    }
}

/// The candidates that have been looked at, and what has come of them.
pub(super) struct Look<'a> {
    opening: &'a Opening,
    manager: &'a SessionManager,
    /// The candidate that is next.
    at: usize,
    /// When the last of them was judged.
    looked_at: Timestamp,
    live: Option<(&'a Candidate, Arc<Record>, Due)>,
    dead: Option<Dead>,
    standing: Standing,
    /// One could not be read: what the request fails with, unless another is live.
    unreadable: Option<Error>,
    /// What is to be told of them, if it is this look that opens the session.
    pub(super) untold: Untold,
}

const OPERATION: &str = "loading the session";

impl Look<'_> {
    /// Goes on as far as no store has to be asked; whether that is the end.
    pub(super) fn go_on(&mut self) -> Result<bool, Error> {
        while let Some(candidate) = self.opening.candidate(self.at) {
            let Some(record) = candidate.in_memory(self.manager) else {
                return Ok(false);
            };
            self.meet(Ok(Some(record)))?;
        }
        Ok(true)
    }

    /// Goes on to the end.
    pub(super) async fn go_on_in_store(&mut self) -> Result<(), Error> {
        while !self.go_on()? {
            if let Some(candidate) = self.opening.candidate(self.at) {
                let loaded = candidate.load(self.manager, OPERATION).await;
                self.meet(loaded)?;
            }
        }
        Ok(())
    }

    /// Takes what is stored under the id of the candidate that is next.
    fn meet(&mut self, loaded: Result<Option<Arc<Record>>, Error>) -> Result<(), Error> {
        let (opening, manager) = (self.opening, self.manager);
        let Some(candidate) = opening.candidate(self.at) else {
            return Ok(());
        };
        self.at += 1;
        let (id, config) = (candidate.token.id(), manager.config());
        let record = match loaded {
            Ok(Some(record)) => record,
            Ok(None) => {
                self.note(Dead::Unknown.into(), Some(id), None, None);
                self.dead = Some(Dead::Unknown);
                return Ok(());
            }
            Err(error) => return self.fail(id, error),
        };
        let now = manager.now();
        self.looked_at = now;
        let digest = candidate.token.digest();
        match admit(&record, &digest, opening.address, now, config) {
            Admission::Dead(why) => {
                self.note(why.into(), Some(id), Some(&record), None);
                self.dead = Some(why);
            }
            Admission::Superseded => {
                let kind = EventKind::Rejected(Rejection::Superseded);
                self.note(kind, Some(id), Some(&record), None);
                self.standing = Standing::Superseded;
            }
            Admission::Live { .. } if self.live.is_some() => {
                let kind = EventKind::Rejected(Rejection::SecondLive);
                self.note(kind, Some(id), Some(&record), None);
            }
            Admission::Live { by_previous } => {
                let due = due(candidate, &record, by_previous, now, manager);
                self.live = Some((candidate, record, due));
            }
        }
        Ok(())
    }

    /// The record of a candidate could not be loaded.
    fn fail(&mut self, id: SessionId, error: Error) -> Result<(), Error> {
        if error.kind() == ErrorKind::Corrupt {
            self.note(Dead::Corrupt.into(), Some(id), None, Some(&error));
        }
        if self.live.is_some() {
            if error.kind() != ErrorKind::Corrupt {
                tracing::warn!(target: "session", session = %id, %error, "a further token could not be looked up");
            }
            return Ok(());
        }
        match excuse(&error, self.manager.config()) {
            Some(Standing::New) => self.dead = self.dead.or(Some(Dead::Corrupt)),
            Some(excused) => {
                tracing::warn!(target: "session", session = %id, %error, "reading as empty");
                self.standing = excused;
            }
            // A token that is planted in front must not hide the visitor's own. An outage fails at
            // once: which of them is live is not known then.
            None if error.kind() != ErrorKind::Unavailable => {
                self.unreadable.get_or_insert(error);
            }
            None => return Err(error),
        }
        Ok(())
    }

    fn note(
        &mut self,
        kind: EventKind,
        id: Option<SessionId>,
        record: Option<&Record>,
        error: Option<&Error>,
    ) {
        let event = Event {
            kind,
            session: id,
            owner: record.and_then(|record| record.owner.clone()),
            address: self.opening.address,
            at: self.manager.now(),
        };
        self.untold.push(event, error);
    }

    /// Gives `exchange` the session of the first candidate that is live, or a new one; `agent` is the
    /// client's user agent, known where the record has it. Whether it has taken it.
    pub(super) fn open(
        &mut self,
        exchange: &Exchange,
        agent: impl FnOnce(Option<&Arc<str>>) -> Option<Agent>,
    ) -> Result<bool, Error> {
        let (standing, dead, live) = (self.standing, self.dead, self.live.take());
        if live.is_none() {
            if let Some(error) = self.unreadable.take() {
                return Err(error);
            }
            if self.opening.newer {
                let message = "loading the session failed: its cookie is sealed in a newer format";
                return Err(Error::new(ErrorKind::NewerFormat, message));
            }
        }
        let (standing, draft) = match &live {
            Some((_, record, _)) => {
                let draft = Draft::new(record.data.clone(), record.own.clone());
                (Standing::Live, draft)
            }
            None if standing == Standing::New => {
                let options = &self.manager.config().options;
                let expired = dead.is_some_and(|why| why != Dead::Corrupt);
                if expired && options.on_expired == OnExpired::Unauthorized {
                    let message = options.expired_message.to_string();
                    return Err(Error::new(ErrorKind::Expired, message));
                }
                (standing, initial(self.manager)?)
            }
            None => (standing, Draft::default()),
        };
        let why_new = match (standing, dead) {
            (Standing::Superseded, _) => WhyNew::Superseded,
            (Standing::Detached, _) => WhyNew::Outage,
            (_, Some(why)) => why.into(),
            _ if self.opening.foreign => WhyNew::Foreign,
            _ => WhyNew::NoToken,
        };
        let found = live.as_ref();
        let found = found.map(|(one, record, _)| (one.token.id(), record));
        let manager = self.manager.of_exchange(found);
        Ok(exchange.hold(manager, |state| {
            let base = live.as_ref().map(|(_, record, _)| record);
            state.visitor.address = self.opening.address;
            state.visitor.agent = agent(base.and_then(|base| base.agent.as_ref()));
            state.presented_nothing = dead.is_some() || self.opening.foreign;
            state.sealed = self.manager.sealed_by().is_some();
            state.opened_at = self.looked_at;
            state.why_new = why_new;
            let life = &mut state.life;
            life.standing = standing;
            life.draft = draft;
            if let Some((candidate, record, due)) = live {
                life.due = due;
                life.is_known = true;
                life.token = Some(candidate.token.clone());
                life.base = Some(record);
            }
        }))
    }
}

/// What a session reads as whose record could not be loaded; `None` fails the request.
fn excuse(error: &Error, config: &SessionConfig) -> Option<Standing> {
    let options = &config.options;
    match error.kind() {
        ErrorKind::Corrupt if options.on_corrupt == OnCorrupt::Fresh => Some(Standing::New),
        ErrorKind::Unavailable if options.on_load_outage == OnOutage::Continue => {
            Some(Standing::Detached)
        }
        _ => None,
    }
}

impl Candidate {
    fn in_memory(&self, manager: &SessionManager) -> Option<Arc<Record>> {
        match self.sealed {
            Some(_) => None,
            None => manager.store().in_memory(&self.token.id()),
        }
    }

    /// What is not [`in_memory`](Self::in_memory).
    async fn load(
        &self,
        manager: &SessionManager,
        operation: &'static str,
    ) -> Result<Option<Arc<Record>>, Error> {
        let id = self.token.id();
        match (&self.sealed, manager.sealed_by()) {
            (Some(record), Some(sealed)) => sealed.as_stored(operation, &id, record).await,
            _ => {
                let deadline = &manager.deadline();
                manager.load_stored(operation, &id, deadline).await
            }
        }
    }
}

fn due(
    candidate: &Candidate,
    record: &Record,
    by_previous: bool,
    now: Timestamp,
    manager: &SessionManager,
) -> Due {
    let every = manager.config().options.renew_every;
    let previous = record.previous.as_deref();
    let open = previous.is_some_and(|previous| previous.valid && previous.until.is_none());
    Due {
        renewal: every.is_some_and(|every| now.since(record.secret_at) >= every),
        confirm: open && !by_previous,
        // The client's newer token may already be under the newest key.
        resign: candidate.signed == Signed::Older
            && !by_previous
            && manager.config().transport.brings_tokens(),
        slides: needs_touch(record, now, false, manager),
        ..Due::default()
    }
}

pub(super) fn address_of(head: &impl RequestHead, config: &SessionConfig) -> Option<IpAddr> {
    let trusted = &config.options.trusted_proxies;
    let (peer, by_socket) = (head.peer(), config.options.trust_unix_socket);
    let (mut forwarded_for, mut forwarded) = (Vec::new(), Vec::new());
    if !trusted.is_empty() || by_socket {
        head.each_header("x-forwarded-for", &mut |line| forwarded_for.push(line));
        head.each_header("forwarded", &mut |line| forwarded.push(line));
    }
    let (listed, elements) = (forwarded_for.into_iter(), forwarded.into_iter());
    match peer {
        None if by_socket => forwarded_address(trusted, listed, elements),
        peer => client_address(peer, trusted, listed, elements),
    }
}

pub(super) fn agent_of(head: &impl RequestHead, known: Option<&Arc<str>>) -> Option<Agent> {
    let mut agent = None;
    head.each_header("user-agent", &mut |line| {
        agent.get_or_insert(line);
    });
    agent.map(|line| Agent::of(line, known))
}
