//! One request and its response, free of any framework: begin and finish.
//!
//! An adapter makes an [`Exchange`] for each request, asks it for the session when a handler
//! wants one, and lets it [`finish`](Exchange::finish) before the response head leaves. A
//! handler that asks for nothing costs no look at the headers and no store access (rule T2).

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::client_addr::client_address;
use super::finished::Finished;
use super::transport::RequestHead;
use crate::config::{OnCorrupt, OnExpired, OnGone, OnOutage, SessionConfig};
use crate::error::{Error, ErrorKind};
use crate::id::{Signed, Token};
use crate::manager::SessionManager;
use crate::operations::Draft;
use crate::plan::{Admission, CookieMove, Dead, Due, Standing, admit};
use crate::record::Record;
use crate::session::{Intent, Session, State, Visitor, initial};

/// One request's session business; clones share it.
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

struct Inner {
    manager: SessionManager,
    /// The method promises to change nothing (RFC 9110 section 9.2.1).
    safe_method: bool,
    opened: OnceCell<Result<Session, Failure>>,
}

/// A failed opening, remembered: whatever the handler answers, the client gets this (rule T5).
struct Failure {
    kind: ErrorKind,
    message: Cow<'static, str>,
}

/// A session that is loaded only when asked for.
///
/// Making one reads the token from the request's headers and asks no store.
#[derive(Clone)]
pub struct LazySession {
    exchange: Exchange,
    opening: Arc<Opening>,
}

/// What a request's head says about its session.
struct Opening {
    first: Option<Candidate>,
    others: Vec<Candidate>,
    address: Option<IpAddr>,
    agent: Option<Arc<str>>,
}

#[derive(Clone)]
struct Candidate {
    token: Token,
    signed: Signed,
}

/// Tokens of one request that are looked up at most (rule I5).
const CANDIDATES_MAX: usize = 8;

impl Exchange {
    /// Begins: looks at nothing but the method.
    #[must_use]
    pub fn begin(manager: &SessionManager, method: &str) -> Self {
        Self(Arc::new(Inner {
            manager: manager.clone(),
            safe_method: matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE"),
            opened: OnceCell::new(),
        }))
    }

    /// Whether this exchange is one of `manager`: a layer added twice works once.
    #[must_use]
    pub fn is_of(&self, manager: &SessionManager) -> bool {
        self.0.manager.is_same(manager)
    }

    /// The request's session, loaded at the first call.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`], [`ErrorKind::NewerFormat`], [`ErrorKind::Corrupt`],
    /// [`ErrorKind::Expired`], as configured. The error is remembered and becomes the response.
    pub async fn session(&self, head: &impl RequestHead) -> Result<Session, Error> {
        match self.0.opened.get() {
            Some(opened) => remembered(opened),
            None => {
                let opening = Opening::read(head, self.0.manager.config());
                self.open(&opening).await
            }
        }
    }

    /// The request's session, to be loaded when it is needed.
    pub fn lazy(&self, head: &impl RequestHead) -> LazySession {
        LazySession {
            exchange: self.clone(),
            opening: Arc::new(Opening::read(head, self.0.manager.config())),
        }
    }

    async fn open(&self, opening: &Opening) -> Result<Session, Error> {
        let open = || async {
            opening
                .open(&self.0.manager)
                .await
                .map_err(|error| Failure {
                    kind: error.kind(),
                    message: error.to_string().into(),
                })
        };
        remembered(self.0.opened.get_or_init(open).await)
    }

    /// Whether nothing asked for the session: the response goes out as it is.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.0.opened.get().is_none()
    }

    /// Stores what is to be stored and says what the response must carry.
    ///
    /// `status` is the handler's. From here on whatever would need a new cookie is an error
    /// (rule T7).
    pub async fn finish(&self, status: u16) -> Finished {
        let config = self.0.manager.config();
        let mut finished = Finished::new(config);
        let session = match self.0.opened.get() {
            None => return Finished::untouched(),
            Some(Ok(session)) => session,
            Some(Err(failure)) => {
                finished.reply_with(&failure.error());
                if failure.kind == ErrorKind::Expired {
                    finished.remove(config);
                }
                return finished;
            }
        };
        let discard = status >= 500 && !config.options.save_on_server_error;
        let outcome = session.conclude(discard).await;
        let mut state = session.state();
        state.head_sent = true;
        if let Err(error) = outcome {
            if error.kind() == ErrorKind::Gone && !self.gone_is_an_error() {
                tracing::warn!(target: "session", "changes were lost: the session has ended meanwhile");
            } else {
                tracing::warn!(target: "session", %error, "the request failed");
                finished.reply_with(&error);
            }
        } else if state.intent.logged_out && config.options.clear_site_data && !discard {
            finished.clear_site_data();
        }
        match state.cookie {
            CookieMove::Keep => {}
            CookieMove::Remove => finished.remove(config),
            CookieMove::Set => {
                if let (Some(token), Some(base)) = (&state.token, &state.base) {
                    let life = config.cookie_life(base.persistent, base.expiry.timeout());
                    finished.set(config, &token.expose(config.token_keys.as_ref()), life);
                }
            }
        }
        finished
    }

    fn gone_is_an_error(&self) -> bool {
        match self.0.manager.config().options.on_gone {
            OnGone::Conflict => true,
            OnGone::ConflictIfUnsafe => !self.0.safe_method,
            OnGone::Ignore => false,
        }
    }
}

impl LazySession {
    /// Loads the session, at the first call.
    ///
    /// # Errors
    ///
    /// As for [`Exchange::session`].
    pub async fn load(&self) -> Result<Session, Error> {
        self.exchange.open(&self.opening).await
    }

    /// Whether the request carries a well-formed token; whether it opens a session only
    /// [`load`](Self::load) can say.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.opening.first.is_some()
    }
}

impl Opening {
    fn read(head: &impl RequestHead, config: &SessionConfig) -> Self {
        let mut first: Option<Candidate> = None;
        let mut others: Vec<Candidate> = Vec::new();
        let keys = config.token_keys.as_ref();
        config.transport.read(&config.cookie, head, &mut |text| {
            if others.len() + 1 >= CANDIDATES_MAX {
                return;
            }
            let Ok((token, signed)) = Token::parse(text, keys) else {
                tracing::debug!(target: "session", "a token that is not of this system was dropped");
                return;
            };
            let same = |other: &Candidate| {
                other.token.id() == token.id() && other.token.digest() == token.digest()
            };
            match &first {
                None => first = Some(Candidate { token, signed }),
                Some(one) if same(one) || others.iter().any(same) => {}
                Some(_) => others.push(Candidate { token, signed }),
            }
        });
        Self {
            first,
            others,
            address: address_of(head, config),
            agent: agent_of(head),
        }
    }

    fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.first.iter().chain(&self.others)
    }

    async fn open(&self, manager: &SessionManager) -> Result<Session, Error> {
        const OPERATION: &str = "loading the session";
        let config = manager.config();
        let mut live: Option<(Candidate, Record, Due)> = None;
        let mut dead: Option<Dead> = None;
        let mut standing = Standing::New;
        for candidate in self.candidates() {
            let id = candidate.token.id();
            let record = match manager.load(OPERATION, &id, manager.deadline()).await {
                Ok(record) => record,
                Err(error) => match self.excuse(&error, config) {
                    Some(Standing::New) => {
                        tracing::error!(target: "session", session = %id, %error, "the record is kept for inspection");
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
                dead = Some(Dead::Unknown);
                continue;
            };
            let digest = candidate.token.digest();
            match admit(&record, &digest, self.address, now, config) {
                Admission::Dead(why) => {
                    tracing::debug!(target: "session", session = %id, ?why, "not let in");
                    dead = Some(why);
                }
                Admission::Superseded => standing = Standing::Superseded,
                Admission::Live { .. } if live.is_some() => {
                    tracing::warn!(target: "session", session = %id, "a second live session came with the request; one of them may be planted");
                }
                Admission::Live { by_previous } => {
                    let due = due(candidate, &record, by_previous, now, config);
                    live = Some((candidate.clone(), record, due));
                }
            }
        }
        let visitor = Visitor {
            address: self.address,
            agent: self.agent.clone(),
        };
        let mut state = State {
            standing,
            base: None,
            token: None,
            draft: Draft::default(),
            intent: Intent::default(),
            cookie: CookieMove::Keep,
            due: Due::default(),
            doubt: None,
            presented_nothing: dead.is_some(),
            head_sent: false,
        };
        if let Some((candidate, record, due)) = live {
            state.standing = Standing::Live;
            state.draft = Draft::new(record.data.clone(), record.own.clone());
            state.base = Some(record);
            state.token = Some(candidate.token);
            state.due = due;
        } else if state.standing == Standing::New {
            let expired = dead.is_some_and(|why| why != Dead::Corrupt);
            if expired && config.options.on_expired == OnExpired::Unauthorized {
                let message = config.options.expired_message.to_string();
                return Err(Error::new(ErrorKind::Expired, message));
            }
            state.draft = initial(manager)?;
        }
        Ok(Session::new(manager.clone(), visitor, state))
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

fn due(
    candidate: &Candidate,
    record: &Record,
    by_previous: bool,
    now: crate::clock::Timestamp,
    config: &SessionConfig,
) -> Due {
    let age = now.since(record.secret_at);
    let open = record
        .previous
        .as_deref()
        .is_some_and(|previous| previous.valid && previous.until.is_none());
    Due {
        renewal: config.options.renew_every.is_some_and(|every| age >= every),
        confirm: open && !by_previous,
        // The client's newer token may already be under the newest key.
        resign: candidate.signed == Signed::Older && !by_previous,
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

/// The user agent, cut at a character's end.
fn agent_of(head: &impl RequestHead) -> Option<Arc<str>> {
    let mut agent = None;
    head.each_header("user-agent", &mut |line| {
        let text = match std::str::from_utf8(line) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(line),
        };
        let end = text.floor_char_boundary(Record::AGENT_BYTES_MAX);
        agent.get_or_insert_with(|| Arc::from(&text[..end]));
    });
    agent
}

fn remembered(opened: &Result<Session, Failure>) -> Result<Session, Error> {
    match opened {
        Ok(session) => Ok(session.clone()),
        Err(failure) => Err(failure.error()),
    }
}

impl Failure {
    fn error(&self) -> Error {
        Error::new(self.kind, self.message.clone())
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("untouched", &self.is_untouched())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LazySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazySession")
            .field("has_token", &self.has_token())
            .finish_non_exhaustive()
    }
}
