//! From a request's head to its session: which tokens it carries, whom they let in.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use super::client_addr::client_address;
use super::exchange::Exchange;
use super::transport::RequestHead;
use crate::clock::Timestamp;
use crate::config::{OnCorrupt, OnExpired, OnOutage, SessionConfig};
use crate::error::{Error, ErrorKind};
use crate::event::{Event, EventKind, Rejection, Untold};
use crate::id::{Signed, Token};
use crate::manager::SessionManager;
use crate::operations::Draft;
use crate::plan::{Admission, Dead, Due, Standing, admit};
use crate::record::Record;
use crate::session;
use crate::state::{Life, State, initial, needs_touch};
use crate::visitor::{Agent, Visitor};
use crate::why_new::WhyNew;

/// What a request's head says about its session.
pub(super) struct Opening {
    first: Option<Candidate>,
    others: Vec<Candidate>,
    /// It carries a token that is not of this system.
    foreign: bool,
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
        let mut foreign = false;
        let keys = config.token_keys.as_ref();
        config.transport.read(&config.cookie, head, &mut |text| {
            if others.len() + 1 >= CANDIDATES_MAX {
                return;
            }
            let parsed = match manager.sealed_by() {
                Some(sealed) => sealed.open(text).map(|(token, record, signed)| Candidate {
                    token,
                    signed,
                    sealed: Some(Arc::new(record)),
                }),
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
            address: address_of(head, config),
        }
    }

    /// Whether there is a well-formed token.
    pub(super) fn has_token(&self) -> bool {
        self.first.is_some()
    }

    fn candidate(&self, at: usize) -> Option<&Candidate> {
        match at.checked_sub(1) {
            None => self.first.as_ref(),
            Some(at) => self.others.get(at),
        }
    }

    /// Makes the exchange's session of the first candidate that is live, or a new one.
    ///
    /// What is kept over its `await` is a part of each handler's future, so it is little.
    pub(super) async fn open(
        &self,
        exchange: &Exchange,
        agent: impl Fn(Option<&Arc<str>>) -> Option<Agent>,
        untold: &mut Untold,
    ) -> Result<(), Error> {
        const OPERATION: &str = "loading the session";
        let manager = exchange.manager();
        let mut live: Option<(&Candidate, Arc<Record>, Due)> = None;
        let mut dead: Option<Dead> = None;
        let mut standing = Standing::New;
        let mut meet = |kind, id, record: Option<&Record>, error: Option<&Error>| {
            let event = Event {
                kind,
                session: id,
                owner: record.and_then(|record| record.owner.clone()),
                address: self.address,
                at: manager.now(),
            };
            untold.push(event, error);
        };
        if self.foreign {
            meet(EventKind::Rejected(Rejection::Foreign), None, None, None);
        }
        for at in 0.. {
            let Some(candidate) = self.candidate(at) else {
                break;
            };
            let loaded = match candidate.in_memory(manager) {
                Some(record) => Ok(Some(record)),
                None => Box::pin(candidate.load(manager, OPERATION)).await,
            };
            let (id, config) = (candidate.token.id(), manager.config());
            if let Err(error) = &loaded
                && error.kind() == ErrorKind::Corrupt
            {
                meet(Dead::Corrupt.into(), Some(id), None, Some(error));
            }
            let record = match loaded {
                Ok(record) => record,
                Err(error) if live.is_some() => {
                    if error.kind() != ErrorKind::Corrupt {
                        tracing::warn!(target: "session", session = %id, %error, "a further token could not be looked up");
                    }
                    continue;
                }
                Err(error) => match self.excuse(&error, config) {
                    Some(Standing::New) => {
                        dead = dead.or(Some(Dead::Corrupt));
                        continue;
                    }
                    Some(excused) => {
                        tracing::warn!(target: "session", session = %id, %error, "reading as empty");
                        standing = excused;
                        continue;
                    }
                    None => return Err(error),
                },
            };
            let now = manager.now();
            let Some(record) = record else {
                meet(Dead::Unknown.into(), Some(id), None, None);
                dead = Some(Dead::Unknown);
                continue;
            };
            let digest = candidate.token.digest();
            match admit(&record, &digest, self.address, now, config) {
                Admission::Dead(why) => {
                    meet(why.into(), Some(id), Some(&record), None);
                    dead = Some(why);
                }
                Admission::Superseded => {
                    let kind = EventKind::Rejected(Rejection::Superseded);
                    meet(kind, Some(id), Some(&record), None);
                    standing = Standing::Superseded;
                }
                Admission::Live { .. } if live.is_some() => {
                    let kind = EventKind::Rejected(Rejection::SecondLive);
                    meet(kind, Some(id), Some(&record), None);
                }
                Admission::Live { by_previous } => {
                    let due = due(candidate, &record, by_previous, now, manager);
                    live = Some((candidate, record, due));
                }
            }
        }
        let config = exchange.manager().config();
        let found = live.as_ref();
        let manager = manager.of_exchange(found.map(|(one, record, _)| (one.token.id(), record)));
        let (draft, due, token, base) = match live {
            Some((candidate, record, due)) => {
                standing = Standing::Live;
                let draft = Draft::new(record.data.clone(), record.own.clone());
                (draft, due, Some(candidate.token.clone()), Some(record))
            }
            None if standing == Standing::New => {
                let expired = dead.is_some_and(|why| why != Dead::Corrupt);
                if expired && config.options.on_expired == OnExpired::Unauthorized {
                    let message = config.options.expired_message.to_string();
                    return Err(Error::new(ErrorKind::Expired, message));
                }
                (initial(&manager)?, Due::default(), None, None)
            }
            None => Default::default(),
        };
        let why_new = match (standing, dead) {
            (Standing::Superseded, _) => WhyNew::Superseded,
            (Standing::Detached, _) => WhyNew::Outage,
            (_, Some(why)) => why.into(),
            _ if self.foreign => WhyNew::Foreign,
            _ => WhyNew::NoToken,
        };
        let presented_nothing = dead.is_some();
        let agent = agent(base.as_ref().and_then(|base| base.agent.as_ref()));
        let visitor = Visitor {
            address: self.address,
            agent,
            is_counted: true,
        };
        let life = Life {
            standing,
            due,
            token,
            base,
            ..Life::new(0, draft)
        };
        let mut state = State::new(life, presented_nothing);
        state.sealed = manager.sealed_by().is_some();
        state.why_new = why_new;
        exchange.hold(session::Inner {
            manager,
            visitor,
            state: Mutex::new(state),
        });
        Ok(())
    }

    /// What a session reads as whose record could not be loaded; `None` fails the request.
    fn excuse(&self, error: &Error, config: &SessionConfig) -> Option<Standing> {
        let options = &config.options;
        match error.kind() {
            ErrorKind::Corrupt if options.on_corrupt == OnCorrupt::Fresh => Some(Standing::New),
            ErrorKind::Unavailable if options.on_load_outage == OnOutage::Continue => {
                Some(Standing::Detached)
            }
            _ => None,
        }
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
        resign: candidate.signed == Signed::Older && !by_previous,
        slides: needs_touch(record, now, manager),
        ..Due::default()
    }
}

fn address_of(head: &impl RequestHead, config: &SessionConfig) -> Option<IpAddr> {
    let trusted = &config.options.trusted_proxies;
    let (mut forwarded_for, mut forwarded) = (Vec::new(), Vec::new());
    if !trusted.is_empty() {
        head.each_header("x-forwarded-for", &mut |line| forwarded_for.push(line));
        head.each_header("forwarded", &mut |line| forwarded.push(line));
    }
    client_address(
        head.peer(),
        trusted,
        forwarded_for.into_iter(),
        forwarded.into_iter(),
    )
}

pub(super) fn agent_of(head: &impl RequestHead, known: Option<&Arc<str>>) -> Option<Agent> {
    let mut agent = None;
    head.each_header("user-agent", &mut |line| {
        agent.get_or_insert(line);
    });
    agent.map(|line| Agent::of(line, known))
}
