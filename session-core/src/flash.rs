//! Messages for the next page, each shown exactly once.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::operations::{Draft, Space, decode, encode};
use crate::session::Session;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// The kind of message, such as `success` or `error`: the application's choice.
    pub category: String,
    /// Plain text: nothing here escapes it, and nothing marks it as safe. Whoever shows it escapes it
    /// like any other value, as template engines do by themselves.
    pub text: String,
}

/// Where the default queue stands among the library's own values; the others are named after it.
const FLASHES: &str = "flash";

/// On the default queue.
impl Session {
    /// Adds a message, in order, for whoever takes it next: shown on the next page, exactly once.
    ///
    /// Messages wait in the default queue, in the order in which they were added, whatever their
    /// category; [`flash_queue`](Self::flash_queue) gives others. They live beside the application's
    /// data: `keys`, `len` and `clear` do not see them.
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// fn after_sign_in(session: &Session) -> Result<(), Error> {
    ///     session.flash("success", "Signed in as ada.")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`](crate::ErrorKind::WrongType): the stored flashes are damaged.
    pub fn flash(&self, category: impl Into<String>, text: impl Into<String>) -> Result<(), Error> {
        self.default_queue().flash(category, text)
    }

    /// Adds a message unless one of the same category and text waits already.
    ///
    /// Whether one waits is looked at when the message is stored, and again on every conflict:
    /// of two requests that add the same at once, one does.
    ///
    /// # Errors
    ///
    /// As for [`flash`](Self::flash).
    pub fn flash_once(
        &self,
        category: impl Into<String>,
        text: impl Into<String>,
    ) -> Result<(), Error> {
        self.default_queue().flash_once(category, text)
    }

    /// The messages that wait, oldest first; they stay, and may be shown to others, too.
    ///
    /// # Errors
    ///
    /// As for [`flash`](Self::flash).
    pub fn flashes(&self) -> Result<Vec<Flash>, Error> {
        self.default_queue().flashes()
    }

    /// Takes all messages, oldest first; no other request gets them too (rule C6).
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// async fn page(session: &Session) -> Result<String, Error> {
    ///     let flashes = session.take_flashes().await?;
    ///     // Each is plain text, and escaped where it is shown.
    ///     let texts: Vec<_> = flashes.into_iter().map(|flash| flash.text).collect();
    ///     Ok(texts.join("\n"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`save`](Session::save): taking them is stored before they are returned. Pending
    /// changes are stored with it.
    pub async fn take_flashes(&self) -> Result<Vec<Flash>, Error> {
        self.default_queue().take_flashes().await
    }

    /// Takes the messages of these categories, oldest first; the others stay.
    ///
    /// # Errors
    ///
    /// As for [`take_flashes`](Self::take_flashes).
    pub async fn take_flashes_of(&self, categories: &[&str]) -> Result<Vec<Flash>, Error> {
        self.default_queue().take_flashes_of(categories).await
    }

    /// The queue of this name, which exists as long as messages wait in it.
    ///
    /// ```
    /// # use session_core::{Error, Flash, Session};
    /// fn ordered(session: &Session) -> Result<(), Error> {
    ///     session.flash_queue("checkout").flash("success", "Your order is on its way.")
    /// }
    /// async fn checkout_page(session: &Session) -> Result<Vec<Flash>, Error> {
    ///     session.flash_queue("checkout").take_flashes_of(&["success", "error"]).await
    /// }
    /// ```
    #[must_use]
    pub fn flash_queue(&self, name: &str) -> FlashQueue<'_> {
        FlashQueue {
            session: self,
            key: format!("{FLASHES}:{name}").into(),
        }
    }

    fn default_queue(&self) -> FlashQueue<'_> {
        FlashQueue {
            session: self,
            key: FLASHES.into(),
        }
    }
}

/// Messages apart from those of every other queue: made by [`Session::flash_queue`].
///
/// Its methods are the session's, on this queue.
#[derive(Clone, Debug)]
pub struct FlashQueue<'a> {
    session: &'a Session,
    key: Cow<'static, str>,
}

impl FlashQueue<'_> {
    /// Adds a message, in order, for whoever takes it next.
    ///
    /// # Errors
    ///
    /// As for [`Session::flash`].
    pub fn flash(&self, category: impl Into<String>, text: impl Into<String>) -> Result<(), Error> {
        self.add(category.into(), text.into(), Draft::append_in)
    }

    /// Adds a message unless one of the same category and text waits already.
    ///
    /// # Errors
    ///
    /// As for [`Session::flash_once`].
    pub fn flash_once(
        &self,
        category: impl Into<String>,
        text: impl Into<String>,
    ) -> Result<(), Error> {
        self.add(category.into(), text.into(), Draft::append_once_in)
    }

    /// The messages that wait, oldest first; they stay.
    ///
    /// # Errors
    ///
    /// As for [`Session::flashes`].
    pub fn flashes(&self) -> Result<Vec<Flash>, Error> {
        self.waiting(&self.session.state().life.draft)
    }

    /// Takes all messages, oldest first; no other request gets them too.
    ///
    /// # Errors
    ///
    /// As for [`Session::take_flashes`].
    pub async fn take_flashes(&self) -> Result<Vec<Flash>, Error> {
        self.take(|_| true).await
    }

    /// Takes the messages of these categories, oldest first; the others stay.
    ///
    /// # Errors
    ///
    /// As for [`Session::take_flashes_of`].
    pub async fn take_flashes_of(&self, categories: &[&str]) -> Result<Vec<Flash>, Error> {
        self.take(|flash| categories.contains(&&*flash.category))
            .await
    }

    fn add(
        &self,
        category: String,
        text: String,
        append: fn(&mut Draft, Space, &str, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let json = encode(&self.key, &Flash { category, text })?;
        let draft = &mut self.session.state().life.draft;
        append(draft, Space::Own, &self.key, &json)
    }

    async fn take(&self, wanted: impl Fn(&Flash) -> bool) -> Result<Vec<Flash>, Error> {
        if !self.flashes()?.iter().any(&wanted) {
            return Ok(Vec::new());
        }
        let take = |draft: &mut Draft| {
            let (taken, left): (Vec<Flash>, Vec<Flash>) =
                self.waiting(draft)?.into_iter().partition(&wanted);
            let left = if left.is_empty() {
                None
            } else {
                Some(encode(&self.key, &left)?)
            };
            if !taken.is_empty() {
                draft.replace(Space::Own, &self.key, left);
            }
            Ok::<_, Error>(taken)
        };
        self.session
            .commit("taking the session's flashes", take)
            .await
    }

    fn waiting(&self, draft: &Draft) -> Result<Vec<Flash>, Error> {
        draft
            .value(Space::Own, &self.key)
            .map_or(Ok(Vec::new()), |json| decode(&self.key, json))
    }
}
