//! What happened to a session, told once it is so, and without a secret.
//!
//! An [`Event`] is told in three places: to the application's own hook
//! ([`on_event`](crate::SessionConfigBuilder::on_event)), to `tracing`, and, with the feature
//! `metrics`, to `metrics`. The rules:
//!
//! - it is told after the fact is true: a login once it is stored, never one that was discarded;
//! - each fact is told once: a write whose answer was lost when it is found to have happened, a
//!   refusal once for all saves of a handle that meet it, tokens that are not of this system once
//!   for all of a request's; one thing a request did may be two facts, `created` and `logged_in`;
//! - what nobody learned is told by nobody: a client that goes away while its session is being
//!   written leaves no event;
//! - no secret, no MAC, no digest and nothing of a session's data is in it.
//!
//! # Tracing
//!
//! One event each, target `session`, at the level of the table below.
//!
//! | field | value |
//! |---|---|
//! | `event`, `why` | as in the table below |
//! | `session` | the id, where there is one; it is public and opens nothing |
//! | `error` | what was wrong with a corrupt record |
//!
//! Owner and address stay out of it: they are personal, and who keeps them in a log decides so
//! with the hook.
//!
//! Opening a session is a span `session.load`, storing it a span `session.save`, both at debug
//! level, target `session`, with the fields `session`, `outcome` and `error`. The outcome of
//! `session.load` is `live`, `failed`, or why the session is new, in the words of
//! [`WhyNew::name`](crate::WhyNew::name); that of `session.save` is `done`, `failed`, or
//! `declined` by the application's own error. One whose caller gave up waiting has none.
//!
//! # Metrics
//!
//! With the feature `metrics`, through the recorder that the application installs:
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `session_events_total` | counter | `event`, `why` (empty where there is none) |
//! | `session_swept_total` | counter: expired records removed | |
//!
//! A sweep is a number and no event: what it removes ended at a moment of its own, which some
//! stores see to themselves.
//!
//! # The events
//!
//! | `event` | `why` | level |
//! |---|---|---|
//! | `created` | | debug |
//! | `logged_in` | | info |
//! | `renewed` | `asked`, `timed` | debug |
//! | `logged_out` | | info |
//! | `destroyed` | | debug |
//! | `expired` | | debug |
//! | `revoked` | `id`, `owned`, `owner`, `all`, `limit` | info |
//! | `rejected` | `foreign`, `unknown`, `wrong_secret`, `superseded`, `wrong_address`, `creation_cap`, `owner_limit`, `csrf_origin`, `csrf_token` | debug |
//! | `rejected` | `second_live`, `gone` | warn |
//! | `rejected` | `corrupt` | error |

use std::net::IpAddr;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, cause};
use crate::id::SessionId;
use crate::manager::SessionManager;
use crate::plan::Dead;
use crate::record::{Owner, Record};
use crate::session::Session;
use crate::state::Outcome;

/// One thing that happened to a session; made by the library alone.
///
/// ```
/// use session_core::{Event, EventKind, SessionConfig};
///
/// let config = SessionConfig::builder().on_event(|event: &Event| match event.kind {
///     EventKind::LoggedIn => println!("{:?} from {:?}", event.owner, event.address),
///     EventKind::Rejected(why) => println!("refused: {}", why.name()),
///     _ => {}
/// });
/// # config.build()?;
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The session, where there is one. Of a rejected token it is the id that the client named;
    /// a token that is not of this system names none.
    pub session: Option<SessionId>,
    /// Whose session it is, where that is known. Of a rejected token it is the owner of the
    /// session that it did not open.
    pub owner: Option<Owner>,
    /// The client's address, where it is known; a revocation has no client.
    pub address: Option<IpAddr>,
    /// When, by the manager's clock.
    pub at: Timestamp,
}

/// Declares an enum with the name of each variant, and thereby the list that none is missing from.
macro_rules! named {
    (@all $One:ident) => { vec![Self::$One] };
    (@all $One:ident $Why:ident) => {
        $Why::all().into_iter().map(Self::$One).collect::<Vec<_>>()
    };
    (
        $(#[$about:meta])*
        $Kind:ident, the $label:literal {
            $($(#[$doc:meta])* $One:ident $(($Why:ident))? = $name:literal,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $Kind {
            $($(#[$doc])* $One $(($Why))?,)*
        }

        impl $Kind {
            #[doc = concat!("The value of the field and the label `", $label, "`.")]
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$One { .. } => $name,)*
                }
            }

            /// Every one that this version of the library tells, to begin counters at zero for instance.
            ///
            /// ```
            #[doc = concat!("use session_core::", stringify!($Kind), ";")]
            ///
            #[doc = concat!("let names = ", stringify!($Kind), "::all().into_iter().map(", stringify!($Kind), "::name);")]
            /// assert!(names.into_iter().all(|name| !name.is_empty()));
            /// ```
            #[must_use]
            pub fn all() -> Vec<Self> {
                [$(named!(@all $One $($Why)?)),*].concat()
            }
        }
    };
}

named! {
    /// What happened.
    #[non_exhaustive]
    EventKind, the "event" {
        /// A session was stored for the first time.
        Created = "created",
        /// A session was bound to an owner, under a new secret.
        LoggedIn = "logged_in",
        /// A session got a new secret, other than by a login.
        Renewed(Renewal) = "renewed",
        /// A session was ended by `logout`.
        LoggedOut = "logged_out",
        /// A session was ended by `destroy`.
        Destroyed = "destroyed",
        /// A client presented the right secret of a session that had ended by time.
        Expired = "expired",
        /// A session was ended from outside.
        Revoked(Revocation) = "revoked",
        /// Something was refused.
        Rejected(Rejection) = "rejected",
    }
}

named! {
    /// What a new secret was given for.
    #[non_exhaustive]
    Renewal, the "why" {
        /// A handler called `renew`.
        Asked = "asked",
        /// The old secret had reached the age of `renew_every`.
        Timed = "timed",
    }
}

named! {
    /// Who ended a session from outside.
    #[non_exhaustive]
    Revocation, the "why" {
        /// [`SessionManager::revoke`], by its id.
        Id = "id",
        /// [`SessionManager::revoke_of`], as one of its owner's.
        Owned = "owned",
        /// [`SessionManager::revoke_owner`], with all of its owner's. Of sealed sessions one event
        /// without an id speaks for all.
        Owner = "owner",
        /// [`SessionManager::revoke_all`], with all of the store.
        All = "all",
        /// A login of its owner's, which then had more than `owner_sessions_max`; or its own login,
        /// of several at once that were refused.
        Limit = "limit",
    }
}

named! {
    /// Why something was refused.
    #[non_exhaustive]
    Rejection, the "why" {
        /// A token that is malformed or not signed by this system.
        Foreign = "foreign",
        /// A token whose session is not there.
        Unknown = "unknown",
        /// A token with the id of a session and not its secret.
        WrongSecret = "wrong_secret",
        /// A token whose secret was replaced a moment ago.
        Superseded = "superseded",
        /// A token from another address than its session is bound to.
        WrongAddress = "wrong_address",
        /// A token whose record cannot be decoded.
        Corrupt = "corrupt",
        /// A token of a live session beside another one: one of them may be planted (rule I5).
        SecondLive = "second_live",
        /// A session that would be one too many of its client's address.
        CreationCap = "creation_cap",
        /// A login that would be one too many of its owner's.
        OwnerLimit = "owner_limit",
        /// A save to a session that has ended or whose secret was replaced.
        Gone = "gone",
        /// A request that another site's page made the browser send (rule X2); or one of the
        /// application's own, behind a proxy that rewrites `Host`.
        CsrfOrigin = "csrf_origin",
        /// A request without the session's CSRF token (rule X3).
        CsrfToken = "csrf_token",
    }
}

impl EventKind {
    /// The value of the field and the label `why`; empty where there is none.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Renewed(why) => why.name(),
            Self::Revoked(why) => why.name(),
            Self::Rejected(why) => why.name(),
            Self::Created | Self::LoggedIn | Self::LoggedOut | Self::Destroyed | Self::Expired => {
                ""
            }
        }
    }
}

impl From<Dead> for EventKind {
    fn from(why: Dead) -> Self {
        Self::Rejected(match why {
            Dead::Expired => return Self::Expired,
            Dead::Unknown => Rejection::Unknown,
            Dead::WrongSecret => Rejection::WrongSecret,
            Dead::WrongAddress => Rejection::WrongAddress,
            Dead::Corrupt => Rejection::Corrupt,
        })
    }
}

pub(crate) type Hook = Arc<dyn Fn(&Event) + Send + Sync>;

impl SessionManager {
    /// Tells what has happened now. No lock of ours may be held: the application's hook runs.
    pub(crate) fn tell(
        &self,
        kind: EventKind,
        session: Option<SessionId>,
        owner: Option<&Owner>,
        address: Option<IpAddr>,
    ) {
        let event = Event {
            kind,
            session,
            owner: owner.cloned(),
            address,
            at: self.now(),
        };
        self.tell_event(&event, None);
    }

    fn tell_event(&self, event: &Event, error: Option<&str>) {
        trace(event, error);
        #[cfg(feature = "metrics")]
        metrics::counter!(
            "session_events_total",
            "event" => event.kind.name(), "why" => event.kind.why()
        )
        .increment(1);
        if let Some(hook) = &self.config().options.on_event {
            hook(event);
        }
    }
}

/// The one place where events become log lines.
fn trace(event: &Event, error: Option<&str>) {
    let (kind, why) = (event.kind.name(), event.kind.why());
    let why = (!why.is_empty()).then_some(why);
    let session = event.session.map(tracing::field::display);
    macro_rules! trace {
        ($level:ident, $text:literal) => {
            tracing::$level!(target: "session", event = kind, why, session, error, $text)
        };
    }
    match event.kind {
        EventKind::Created => trace!(debug, "created"),
        EventKind::LoggedIn => trace!(info, "logged in"),
        EventKind::Renewed(_) => trace!(debug, "renewed"),
        EventKind::LoggedOut => trace!(info, "logged out"),
        EventKind::Destroyed => trace!(debug, "destroyed"),
        EventKind::Expired => trace!(debug, "presented after its end"),
        EventKind::Revoked(_) => trace!(info, "revoked"),
        EventKind::Rejected(Rejection::Corrupt) => {
            trace!(error, "the record is kept for inspection");
        }
        EventKind::Rejected(Rejection::SecondLive) => {
            trace!(
                warn,
                "a second live session came with the request; one of them may be planted"
            );
        }
        EventKind::Rejected(Rejection::Gone) => {
            trace!(warn, "changes were lost: the session has ended meanwhile");
        }
        EventKind::Rejected(Rejection::CreationCap) => {
            trace!(debug, "too many new sessions from this address");
        }
        EventKind::Rejected(Rejection::OwnerLimit) => {
            trace!(debug, "the owner has as many sessions as are allowed");
        }
        // A flood of wrong tokens must not become a flood of lines.
        EventKind::Rejected(_) => trace!(debug, "not let in"),
    }
}

/// What an opening met, told when it is through: one that is given up half-way and made again
/// tells nothing twice.
#[derive(Default)]
pub(crate) struct Untold(Vec<(Event, Option<String>)>);

impl Untold {
    pub(crate) fn push(&mut self, event: Event, error: Option<&Error>) {
        let text = error.map(|error| match cause(error) {
            None => error.to_string(),
            Some(cause) => format!("{error}: {cause}"),
        });
        self.0.push((event, text));
    }

    pub(crate) fn tell(self, manager: &SessionManager) {
        for (event, error) in self.0 {
            manager.tell_event(&event, error.as_deref());
        }
    }
}

/// What is true once a write has happened.
#[derive(Clone, Copy, Default)]
pub(crate) struct Facts {
    pub(crate) created: bool,
    pub(crate) logged_in: bool,
    pub(crate) renewed: Option<Renewal>,
}

impl Session {
    /// Tells what a write has brought about; `record` is what it wrote.
    pub(crate) fn tell_committed(&self, outcome: &Outcome, record: &Record) {
        let Facts {
            created,
            logged_in,
            renewed,
        } = outcome.facts;
        let tell = |kind| {
            let id = Some(outcome.token.id());
            let (owner, address) = (record.owner.as_ref(), self.client_address());
            self.manager().tell(kind, id, owner, address);
        };
        if created {
            tell(EventKind::Created);
        }
        if logged_in {
            tell(EventKind::LoggedIn);
        }
        if let Some(why) = renewed {
            tell(EventKind::Renewed(why));
        }
        if logged_in || renewed == Some(Renewal::Asked) {
            // Who was let in under the secret before is so no longer.
            self.manager().endings().tell(&outcome.token.id());
        }
    }

    /// Tells that the record of one of the handle's lives is deleted.
    pub(crate) fn tell_ended(&self, number: u32, id: SessionId) {
        let (kind, owner) = {
            let mut state = self.state();
            let kind = match state.logged_out {
                true => EventKind::LoggedOut,
                false => EventKind::Destroyed,
            };
            let base = state.life_mut(number).and_then(|life| life.base.as_ref());
            (kind, base.and_then(|base| base.owner.clone()))
        };
        let address = self.client_address();
        self.manager().tell(kind, Some(id), owner.as_ref(), address);
    }

    /// Tells of a save that was refused, once for the handle's session; says whether this error
    /// is one that is told.
    pub(crate) fn tell_refused(&self, error: &Error) -> bool {
        let rejection = match error.kind() {
            ErrorKind::Gone => Rejection::Gone,
            ErrorKind::CreationCap => Rejection::CreationCap,
            ErrorKind::TooManySessions => Rejection::OwnerLimit,
            _ => return false,
        };
        let (id, owner) = {
            let mut state = self.state();
            if std::mem::replace(&mut state.life.refusal_told, true) {
                return true;
            }
            // The session that is gone may be one that was to be ended.
            let mut lives = std::iter::once(&state.life).chain(state.ended.iter().rev());
            let stored = lives.find(|life| life.base.is_some());
            match stored.filter(|_| rejection == Rejection::Gone) {
                Some(life) => (
                    life.token.as_ref().map(|token| token.id()),
                    life.base.as_ref().and_then(|base| base.owner.clone()),
                ),
                None => (None, None),
            }
        };
        let address = self.client_address();
        let kind = EventKind::Rejected(rejection);
        self.manager().tell(kind, id, owner.as_ref(), address);
        true
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
