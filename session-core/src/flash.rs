//! Messages for the next page, each shown exactly once.
//!
//! Flashes live beside the application's data: `keys`, `len` and `clear` do not see them. Taking
//! them is committed before they are returned, so of two requests at once exactly one gets each
//! (rule C6).
//!
//! ```
//! # use session_core::{Error, Session};
//! async fn after_sign_in(session: Session) -> Result<(), Error> {
//!     session.flash("success", "Signed in as ada.")
//! }
//! async fn page(session: Session) -> Result<Vec<String>, Error> {
//!     let flashes = session.take_flashes().await?;
//!     Ok(flashes.into_iter().map(|flash| flash.text).collect())
//! }
//! ```

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::operations::{Draft, Space, decode, encode};
use crate::session::Session;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// The kind of message, such as `success` or `error`: the application's choice.
    pub category: String,
    /// The text, to be escaped like any other where it is shown.
    pub text: String,
}

/// Where flashes stand among the library's own values.
const FLASHES: &str = "flash";

impl Session {
    /// Adds a message, in order, for whoever takes it next.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`](crate::ErrorKind::WrongType): the stored flashes are damaged.
    pub fn flash(&self, category: impl Into<String>, text: impl Into<String>) -> Result<(), Error> {
        let flash = Flash {
            category: category.into(),
            text: text.into(),
        };
        let json = encode(FLASHES, &flash)?;
        self.state()
            .life
            .draft
            .append_in(Space::Own, FLASHES, &json)
    }

    /// Takes all messages, oldest first; no other request gets them too.
    ///
    /// # Errors
    ///
    /// As for [`save`](Session::save): taking them is stored before they are returned. Pending
    /// changes are stored with it.
    pub async fn take_flashes(&self) -> Result<Vec<Flash>, Error> {
        self.take_flashes_if(|_| true).await
    }

    /// Takes the messages of one category, oldest first; the others stay.
    ///
    /// # Errors
    ///
    /// As for [`take_flashes`](Self::take_flashes).
    pub async fn take_flashes_of(&self, category: &str) -> Result<Vec<Flash>, Error> {
        self.take_flashes_if(|flash| flash.category == category)
            .await
    }

    async fn take_flashes_if(&self, wanted: impl Fn(&Flash) -> bool) -> Result<Vec<Flash>, Error> {
        if !flashes(&self.state().life.draft)?.iter().any(&wanted) {
            return Ok(Vec::new());
        }
        self.commit("taking the session's flashes", |draft| {
            let (taken, left): (Vec<Flash>, Vec<Flash>) =
                flashes(draft)?.into_iter().partition(&wanted);
            let left = if left.is_empty() {
                None
            } else {
                Some(encode(FLASHES, &left)?)
            };
            if !taken.is_empty() {
                draft.replace(Space::Own, FLASHES, left);
            }
            Ok::<_, Error>(taken)
        })
        .await
    }
}

fn flashes(draft: &Draft) -> Result<Vec<Flash>, Error> {
    draft
        .value(Space::Own, FLASHES)
        .map_or(Ok(Vec::new()), |json| decode(FLASHES, json))
}
