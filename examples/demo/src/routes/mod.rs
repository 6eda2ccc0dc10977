//! What each route does with a session, and what it answers, whichever framework asks.
//!
//! A function here is given the request's session and the parts of the request it needs, as
//! text and bytes. It returns an [`Answer`](crate::answer::Answer), or the session's error for
//! the framework's adapter to answer.

pub mod account;
pub mod counter;
pub mod devices;
pub mod health;
pub mod home;
pub mod me;
pub mod slow;
pub mod transfer;
pub mod values;
