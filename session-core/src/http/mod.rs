//! Header text in, header text out.
//!
//! Nothing here knows a web framework: bytes of a request's headers come in, answers and the
//! text of a `Set-Cookie` field go out.

mod attributes;
mod check;
mod client_addr;
mod cookie;
pub(crate) mod exchange;
mod finished;
mod form;
mod guard;
mod nested;
mod net;
mod opening;
mod origin;
mod policy;
mod reply;
mod transport;

pub use attributes::{CookieAttributes, Lifetime, SameSite};
pub use check::PolicyError;
pub use client_addr::client_address;
pub use cookie::{Values, values};
pub use exchange::{Begun, Exchange, Finish, LazySession, Loading, PendingFinish};
pub use finished::{Finished, ResponseHead};
pub use guard::{Check, CsrfGuard, CsrfGuardBuilder, FormCheck, TokenCheck};
pub use nested::{Main, Nested};
pub use net::{IpNet, IpNetError, IpPrefix, TrustedProxies};
pub use policy::CookiePolicy;
pub use reply::Reply;
pub use transport::{RequestHead, TokenTransport, Transport};
