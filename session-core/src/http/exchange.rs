//! One request and its response, free of any framework: begin and finish.

use std::fmt;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::Mutex;
use tracing::Span;

use super::finished::Finished;
use super::opening::{Opening, agent_of};
use super::transport::RequestHead;
use crate::config::OnGone;
use crate::error::{Error, ErrorKind, cause};
use crate::event::Untold;
use crate::manager::SessionManager;
use crate::plan::{CookieMove, Plan};
use crate::session::Session;
use crate::span::{load_span, loading};
use crate::state::State;
use crate::visitor::Agent;

/// One request's session business; clones share it.
///
/// An adapter makes one for each request, asks it for the session when a handler wants one, and lets
/// it [`finish`](Exchange::finish) before the response head leaves. A handler that asks for nothing
/// costs no look at the headers and no store access (rule T2).
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

struct Inner {
    manager: SessionManager,
    /// Of a session that the client keeps, in place of the other.
    own_manager: OnceLock<SessionManager>,
    /// The method promises to change nothing (RFC 9110 section 9.2.1).
    safe_method: bool,
    slot: std::sync::Mutex<Slot>,
    /// The session is opened, or cannot be.
    opened: AtomicBool,
    /// Why it could not be opened: whatever the handler answers, the client gets this (rule T5).
    failure: OnceLock<Error>,
    /// Who asks the store for it has this.
    asking: Mutex<()>,
    /// A handler asked whether there is a token, which the answer may depend on.
    consulted: AtomicBool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let slot = self.slot.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = slot.state.as_ref().filter(|state| state.is_unsaved()) {
            let session = state.session().map(tracing::field::display);
            tracing::warn!(target: "session", session, "what was changed after the response, or without one, is lost: it has to be saved");
        }
    }
}

/// Room for the session's state: it takes no allocation of its own.
struct Slot {
    state: Option<State>,
    /// The head has left, or never will: a session that is opened later comes after it.
    head_sent: bool,
}

impl Slot {
    fn end_head(&mut self) {
        match &mut self.state {
            Some(state) => state.end_head(),
            None => self.head_sent = true,
        }
    }
}

/// The state of an opened session, locked.
pub(crate) struct StateGuard<'a>(MutexGuard<'a, Slot>);

/// An exchange whose session is opened: what a [`Session`] is made of.
#[derive(Clone)]
pub(crate) struct Opened(Exchange);

/// A session that is on its way to whoever asked for it.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Loading(Stage);

enum Stage {
    Opened(Result<Session, Error>),
    Asking(Pin<Box<dyn Future<Output = Result<Session, Error>> + Send>>),
    Over,
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
        let safe_method = matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
        Self(Arc::new(Inner {
            manager: manager.clone(),
            own_manager: OnceLock::new(),
            safe_method,
            slot: std::sync::Mutex::new(Slot {
                state: None,
                head_sent: false,
            }),
            opened: AtomicBool::new(false),
            failure: OnceLock::new(),
            asking: Mutex::const_new(()),
            consulted: AtomicBool::new(false),
        }))
    }

    /// Whether this exchange is one of `manager`: a layer added twice works once.
    #[must_use]
    pub fn is_of(&self, manager: &SessionManager) -> bool {
        self.0.manager.is_same(manager)
    }

    pub(super) fn manager(&self) -> &SessionManager {
        &self.0.manager
    }

    /// The request's session, loaded at the first call; what is in memory is opened before the
    /// future is polled.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`], [`ErrorKind::NewerFormat`], [`ErrorKind::Corrupt`],
    /// [`ErrorKind::Expired`], as configured. The error is remembered and becomes the response.
    pub fn session(&self, head: &impl RequestHead) -> Loading {
        if let Some(opened) = self.opened() {
            return Loading::from(opened);
        }
        let opening = Opening::read(head, &self.0.manager);
        let span = load_span();
        // Who watches is to see all of it.
        if span.is_none()
            && let Some(answer) = self.open_at_once(&opening, |known| agent_of(head, known))
        {
            return Loading::from(answer);
        }
        let (exchange, agent) = (self.clone(), agent_of(head, None));
        Loading(Stage::Asking(Box::pin(async move {
            exchange.open(&opening, agent.as_ref(), span).await
        })))
    }

    /// The request's session, to be loaded when it is needed.
    pub fn lazy(&self, head: &impl RequestHead) -> LazySession {
        LazySession {
            exchange: self.clone(),
            opening: Arc::new(Opening::read(head, &self.0.manager)),
            agent: agent_of(head, None),
        }
    }

    /// Opens the session, if no store has to be asked.
    fn open_at_once(
        &self,
        opening: &Opening,
        agent: impl FnOnce(Option<&Arc<str>>) -> Option<Agent>,
    ) -> Option<Result<Session, Error>> {
        let mut look = opening.look(&self.0.manager);
        let opened = match look.go_on() {
            Ok(true) => look.open(self, agent),
            Ok(false) => return None,
            Err(error) => Err(error),
        };
        Some(self.end_opening(opened, look.untold))
    }

    /// Opens the session, watched by `span`.
    async fn open(
        &self,
        opening: &Opening,
        agent: Option<&Agent>,
        span: Option<Span>,
    ) -> Result<Session, Error> {
        let _asking = self.0.asking.lock().await;
        if let Some(opened) = self.opened() {
            return opened;
        }
        let work = async {
            let mut look = opening.look(&self.0.manager);
            let known_as = |known: Option<&Arc<str>>| agent.map(|agent| agent.or_known(known));
            let opened = match look.go_on_in_store().await {
                Ok(()) => look.open(self, known_as),
                Err(error) => Err(error),
            };
            self.end_opening(opened, look.untold)
        };
        match span {
            Some(span) => loading(span, work).await,
            None => work.await,
        }
    }

    /// Notes a failure, tells what this opening has met unless another task of the request was faster,
    /// and says what there is now.
    fn end_opening(&self, opened: Result<bool, Error>, untold: Untold) -> Result<Session, Error> {
        let is_first = opened.unwrap_or_else(|error| {
            let _slot = self.slot();
            let is_first = !self.0.opened.load(Ordering::Relaxed);
            if is_first {
                let _ = self.0.failure.set(error);
                self.0.opened.store(true, Ordering::Release);
            }
            is_first
        });
        if is_first {
            untold.tell(&self.0.manager);
        }
        self.outcome()
    }

    /// Takes what `fill` puts in, unless the session is opened already; says whether it has.
    pub(super) fn hold(
        &self,
        own_manager: Option<SessionManager>,
        fill: impl FnOnce(&mut State),
    ) -> bool {
        let mut slot = self.slot();
        if self.0.opened.load(Ordering::Relaxed) {
            return false;
        }
        let head_sent = slot.head_sent;
        let state = slot.state.insert(State::UNOPENED);
        state.head_sent = head_sent;
        fill(state);
        if let Some(manager) = own_manager {
            let _ = self.0.own_manager.set(manager);
        }
        self.0.opened.store(true, Ordering::Release);
        true
    }

    /// What has become of the session, if it was asked for.
    fn opened(&self) -> Option<Result<Session, Error>> {
        self.is_opened().then(|| self.outcome())
    }

    fn outcome(&self) -> Result<Session, Error> {
        match self.0.failure.get() {
            None => Ok(self.handle()),
            Some(failure) => Err(failure.clone()),
        }
    }

    fn is_opened(&self) -> bool {
        self.0.opened.load(Ordering::Acquire)
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // Every method leaves the state consistent before it can panic.
        self.0.slot.lock().unwrap_or_else(PoisonError::into_inner)
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
        if !self.is_opened() {
            let mut slot = self.slot();
            if !self.is_opened() {
                slot.end_head();
                return Finish::Done(match self.0.consulted.load(Ordering::SeqCst) {
                    true => Finished::new(config),
                    false => Finished::untouched(),
                });
            }
        }
        if let Some(failure) = self.0.failure.get() {
            let mut finished = Finished::new(config);
            finished.reply_with(failure);
            if failure.kind() == ErrorKind::Expired {
                finished.remove(config);
                finished.challenge(config);
            }
            return Finish::Done(finished);
        }
        let discards = has_failed(status) && !config.options.save_on_server_error;
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
            Ok(Some(plan)) => Finish::Pending(PendingFinish {
                session,
                plan,
                is_over: false,
            }),
        }
    }

    fn gone_is_an_error(&self) -> bool {
        match self.0.manager.config().options.on_gone {
            OnGone::Conflict => true,
            OnGone::ConflictIfUnsafe => !self.0.safe_method,
            OnGone::Ignore => false,
        }
    }
}

/// Whether the status says that the request was not carried out (rule T5). A middleware that answers 408
/// in place of a handler that took too long has cut it off half-way.
fn has_failed(status: u16) -> bool {
    status >= 500 || status == 408
}

/// What the response must carry.
fn head(session: &Session, outcome: Result<(), Error>) -> Finished {
    let Opened(exchange) = &session.0;
    let config = exchange.0.manager.config();
    let mut finished = Finished::new(config);
    let told = outcome
        .as_ref()
        .is_err_and(|error| session.tell_refused(error));
    let is_gone = matches!(&outcome, Err(error) if error.kind() == ErrorKind::Gone);
    let mut state = session.state();
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
                tracing::warn!(target: "session", %error, cause = cause(&error), "the request failed");
            }
            finished.reply_with(&error);
            state.take_ends_back();
        }
    }
    state.end_head();
    match state.cookie {
        // The browser may have a newer one by now.
        CookieMove::Set if is_gone => {}
        CookieMove::Keep => {}
        CookieMove::Remove => finished.remove(config),
        CookieMove::Set => {
            if let Some((token, base)) = state.life.token_in_force() {
                let life = config.cookie_life(base);
                match session.manager().expose(token, base) {
                    Ok(text) => finished.set(config, &text, life),
                    Err(error) => finished.reply_with(&error),
                }
            }
        }
    }
    finished
}

/// An exchange that a layer has begun and has to finish.
///
/// Dropped before that, with its request's future, it tells who still holds the session that no
/// response head will leave: what would need a new cookie is an error from then on, and what ends the
/// session is carried out by the next [`save`](Session::save).
pub struct Begun(Option<Exchange>);

impl Begun {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self(Some(exchange))
    }

    /// As [`Exchange::finish`].
    #[must_use]
    pub fn finish(mut self, status: u16) -> Finish {
        match self.0.take() {
            Some(exchange) => exchange.finish(status),
            None => Finish::Done(Finished::untouched()),
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(exchange) = &self.0 {
            exchange.slot().end_head();
        }
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Begun").field(&self.0).finish()
    }
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
    is_over: bool,
}

impl PendingFinish {
    /// Stores the changes and says what the response must carry.
    pub async fn complete(mut self) -> Finished {
        let outcome = self.session.carry_out(self.plan).await;
        self.is_over = true;
        head(&self.session, outcome)
    }
}

/// If it was given up half-way, no head leaves.
impl Drop for PendingFinish {
    fn drop(&mut self) {
        if !self.is_over {
            self.session.state().end_head();
        }
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
        let (exchange, agent) = (&self.exchange, self.agent.as_ref());
        if let Some(opened) = exchange.opened() {
            return opened;
        }
        let known_as = |known: Option<&Arc<str>>| agent.map(|agent| agent.or_known(known));
        let span = load_span();
        if span.is_none()
            && let Some(answer) = exchange.open_at_once(&self.opening, known_as)
        {
            return answer;
        }
        Box::pin(exchange.open(&self.opening, agent, span)).await
    }

    /// Whether the request carries a well-formed token; whether it opens a session only
    /// [`load`](Self::load) can say.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.exchange.0.consulted.store(true, Ordering::SeqCst);
        self.opening.has_token()
    }

    /// The client's address, as far as it is known: see
    /// [`trusted_proxies`](crate::SessionConfigBuilder::trusted_proxies).
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        self.opening.address()
    }

    /// Whether the session has been loaded in this request, by whatever part of the application:
    /// what then asks for it costs no store access.
    ///
    /// Asking loads nothing, and does not make the response depend on the session. A session that
    /// could not be loaded has not been.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.exchange.is_opened() && self.exchange.0.failure.get().is_none()
    }
}

impl From<Result<Session, Error>> for Loading {
    fn from(opened: Result<Session, Error>) -> Self {
        Self(Stage::Opened(opened))
    }
}

impl Future for Loading {
    type Output = Result<Session, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Asking(asking) = &mut self.0 {
            return asking.as_mut().poll(cx);
        }
        match std::mem::replace(&mut self.0, Stage::Over) {
            Stage::Opened(opened) => Poll::Ready(opened),
            Stage::Asking(_) | Stage::Over => {
                panic!("a session is handed out once; ask its exchange again")
            }
        }
    }
}

impl fmt::Debug for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_opened = matches!(self.0, Stage::Opened(_));
        f.debug_struct("Loading")
            .field("is_opened", &is_opened)
            .finish_non_exhaustive()
    }
}

impl Opened {
    /// A session that came with no request.
    pub(crate) fn by_itself(manager: SessionManager, state: State) -> Self {
        let exchange = Exchange::begin(&manager, "GET");
        exchange.hold(None, |there| *there = state);
        Self(exchange)
    }

    pub(crate) fn manager(&self) -> &SessionManager {
        let inner = &self.0.0;
        inner.own_manager.get().unwrap_or(&inner.manager)
    }

    pub(crate) fn state(&self) -> StateGuard<'_> {
        StateGuard(self.0.slot())
    }
}

const NO_STATE: &str = "a handle is made once its session is opened";

impl Deref for StateGuard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.0.state.as_ref().expect(NO_STATE)
    }
}

impl DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.0.state.as_mut().expect(NO_STATE)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("opened", &self.is_opened())
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
