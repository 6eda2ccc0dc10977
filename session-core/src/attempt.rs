//! One write attempt: what it is decided by, and the record that follows from it.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::config::SessionConfig;
use crate::error::{Error, ErrorKind};
use crate::event::{Facts, Renewal};
use crate::id::{Secret, Token};
use crate::manager::SessionManager;
use crate::operations::Draft;
use crate::plan::{Done, Due, Plan, Refusal, Standing, is_expired, plan};
use crate::record::{Owner, Previous, Record};
use crate::state::{Limits, Outcome, Scope, needs_touch};
use crate::visitor::Client;

/// All that one write attempt is decided by.
pub(crate) struct Attempt {
    /// The life of the handle that it is made for.
    pub(crate) life: u32,
    pub(crate) now: Timestamp,
    pub(crate) scope: Scope,
    pub(crate) standing: Standing,
    pub(crate) base: Option<Arc<Record>>,
    pub(crate) token: Token,
    pub(crate) done: Done,
    pub(crate) due: Due,
    /// So many operations of the handle are in the draft that it writes.
    pub(crate) operations: usize,
    pub(crate) renew: bool,
    pub(crate) login: Option<Owner>,
    /// Whose the session becomes: where it begins or is logged in to.
    pub(crate) binds_to: Option<Client>,
    /// The record is another owner's: its values are not built upon.
    pub(crate) takes_over: bool,
    /// Others were ended before it, and may be there still.
    pub(crate) follows_an_end: bool,
    pub(crate) limits: Option<Limits>,
    pub(crate) keep_expiry: bool,
    pub(crate) head_sent: bool,
}

impl Attempt {
    /// The same attempt on a newer record.
    pub(crate) fn on(&mut self, record: Arc<Record>) {
        self.due.goes_on(self.base.as_deref(), &record);
        self.base = Some(record);
    }

    /// Puts the draft's operations on the data of the record that the attempt builds on.
    pub(crate) fn rebase(&self, draft: &mut Draft) -> Result<(), Error> {
        let (data, own) = match &self.base {
            Some(_) if self.takes_over => Default::default(),
            Some(base) => (base.data.clone(), base.own.clone()),
            // Nothing is stored: the values that it began with.
            None => draft.began_with(),
        };
        draft.rebase(data, own)
    }

    /// Whether the record it builds on has expired since it was loaded (rule E2).
    pub(crate) fn has_expired(&self, manager: &SessionManager) -> bool {
        let base = self.base.as_ref();
        base.is_some_and(|base| is_expired(base, self.now, manager.config()))
    }

    pub(crate) fn plan(&self) -> Result<Plan, Refusal> {
        plan(self.standing, self.done, self.due)
    }

    /// Whether the client cannot go on without what the response head would have brought it.
    pub(crate) fn needs_head(&self, plan: &Plan) -> bool {
        let was = self.base.as_ref().is_some_and(|base| base.persistent);
        plan.cookie_needed
            || self
                .limits
                .is_some_and(|limits| limits.persistent == Some(true) && !was)
    }

    /// What the write brings about, under the token that opens the record.
    pub(crate) fn outcome(&self, plan: &Plan, token: Token) -> Outcome {
        Outcome {
            scope: self.scope,
            token,
            cookie: plan.cookie,
            operations: self.operations,
            renew: self.renew,
            limits: self.limits,
            facts: self.facts(),
        }
    }

    /// What is true once it is written.
    fn facts(&self) -> Facts {
        let (created, logged_in) = (self.base.is_none(), self.login.is_some());
        // Who is created or logged in has a new secret anyway.
        let renewed = if created || logged_in {
            None
        } else if self.done.renewed {
            Some(Renewal::Asked)
        } else {
            self.due.renewal.then_some(Renewal::Timed)
        };
        Facts {
            created,
            logged_in,
            renewed,
        }
    }

    /// The record to write, and the token that opens it.
    pub(crate) fn next(
        &mut self,
        manager: &SessionManager,
        draft: &Draft,
        operation: &'static str,
    ) -> Result<(Record, Token), Error> {
        let config = manager.config();
        let now = self.now;
        let (data, own) = draft.apply()?;
        let size = data.as_str().len() + own.as_str().len();
        let most = config.options.max_size;
        // A session that was stored under a larger limit goes on, but does not grow.
        let before = self
            .base
            .as_ref()
            .map_or(0, |base| base.data.as_str().len() + base.own.as_str().len());
        if size > most.max(before) {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("{operation} failed: it has {size} bytes and max_size is {most}"),
            ));
        }
        let mut record = match &self.base {
            None => Record {
                data,
                own,
                ..Record::new(self.token.digest(), now, config.expiry(None, false, now))?
            },
            Some(base) => Record {
                version: base.version.next()?,
                previous: base.previous.clone(),
                owner: base.owner.clone(),
                agent: base.agent.clone(),
                data,
                own,
                ..**base
            },
        };
        if let Some(client) = &self.binds_to {
            if client.address.is_none() && !config.options.ignore_change_ip {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!(
                        "{operation} failed: ignore_change_ip is off and the client's address is not known, so the session cannot be bound to it; under axum serve with `into_make_service_with_connect_info::<SocketAddr>()`; over a Unix socket set `trust_unix_socket`"
                    ),
                ));
            }
            record.address = client.address;
            record.agent.clone_from(&client.agent);
        }
        if self.login.is_some() {
            // What the visitor had of the absolute time-out is not taken from the user's.
            record.created_at = record.created_at.max(now);
        }
        if self.takes_over {
            // What the other owner was given is not for this one.
            record.own_timeout = None;
            record.persistent = false;
        }
        if let Some(limits) = self.limits {
            record.own_timeout = limits.timeout;
            record.persistent = limits.persistent.unwrap_or(record.persistent);
        }
        record.expiry = config.expiry(record.own_timeout, record.persistent, record.created_at);
        if let (Some(sealed), Some(base)) = (manager.sealed_by(), &self.base) {
            self.done.renewed |= sealed.renews(base, &record);
        }
        // Moved by each write it would seldom be old enough for a persistent cookie to be sent again.
        let moves = self.login.is_some()
            || self.limits.is_some()
            || needs_touch(&record, now, self.head_sent, manager);
        if moves && !self.keep_expiry {
            record.accessed_at = record.accessed_at.max(now);
        }
        self.replace_secret(&mut record, now, config)?;
        Ok((record, self.token.clone()))
    }

    /// Renewal and login give the record a new secret; a timed one leaves the old secret valid
    /// until the new one is presented.
    fn replace_secret(
        &mut self,
        record: &mut Record,
        now: Timestamp,
        config: &SessionConfig,
    ) -> Result<(), Error> {
        let Some(base) = &self.base else {
            record.owner.clone_from(&self.login);
            return Ok(());
        };
        let asked = self.done.renewed || self.done.logged_in;
        let timed = self.due.renewal;
        let until = now.after(config.options.grace);
        if !asked && !timed {
            if self.due.confirm
                && let Some(previous) = record.previous.as_mut().filter(|previous| previous.valid)
            {
                previous.until.get_or_insert(until);
            }
            return Ok(());
        }
        // A secret that was never presented was perhaps never received: the client's other requests
        // come under the one before it.
        let unconfirmed = |previous: &&Previous| previous.valid && previous.until.is_none();
        let presented = base.previous.as_deref().filter(unconfirmed);
        let presented = presented.filter(|_| !self.due.confirm);
        record.previous = Some(Box::new(Previous {
            secret: presented.map_or(base.secret, |previous| previous.secret),
            until: asked.then_some(until),
            valid: !asked,
        }));
        if asked {
            record.generation = base.generation.next();
            if let Some(owner) = &self.login {
                record.owner = Some(owner.clone());
            }
        }
        let token = Token::new(self.token.id(), Secret::random()?);
        record.secret = token.digest();
        record.secret_at = now;
        self.token = token;
        Ok(())
    }
}
