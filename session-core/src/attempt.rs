//! One write attempt: what it is decided by, and the record that follows from it.

use crate::clock::Timestamp;
use crate::config::SessionConfig;
use crate::error::{Error, ErrorKind};
use crate::id::{Digest, Secret, Token};
use crate::manager::SessionManager;
use crate::operations::Draft;
use crate::plan::{Done, Due, Plan, Refusal, Standing, is_expired, plan};
use crate::record::{Owner, Previous, Record};
use crate::session::{Limits, Session};

/// All that one write attempt is decided by.
pub(crate) struct Attempt {
    pub(crate) standing: Standing,
    pub(crate) base: Option<Record>,
    pub(crate) token: Token,
    pub(crate) done: Done,
    pub(crate) due: Due,
    /// The secret that was loaded: a timed renewal is due only while it is in force.
    pub(crate) loaded_secret: Option<Digest>,
    pub(crate) login: Option<Owner>,
    pub(crate) limits: Option<Limits>,
    pub(crate) keep_expiry: bool,
    pub(crate) head_sent: bool,
}

impl Attempt {
    /// The same attempt on a newer record.
    pub(crate) fn on(mut self, record: Record) -> Self {
        // Who finds the secret already replaced drops its own renewal (rule I7).
        self.due.renewal &= self.loaded_secret == Some(record.secret);
        self.base = Some(record);
        self
    }

    /// Whether the record it builds on has expired since it was loaded (rule E2).
    pub(crate) fn has_expired(&self, manager: &SessionManager) -> bool {
        let base = self.base.as_ref();
        base.is_some_and(|base| is_expired(base, manager.now(), manager.config()))
    }

    pub(crate) fn plan(&self) -> Result<Plan, Refusal> {
        plan(self.standing, self.done, self.due)
    }

    /// The record to write, and the token that opens it.
    pub(crate) fn next(
        &mut self,
        session: &Session,
        draft: &Draft,
        operation: &'static str,
    ) -> Result<(Record, Token), Error> {
        let manager = &session.0.manager;
        let config = manager.config();
        let now = manager.now();
        let (data, own) = draft.apply()?;
        let size = data.as_str().len() + own.as_str().len();
        let most = config.options.max_size;
        if size > most {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("{operation} failed: it has {size} bytes and max_size is {most}"),
            ));
        }
        let mut record = match &self.base {
            None => Record::new(self.token.digest(), now, config.expiry(now))?,
            Some(base) => Record {
                version: base.version.next()?,
                ..base.clone()
            },
        };
        record.data = data;
        record.own = own;
        if self.base.is_none() || self.login.is_some() {
            record.address = session.0.visitor.address;
            record.agent.clone_from(&session.0.visitor.agent);
        }
        if let Some(limits) = self.limits {
            record.own_timeout = true;
            record.persistent = limits.persistent;
            record.expiry = config.expiry_with(limits.timeout, record.created_at);
        } else if !record.own_timeout {
            record.expiry = config.expiry(record.created_at);
        }
        if !self.keep_expiry {
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
        if asked {
            record.generation = base.generation.next();
            record.previous = Some(Box::new(Previous {
                secret: base.secret,
                until: Some(until),
                valid: false,
            }));
            if let Some(owner) = &self.login {
                record.owner = Some(owner.clone());
            }
        } else if timed {
            // Presented under the secret before the last one: the last was never received.
            let kept = record
                .previous
                .take()
                .filter(|previous| previous.valid && previous.until.is_none());
            let superseded = Previous {
                secret: base.secret,
                until: None,
                valid: true,
            };
            record.previous = Some(kept.unwrap_or_else(|| Box::new(superseded)));
        } else if self.due.confirm {
            if let Some(previous) = record.previous.as_mut().filter(|previous| previous.valid) {
                previous.until.get_or_insert(until);
            }
        }
        if asked || timed {
            let token = Token::new(self.token.id(), Secret::random()?);
            record.secret = token.digest();
            record.secret_at = now;
            self.token = token;
        }
        Ok(())
    }
}
