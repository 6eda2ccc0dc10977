//! One request and its response, free of any framework: begin and finish.
//!
//! An adapter makes an [`Exchange`] for each request, asks it for the session when a handler
//! wants one, and lets it [`finish`](Exchange::finish) before the response head leaves. A
//! handler that asks for nothing costs no look at the headers and no store access (rule T2).

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::OnceCell;

use super::finished::Finished;
use super::opening::{Opening, agent_of};
use super::transport::RequestHead;
use crate::config::OnGone;
use crate::error::{Error, ErrorKind};
use crate::event::Untold;
use crate::manager::SessionManager;
use crate::plan::{CookieMove, Plan};
use crate::session::{self, Session};
use crate::span::{load_span, loading};
use crate::visitor::Agent;

/// One request's session business; clones share it.
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

struct Inner {
    manager: SessionManager,
    /// The method promises to change nothing (RFC 9110 section 9.2.1).
    safe_method: bool,
    /// Whether the session is opened.
    opened: OnceCell<Result<(), Failure>>,
    /// The session, from the end of opening it: here it takes no allocation of its own.
    session: OnceLock<session::Inner>,
    /// A handler asked whether there is a token, which the answer may depend on.
    consulted: AtomicBool,
    /// The response head has left, or is about to.
    /// The head has left without a session: one that is opened later comes after it.
    finished_without: AtomicBool,
}

/// An exchange whose session is opened: what a [`Session`] is made of.
#[derive(Clone)]
pub(crate) struct Opened(Exchange);

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
    agent: Option<Agent>,
}

impl Exchange {
    /// Begins: looks at nothing but the method.
    #[must_use]
    pub fn begin(manager: &SessionManager, method: &str) -> Self {
        Self(Arc::new(Inner {
            manager: manager.clone(),
            safe_method: matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE"),
            opened: OnceCell::new(),
            session: OnceLock::new(),
            consulted: AtomicBool::new(false),
            finished_without: AtomicBool::new(false),
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
            Some(opened) => self.remembered(opened),
            None => {
                let opening = Opening::read(head, &self.0.manager);
                self.open(&opening, |known| agent_of(head, known)).await
            }
        }
    }

    /// The request's session, to be loaded when it is needed.
    pub fn lazy(&self, head: &impl RequestHead) -> LazySession {
        LazySession {
            exchange: self.clone(),
            opening: Arc::new(Opening::read(head, &self.0.manager)),
            agent: agent_of(head, None),
        }
    }

    /// Opens the session; `agent` gives the client's user agent, known where the record has it.
    async fn open(
        &self,
        opening: &Opening,
        agent: impl Fn(Option<&Arc<str>>) -> Option<Agent>,
    ) -> Result<Session, Error> {
        let mut untold = Untold::default();
        let open = async || {
            let opened = if let Some(span) = load_span() {
                let work = opening.open(self, agent, &mut untold);
                Box::pin(loading(span, self, work)).await
            } else {
                opening.open(self, agent, &mut untold).await
            };
            opened.map_err(|error| Failure {
                kind: error.kind(),
                message: error.to_string().into(),
            })
        };
        let opened = self.0.opened.get_or_init(open).await;
        untold.tell(&self.0.manager);
        let session = self.remembered(opened)?;
        if self.0.finished_without.load(Ordering::SeqCst) {
            session.state().head_sent = true;
        }
        Ok(session)
    }

    fn remembered(&self, opened: &Result<(), Failure>) -> Result<Session, Error> {
        match opened {
            Ok(()) => Ok(self.handle()),
            Err(failure) => Err(failure.error()),
        }
    }

    /// The session, which is opened.
    pub(crate) fn handle(&self) -> Session {
        Session(Opened(self.clone()))
    }

    /// Ends the exchange once the handler has answered with `status`.
    ///
    /// Where nothing is to be stored the outcome is there at once; otherwise storing it is left
    /// to be awaited, before the response head leaves. From here on whatever would need a new
    /// cookie is an error (rule T7).
    #[must_use]
    pub fn finish(self, status: u16) -> Finish {
        let config = self.0.manager.config();
        let opened = self.0.opened.get();
        if opened.is_none() {
            self.0.finished_without.store(true, Ordering::SeqCst);
            // One that was opened just now may not have seen that.
            if let Some(Ok(())) = self.0.opened.get() {
                self.handle().state().head_sent = true;
            }
        }
        match opened {
            None if self.0.consulted.load(Ordering::SeqCst) => {
                return Finish::Done(Finished::new(config));
            }
            None => return Finish::Done(Finished::untouched()),
            Some(Ok(())) => {}
            Some(Err(failure)) => {
                let mut finished = Finished::new(config);
                finished.reply_with(&failure.error());
                if failure.kind == ErrorKind::Expired {
                    finished.remove(config);
                }
                return Finish::Done(finished);
            }
        }
        let discards = status >= 500 && !config.options.save_on_server_error;
        let session = Session(Opened(self));
        let conclusion = if discards {
            session.revert();
            Ok(session.remainder())
        } else {
            session.conclusion()
        };
        match conclusion {
            Ok(None) => Finish::Done(head(&session, Ok(()))),
            Err(error) => Finish::Done(head(&session, Err(error))),
            Ok(Some(plan)) => Finish::Pending(PendingFinish { session, plan }),
        }
    }

    pub(super) fn manager(&self) -> &SessionManager {
        &self.0.manager
    }

    /// Takes the session. Only where a subscriber panicked over an opening is there one already.
    pub(super) fn hold(&self, session: session::Inner) {
        let _ = self.0.session.set(session);
    }

    fn gone_is_an_error(&self) -> bool {
        match self.0.manager.config().options.on_gone {
            OnGone::Conflict => true,
            OnGone::ConflictIfUnsafe => !self.0.safe_method,
            OnGone::Ignore => false,
        }
    }
}

/// What the response must carry.
fn head(session: &Session, outcome: Result<(), Error>) -> Finished {
    let Opened(exchange) = &session.0;
    let config = exchange.0.manager.config();
    let mut finished = Finished::new(config);
    let told = outcome
        .as_ref()
        .is_err_and(|error| session.tell_refused(error));
    let mut state = session.state();
    state.head_sent = true;
    if state.exposed {
        finished.expose();
    }
    match outcome {
        Ok(()) if state.logged_out && config.options.clear_site_data => {
            finished.clear_site_data();
        }
        Ok(()) => {}
        // A login or logout that did not happen is never answered as one that did.
        Err(error)
            if error.kind() == ErrorKind::Gone
                && !exchange.gone_is_an_error()
                && !state.speaks_of_identity() => {}
        Err(error) => {
            if !told {
                tracing::warn!(target: "session", %error, "the request failed");
            }
            finished.reply_with(&error);
            state.take_ends_back();
        }
    }
    match state.cookie {
        CookieMove::Keep => {}
        CookieMove::Remove => finished.remove(config),
        CookieMove::Set => {
            if let Some((token, base)) = state.life.token_in_force() {
                let life = config.cookie_life(base.persistent, base.expiry.timeout());
                match session.0.manager.expose(token, base) {
                    Ok(text) => finished.set(config, &text, life),
                    Err(error) => finished.reply_with(&error),
                }
            }
        }
    }
    finished
}

/// How an exchange ends.
#[derive(Debug)]
pub enum Finish {
    /// Nothing is to be stored.
    Done(Finished),
    /// Something is: await [`PendingFinish::complete`].
    Pending(PendingFinish),
}

/// An exchange whose changes are still to be stored.
pub struct PendingFinish {
    session: Session,
    plan: Plan,
}

impl PendingFinish {
    /// Stores the changes and says what the response must carry.
    pub async fn complete(self) -> Finished {
        let outcome = self.session.carry_out(self.plan).await;
        head(&self.session, outcome)
    }
}

impl fmt::Debug for PendingFinish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingFinish").finish_non_exhaustive()
    }
}

impl LazySession {
    /// Loads the session, at the first call.
    ///
    /// Load it before the handler has answered: a response whose body alone depends on the session
    /// has no `Vary`, and no cache may keep it.
    ///
    /// # Errors
    ///
    /// As for [`Exchange::session`].
    pub async fn load(&self) -> Result<Session, Error> {
        self.exchange
            .open(&self.opening, |known| {
                let agent = self.agent.as_ref();
                agent.map(|agent| agent.or_known(known))
            })
            .await
    }

    /// Whether the request carries a well-formed token; whether it opens a session only
    /// [`load`](Self::load) can say.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.exchange.0.consulted.store(true, Ordering::SeqCst);
        self.opening.has_token()
    }

    /// Whether the session has been loaded in this request, by whatever part of the application:
    /// what then asks for it costs no store access.
    ///
    /// Asking loads nothing, and does not make the response depend on the session. A session that
    /// could not be loaded has not been.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        matches!(self.exchange.0.opened.get(), Some(Ok(())))
    }
}

impl Failure {
    fn error(&self) -> Error {
        Error::new(self.kind, self.message.clone())
    }
}

impl Opened {
    /// A session that came with no request.
    pub(crate) fn by_itself(session: session::Inner) -> Self {
        let exchange = Exchange::begin(&session.manager, "GET");
        // It is the first: the exchange was just made.
        let _ = exchange.0.session.set(session);
        Self(exchange)
    }
}

impl Deref for Opened {
    type Target = session::Inner;

    fn deref(&self) -> &session::Inner {
        let session = self.0.0.session.get();
        session.expect("a handle is made once its session is opened")
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("opened", &self.0.opened.initialized())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LazySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazySession")
            .field("has_token", &self.opening.has_token())
            .finish_non_exhaustive()
    }
}
