//! Header text in, header text out.
//!
//! Nothing here knows a web framework or does I/O: bytes of a request's headers come in, answers
//! and the text of a `Set-Cookie` field go out.

pub mod attributes;
pub mod check;
pub mod client_addr;
pub mod cookie;
pub mod net;
pub mod policy;

pub use attributes::{CookieAttributes, Lifetime, SameSite};
pub use check::PolicyError;
pub use client_addr::client_address;
pub use cookie::{Values, values};
pub use net::{IpNet, IpNetError, IpPrefix, TrustedProxies};
pub use policy::CookiePolicy;
