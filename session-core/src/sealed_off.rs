//! What stands in for client-side sessions where the feature `sealed` is off: there are none.

use std::sync::Arc;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::endings::Endings;
use crate::error::Error;
use crate::id::{NewerFormat, SessionId, Signed, Token};
use crate::manager::SessionManager;
use crate::record::{Owner, Record};

pub(crate) enum Sealed {}

impl Sealed {
    pub(crate) fn endings(&self) -> &Endings {
        match *self {}
    }

    pub(crate) fn seal(&self, _: &Token, _: &Record) -> Result<String, Error> {
        match *self {}
    }

    pub(crate) async fn as_stored(
        &self,
        _: &'static str,
        _: &SessionId,
        _: &Arc<Record>,
    ) -> Result<Option<Arc<Record>>, Error> {
        match *self {}
    }

    pub(crate) async fn check_again(
        &self,
        _: &'static str,
        _: &SessionId,
        _: &Record,
        _: &Deadline,
    ) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn renews(&self, _: &Record, _: &Record) -> bool {
        match *self {}
    }

    pub(crate) fn check_timeout(&self, _: Duration) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) async fn before_write(
        &self,
        _: &'static str,
        _: &SessionId,
        _: Option<&Record>,
        _: &mut Record,
        _: &Deadline,
    ) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn can_end(&self, _: &Record) -> bool {
        match *self {}
    }

    pub(crate) async fn before_delete(
        &self,
        _: &'static str,
        _: &SessionId,
        _: &Record,
        _: &Deadline,
    ) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) async fn revoke_of(&self, _: &Owner, _: &SessionId) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) async fn revoke_owner(&self, _: &Owner, _: Option<&SessionId>) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn open(&self, _: &[u8]) -> Result<Option<(Token, Record, Signed)>, NewerFormat> {
        match *self {}
    }
}

impl SessionManager {
    pub(crate) fn of_exchange(&self, _: Option<(SessionId, &Arc<Record>)>) -> Option<Self> {
        None
    }
}
