//! A session's values as one: a snapshot to show, a struct or a map to store key by key.

use serde::Serialize;

use crate::data::Data;
use crate::error::{Error, ErrorKind};
use crate::operations::{Draft, Space};
use crate::session::Session;

impl Session {
    /// All keys and values as of now: the changes made so far are in it, later ones are not.
    ///
    /// Looking is no change and stores nothing; flashes and the CSRF token are not in it.
    ///
    /// It is what a template gets: [`Data`] serialises as an object of the values, for any
    /// engine, and nothing can be changed through it. With minijinja:
    ///
    /// ```
    /// use minijinja::{Environment, context, value::Serde};
    /// use session_core::{Error, Session};
    ///
    /// const PAGE: &str = "<p>{{ session.user.name }}: {{ session.basket | length }} articles";
    ///
    /// fn page(engine: &Environment<'_>, session: &Session) -> Result<String, Error> {
    ///     let values = context! { session => Serde(session.data()?) };
    ///     engine.render_named_str("page.html", PAGE, values).map_err(Error::application)
    /// }
    /// ```
    ///
    /// An engine whose templates are compiled, such as askama or maud, calls [`get`](Self::get)
    /// itself. To walk over keys and raw values there is [`Data::entries`].
    ///
    /// # Cost
    ///
    /// On a session without changes it shares what was loaded; otherwise it is a copy.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`]: a value that was stored on this handle has more than 4 GiB.
    pub fn data(&self) -> Result<Data, Error> {
        self.state().life.draft.data()
    }

    /// Stores each field of a struct, or entry of a map, under its name; other keys stay.
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// #[derive(serde::Serialize)]
    /// struct Settings<'a> {
    ///     language: &'a str,
    ///     font_size: u8,
    /// }
    /// fn keep(session: &Session, settings: &Settings) -> Result<(), Error> {
    ///     session.insert_all(settings)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: `values` cannot be expressed as a JSON object; then none is
    /// stored.
    pub fn insert_all<T: Serialize>(&self, values: T) -> Result<(), Error> {
        // Serialising is the application's code: it runs before the lock is taken.
        let values = object(&values)?;
        self.state().life.draft.replace_each(Space::User, &values);
        Ok(())
    }
}

impl Draft {
    /// All keys and values as of now, as [`Session::data`] gives them.
    ///
    /// # Errors
    ///
    /// As for [`Session::data`].
    pub fn data(&self) -> Result<Data, Error> {
        self.applied(Space::User)
    }

    /// Stores each field of a struct, or entry of a map, under its name; other keys stay.
    ///
    /// # Errors
    ///
    /// As for [`Session::insert_all`].
    pub fn insert_all<T: Serialize>(&mut self, values: T) -> Result<(), Error> {
        self.replace_each(Space::User, &object(&values)?);
        Ok(())
    }
}

fn object<T: Serialize>(values: &T) -> Result<Data, Error> {
    let refused = || {
        let given = std::any::type_name::<T>();
        let message = format!("writing a {given} as the session's values failed");
        Error::new(ErrorKind::WrongType, message)
    };
    let json = serde_json::to_string(values).map_err(|source| refused().caused_by(source))?;
    Data::parse(&json).map_err(|source| refused().caused_by(source))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn all_fields_are_stored_or_none() {
        #[derive(Serialize)]
        struct Settings {
            language: &'static str,
            size: Option<u8>,
        }
        let mut draft = Draft::default();
        draft.insert("kept", 1).unwrap();
        draft.insert("size", 7).unwrap();
        let settings = Settings {
            language: "\u{e9}\"\n",
            size: None,
        };
        draft.insert_all(settings).unwrap();
        draft.insert_all(BTreeMap::from([("a\"b", 1)])).unwrap();
        let data = draft.data().unwrap();
        assert_eq!(
            data.as_str(),
            "{\"kept\":1,\"size\":null,\"language\":\"\u{e9}\\\"\\n\",\"a\\\"b\":1}"
        );
        let changes = draft.changes();
        for error in [
            draft.insert_all(3).unwrap_err(),
            draft.insert_all([("a", 1)]).unwrap_err(),
            draft.insert_all(None::<u8>).unwrap_err(),
            draft.insert_all(BTreeMap::from([((1, 2), 3)])).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::WrongType);
        }
        assert_eq!(draft.changes(), changes);
        assert_eq!(draft.data().unwrap(), data);
    }

    #[test]
    fn c1_all_at_once_is_what_one_by_one_is() {
        let values = BTreeMap::from([("a", 7), ("b", 8), ("c", 9), ("d", 10)]);
        for committing in [false, true] {
            let mut one = Draft::default();
            one.insert("a", 1).unwrap();
            if committing {
                let _copy = one.begin_commit();
            }
            one.append("b", 2).unwrap();
            one.append("b", 3).unwrap();
            one.append("c", 4).unwrap();
            one.append("c", 5).unwrap();
            one.append("e", 6).unwrap();
            let mut all = one.clone();
            for (key, value) in &values {
                one.insert(*key, value).unwrap();
            }
            all.insert_all(&values).unwrap();
            // Also on other data, where the appends to a text would fail if they were still there.
            let newer = Data::parse(r#"{"b":"text","c":"text","a":"text","f":1}"#).unwrap();
            for draft in [&mut one, &mut all] {
                draft.rebase(newer.clone(), Data::default()).unwrap();
            }
            assert_eq!(all.data().unwrap(), one.data().unwrap());
            assert_eq!(all.changes(), one.changes());
        }
    }

    #[test]
    fn a_view_stays_as_it_was() {
        let mut draft = Draft::default();
        draft.insert("a", 1).unwrap();
        let view = draft.data().unwrap();
        draft.insert("a", 2).unwrap();
        draft.remove("a");
        assert_eq!(view.as_str(), r#"{"a":1}"#);
        assert_eq!(draft.data().unwrap().as_str(), "{}");
    }
}
