//! Sessions that begin outside of a request.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;

use crate::error::{Error, ErrorKind};
use crate::manager::SessionManager;
use crate::session::Session;
use crate::state::{Life, State, initial};
use crate::visitor::{Agent, Visitor};

/// A session that begins outside of a request, from [`SessionManager::begin`] until
/// [`issue`](Self::issue).
///
/// Whatever a handler does with its session can be done with this one. Nothing of it is stored
/// before `issue`, unless it is [saved](Session::save).
#[derive(Debug)]
pub struct NewSession(Session);

/// A session that was begun outside of a request, and stored.
#[derive(Clone)]
#[non_exhaustive]
pub struct Issued {
    /// The text that opens it. Whoever has it is the user: keep it out of logs and addresses. No
    /// store can give it again.
    pub token: String,
    /// Name and value of the response's field that gives it to a client, as the configuration's
    /// transport has it: `set-cookie` and the cookie with its attributes. `None` where the transport
    /// writes no field.
    pub field: Option<(String, String)>,
    /// The session, as a handler has it once its response has left.
    pub session: Session,
}

impl SessionManager {
    /// Begins a session outside of a request: for a test that needs a client who is signed in, for a
    /// program on a machine of the user's, under a framework that has no adapter. Also in a request,
    /// for a login that answers with its token (`examples/recipes/src/token.rs`): that of the request's
    /// own session is made when the request ends.
    ///
    /// `address` and `agent` are the client's, where they are known; a device list shows them. Sessions
    /// that are bound to their address (`ignore_change_ip(false)`) need one. What the application
    /// begins by itself is not counted by [`creation_cap`](crate::SessionConfigBuilder::creation_cap).
    ///
    /// ```
    /// use session_core::{MemoryStore, Owner, SessionConfig, SessionManager};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let config = SessionConfig::builder().build()?;
    /// let sessions = SessionManager::new(MemoryStore::new(), config);
    ///
    /// let new = sessions.begin(None, Some("backup 1.4"))?;
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
    pub fn begin(&self, address: Option<IpAddr>, agent: Option<&str>) -> Result<NewSession, Error> {
        if address.is_none() && !self.config().options.ignore_change_ip {
            return Err(Error::new(
                ErrorKind::Invalid,
                "beginning a session failed: ignore_change_ip is off, so the address that it is bound to has to be given",
            ));
        }
        let visitor = Visitor {
            address,
            agent: agent.map(|agent| Agent::of(agent.as_bytes(), None)),
            is_counted: false,
        };
        let state = State {
            visitor,
            sealed: self.sealed_by().is_some(),
            ..State::new(Life::new(0, initial(self)?), false)
        };
        let manager = self.of_exchange(None).unwrap_or_else(|| self.clone());
        Ok(NewSession(Session::new(manager, state)))
    }
}

impl NewSession {
    /// Stores the session, a login included, and gives the text that opens it.
    ///
    /// # Errors
    ///
    /// As a request's end has them: [`ErrorKind::Unavailable`], [`ErrorKind::Full`],
    /// [`ErrorKind::TooLarge`], [`ErrorKind::TooManySessions`], [`ErrorKind::Contended`],
    /// [`ErrorKind::Gone`]. Nobody has a token then, so what was stored is deleted again; a limit of the
    /// owner's sessions may have ended others by then. [`ErrorKind::Invalid`]: nothing was put in and
    /// nobody logged in, or it was ended, so that there is nothing to open.
    ///
    /// # Cancellation
    ///
    /// If it is given up half-way, or the store carries out late what it seemed to have failed at, a
    /// session may be left that nobody can open. It lasts until it expires; of an owner,
    /// [`sessions_of`](SessionManager::sessions_of) lists it and
    /// [`revoke`](SessionManager::revoke) ends it.
    pub async fn issue(self) -> Result<Issued, Error> {
        let Self(session) = self;
        match session.issue().await {
            Ok((token, field)) => Ok(Issued {
                token,
                field,
                session,
            }),
            Err(error) => {
                session.delete_unissued().await;
                Err(error)
            }
        }
    }
}

/// Says that what follows comes after the response's head.
struct HeadSent<'a>(&'a Session);

impl Drop for HeadSent<'_> {
    fn drop(&mut self) {
        self.0.state().end_head();
    }
}

impl Session {
    /// Stores the session; what its client is to get.
    async fn issue(&self) -> Result<(String, Option<(String, String)>), Error> {
        const NOTHING: &str = "issuing a session failed: there is nothing to store";
        // Also if this is given up half-way: what a clone does comes after it.
        let after = HeadSent(self);
        if let Some(plan) = self.conclusion()? {
            self.carry_out(plan).await?;
        }
        drop(after);
        let manager = self.manager();
        let state = self.state();
        let (token, base) = state
            .life
            .token_in_force()
            .ok_or_else(|| Error::new(ErrorKind::Invalid, NOTHING))?;
        let token = manager.expose(token, base)?;
        let config = manager.config();
        let life = config.cookie_life(base);
        let field = config.transport.write(&config.cookie, &token, life);
        Ok((token, field))
    }

    /// Deletes a session whose token nobody has. Its failure is logged; it is not what was asked for.
    async fn delete_unissued(&self) {
        let manager = self.manager();
        let left = self.state().close();
        for id in left {
            // Of a sealed one there is nothing but the token.
            if manager.sealed_by().is_none() {
                let _ = manager.revoke(&id).await;
            }
        }
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
