//! Session data for any serialiser: what a template engine reads.
//!
//! Values are raw JSON text, and `RawValue` serialises into nothing but `serde_json`. So each is
//! read at the moment it is handed on, by what its first byte says it is. So no tree is built in
//! between, numbers arrive as they are written, and lengths are known in advance, as binary formats
//! want them; the price is that the text is looked through once for each level of nesting.

use serde::de::DeserializeOwned;
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::data::Data;

/// An object of the values. Integers of up to 64 bits stay exact, larger ones become floats.
///
/// # Cost
///
/// All values are read, once for each level of nesting.
///
/// # Errors
///
/// The serialiser's own, and where a value is nested 128 deep, is a number beyond any
/// float, or is no text (half a surrogate pair): `get` refuses these as well.
impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.len()))?;
        for (key, json) in self.entries() {
            object.serialize_entry(&key, &Json { json, depth: 1 })?;
        }
        object.end()
    }
}

/// One value, so deep inside.
struct Json<'a> {
    json: &'a str,
    depth: usize,
}

/// As deep as `serde_json` reads; each level takes room on the stack.
const DEPTH_MAX: usize = 128;

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = self.json;
        match json.as_bytes().first() {
            Some(b'{' | b'[') if self.depth >= DEPTH_MAX => {
                Err(S::Error::custom("a session value is nested too deep"))
            }
            Some(b'{') => {
                let entries = Data::parse(json).map_err(S::Error::custom)?;
                let mut object = serializer.serialize_map(Some(entries.len()))?;
                for (key, json) in entries.entries() {
                    object.serialize_entry(&key, &self.inside(json))?;
                }
                object.end()
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(json).map_err(S::Error::custom)?;
                let mut array = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    array.serialize_element(&self.inside(item.get()))?;
                }
                array.end()
            }
            Some(b'"') => serializer.serialize_str(&read::<String, S>(json)?),
            Some(b't' | b'f') => serializer.serialize_bool(read::<bool, S>(json)?),
            Some(b'n') => {
                read::<(), S>(json)?;
                serializer.serialize_unit()
            }
            _ => number(json, serializer),
        }
    }
}

impl Json<'_> {
    fn inside<'a>(&self, json: &'a str) -> Json<'a> {
        Json {
            json,
            depth: self.depth + 1,
        }
    }
}

/// By its text: `serde_json` may be a last digit off, and with `arbitrary_precision`, which any
/// crate of an application can turn on, it hands numbers on as maps.
fn number<S: Serializer>(json: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if let Ok(number) = json.parse::<u64>() {
        return serializer.serialize_u64(number);
    }
    if let Ok(number) = json.parse::<i64>() {
        return serializer.serialize_i64(number);
    }
    match json.parse::<f64>() {
        Ok(number) if number.is_finite() => serializer.serialize_f64(number),
        _ => Err(S::Error::custom("a session value is no number of 64 bits")),
    }
}

fn read<T: DeserializeOwned, S: Serializer>(json: &str) -> Result<T, S::Error> {
    serde_json::from_str(json).map_err(S::Error::custom)
}

#[cfg(test)]
mod tests {
    use minijinja::value::Serde;
    use minijinja::{Environment, Value, context};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn data(json: &str) -> Data {
        Data::parse(json).unwrap()
    }

    fn rendered(template: &str, json: &str) -> String {
        let page = context! { session => Serde(data(json)) };
        Environment::new().render_str(template, page).unwrap()
    }

    #[test]
    fn a_template_reads_what_is_nested() {
        let json =
            r#"{"user":{"name":"Ada","tags":["x",{"y":[true,null,-1.5]}]},"empty":{},"list":[]}"#;
        let template = "{{ session.user.name }} {{ session.user.tags[1].y[2] }} \
            {% for tag in session.user.tags %}{{ loop.index }}{% endfor %} \
            {{ session.user.tags[1].y }} {{ session | length }} {{ session.list | length }} \
            {% if session.missing is undefined %}none{% endif %}";
        let expected = "Ada -1.5 12 [True, None, -1.5] 3 0 none";
        assert_eq!(rendered(template, json), expected);
    }

    #[test]
    fn large_integers_stay_exact() {
        let json = r#"{"a":9007199254740993,"b":18446744073709551615,"c":-9223372036854775808}"#;
        let page = "{{ session.a }} {{ session.b }} {{ session.c }}";
        assert_eq!(
            rendered(page, json),
            "9007199254740993 18446744073709551615 -9223372036854775808"
        );
        let data = data(r#"{"a":1e3,"b":18446744073709551616,"c":0.1,"d":-0.0}"#);
        assert_eq!(
            serde_json::to_string(&data).unwrap(),
            r#"{"a":1000.0,"b":1.8446744073709552e+19,"c":0.1,"d":-0.0}"#
        );
    }

    #[test]
    fn text_of_every_script_arrives_and_is_escaped_by_the_template() {
        let json = r#"{"a":"\u00e9\ud83d\ude00 \"z\" \n\u0000","\u00fc":{"\n":"<b>"}}"#;
        assert_eq!(
            rendered("{{ session.a }}", json),
            "\u{e9}\u{1f600} \"z\" \n\u{0}"
        );
        let mut engine = Environment::new();
        engine
            .add_template("page.html", "{{ session['\u{fc}']['\\n'] }}")
            .unwrap();
        let page = engine.get_template("page.html").unwrap();
        let page = page.render(context! { session => Serde(data(json)) });
        assert_eq!(page.unwrap(), "&lt;b&gt;");
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_no_panic() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"a":{open}{close}}}"#)
        };
        assert!(serde_json::to_string(&data(&nested(DEPTH_MAX - 1))).is_ok());
        for (json, part) in [
            (nested(DEPTH_MAX), "nested too deep"),
            (nested(10_000), "nested too deep"),
            (r#"{"a":1e400}"#.to_owned(), "no number"),
            (r#"{"a":["\ud800"]}"#.to_owned(), "hex escape"),
        ] {
            let error = serde_json::to_string(&data(&json)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
            let error = Value::from(Serde(data(&json))).to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_counts_inside_as_well() {
        let view = serde_json::to_value(data(r#"{"a":{"k":1,"k":[2]}}"#)).unwrap();
        assert_eq!(view, json!({"a": {"k": [2]}}));
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_arrives_as_it_is(value in value(), pretty in any::<bool>()) {
            let object = json!({"k": value, "n": [value]});
            let text = match pretty {
                true => serde_json::to_string_pretty(&object),
                false => serde_json::to_string(&object),
            };
            let data = data(&text.unwrap());
            let compact = serde_json::to_string(&data).unwrap();
            prop_assert_eq!(serde_json::to_value(&data).unwrap(), object);
            prop_assert_eq!(Data::parse(&compact).unwrap().len(), 2);
        }
    }
}
