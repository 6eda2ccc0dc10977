//! Sessions that begin outside of a request.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;

use crate::error::{Error, ErrorKind};
use crate::manager::SessionManager;
use crate::session::Session;
use crate::state::{Life, State, initial};
use crate::visitor::Visitor;

/// A session that begins outside of a request, from [`SessionManager::begin`] until
/// [`issue`](Self::issue).
///
/// Whatever a handler does with its session can be done with this one; nothing of it is stored
/// before `issue`, unless it is [saved](Session::save).
#[derive(Debug)]
pub struct NewSession(Session);

/// A session that was begun outside of a request, and stored.
#[derive(Clone)]
#[non_exhaustive]
pub struct Issued {
    /// The text that opens it: what its client presents, in a cookie or as its transport has it.
    ///
    /// Whoever has it is the user: it is shown once, here, and no store can give it again.
    pub token: String,
    /// The session, as a handler has it once its response has left.
    pub session: Session,
}

impl SessionManager {
    /// Begins a session outside of a request: for a test that needs a client who is signed in, a
    /// program on a machine of the user's, a link that opens what another has prepared.
    ///
    /// `address` is the client's, where it is known. Sessions that are bound to their address
    /// (`ignore_change_ip(false)`) need it; [`creation_cap`](crate::SessionConfigBuilder::creation_cap)
    /// does not count what the application begins by itself.
    ///
    /// ```
    /// use session_core::{MemoryStore, Owner, SessionConfig, SessionManager};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let config = SessionConfig::builder().build()?;
    /// let sessions = SessionManager::new(MemoryStore::new(), config);
    ///
    /// let new = sessions.begin(None)?;
    /// new.login(Owner::new("ada")?);
    /// new.insert("plan", "gold")?;
    /// let issued = new.issue().await?;
    ///
    /// let cookie = format!("{}={}", sessions.config().cookie_name(), issued.token);
    /// // request.header("cookie", cookie) ...
    /// # assert!(cookie.starts_with("__Host-"));
    /// # Ok::<(), session_core::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: sessions are bound to an address, and `address` is `None`. What the
    /// [initializer](crate::SessionConfigBuilder::initializer) fails with.
    pub fn begin(&self, address: Option<IpAddr>) -> Result<NewSession, Error> {
        if address.is_none() && !self.config().options.ignore_change_ip {
            return Err(Error::new(
                ErrorKind::Invalid,
                "beginning a session failed: ignore_change_ip is off, so the address that it is bound to has to be given",
            ));
        }
        let visitor = Visitor {
            address,
            agent: None,
            is_counted: false,
        };
        let state = State::new(Life::new(0, initial(self)?), false);
        let manager = self.of_exchange(None);
        let session = Session::new(manager, visitor, state);
        session.state().sealed = self.sealed_by().is_some();
        Ok(NewSession(session))
    }
}

impl NewSession {
    /// Stores the session, a login included, and gives the text that opens it.
    ///
    /// # Errors
    ///
    /// As a request's end has them: [`ErrorKind::Unavailable`], [`ErrorKind::Full`],
    /// [`ErrorKind::TooLarge`], [`ErrorKind::TooManySessions`]; nobody has a token then, and what
    /// may have been stored expires. [`ErrorKind::Invalid`]: nothing was put in, and nobody logged
    /// in, so there is nothing to store.
    pub async fn issue(self) -> Result<Issued, Error> {
        const NOTHING: &str = "issuing a session failed: nothing was put in it, nobody logged in";
        let Self(session) = self;
        if let Some(plan) = session.conclusion()? {
            session.carry_out(plan).await?;
        }
        let token = session.expose_token()?;
        let token = token.ok_or_else(|| Error::new(ErrorKind::Invalid, NOTHING))?;
        session.state().head_sent = true;
        Ok(Issued { token, session })
    }
}

impl Deref for NewSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

impl fmt::Debug for Issued {
    /// Shows no token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
