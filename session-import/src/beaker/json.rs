//! JSON as Python writes it, which is JSON but for `NaN` and the infinities.

use serde_json::Value;

use super::{corrupt, own};
use crate::error::{ImportError, ImportErrorKind};
use crate::imported::{BYTES_MAX, DEPTH_MAX, Imported, Reason, parsed};
use crate::pickle::quoted;

/// Reads the values of a session in JSON.
pub(crate) fn decode(text: &[u8]) -> Result<Imported, ImportError> {
    if text.len() > BYTES_MAX {
        return Err(ImportError::new(
            ImportErrorKind::TooLarge,
            format!("reading a Beaker session failed: it has more than {BYTES_MAX} bytes"),
        ));
    }
    let text = std::str::from_utf8(text).map_err(|_| corrupt("it is not UTF-8"))?;
    let all = parsed(&without_names(text))?;
    let mut imported = Imported::default();
    let mut json = String::from("{");
    for (key, value) in all.entries() {
        if own(&mut imported, &key, value.parse().ok()) {
            continue;
        }
        if let Some(reason) = refused(value) {
            imported.skip(Some(&key), reason);
            continue;
        }
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&quoted(&key));
        json.push(':');
        json.push_str(value);
    }
    json.push('}');
    imported.data = parsed(&json)?;
    Ok(imported)
}

/// A number that is JSON and, as Python writes it, infinite.
const INFINITE: &str = "1e999";

/// The text with `NaN` and `Infinity`, outside of strings, as a number that [`refused`] refuses.
fn without_names(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    for part in parts(text) {
        json.push_str(match part {
            (Part::Name, "NaN" | "Infinity") => INFINITE,
            (_, text) => text,
        });
    }
    json
}

/// Why a value cannot be moved, if so.
fn refused(value: &str) -> Option<Reason> {
    let mut depth = 0_usize;
    for part in parts(value) {
        match part {
            (Part::Other, "[" | "{") => depth += 1,
            (Part::Other, "]" | "}") => depth = depth.saturating_sub(1),
            // A minus sign is a part of the number, and `-Infinity` is by now `-1e999`.
            (Part::Number, text) if text.parse().is_ok_and(f64::is_infinite) => {
                return Some(Reason::NotFinite);
            }
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Some(Reason::TooDeep);
        }
    }
    // What is left is an escape such as `\ud83d` without its other half.
    serde_json::from_str::<Value>(value)
        .is_err()
        .then_some(Reason::NotText)
}

/// What a piece of JSON text is.
enum Part {
    Name,
    Number,
    /// A string, or one character.
    Other,
}

/// The pieces that together are the text.
fn parts(text: &str) -> impl Iterator<Item = (Part, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let run = |belongs: fn(char) -> bool| rest.find(|char| !belongs(char));
        let (part, end) = match first {
            '"' => (Part::Other, string_end(rest)),
            'A'..='Z' | 'a'..='z' => (Part::Name, run(|char| char.is_ascii_alphabetic())),
            '0'..='9' | '-' => {
                let number = |char| matches!(char, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
                (Part::Number, run(number))
            }
            _ => (Part::Other, Some(first.len_utf8())),
        };
        let (taken, left) = rest.split_at(end.unwrap_or(rest.len()));
        rest = left;
        Some((part, taken))
    })
}

/// One past the quote that ends a string.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_writes_and_json_has_not_is_left_behind() {
        let text = br#" {"a": NaN, "b": [1, -Infinity], "c": "NaN \\", "d": {"e": Infinity},
            "f": 1e999, "g": "\"Infinity", "h": 12345678901234567890123, "i": "\ud83d", "j": -1} "#;
        let imported = decode(text).unwrap();
        assert_eq!(
            imported.data.as_str(),
            r#"{"c":"NaN \\","g":"\"Infinity","h":12345678901234567890123,"j":-1}"#
        );
        let skipped: Vec<_> = imported.skipped.iter().map(ToString::to_string).collect();
        assert_eq!(
            skipped,
            [
                r#""a" was left behind: it holds a number that is not finite"#,
                r#""b" was left behind: it holds a number that is not finite"#,
                r#""d" was left behind: it holds a number that is not finite"#,
                r#""f" was left behind: it holds a number that is not finite"#,
                r#""i" was left behind: it holds text that is not Unicode"#,
            ]
        );
    }

    #[test]
    fn a_value_nested_too_deep_is_left_behind_and_the_others_are_not() {
        for (depth, moved) in [(DEPTH_MAX, true), (DEPTH_MAX + 1, false), (100_000, false)] {
            let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let text = format!(r#"{{"deep": {deep}, "user": "ada"}}"#);
            let imported = decode(text.as_bytes()).unwrap();
            assert_eq!(imported.data.raw("deep").is_some(), moved, "{depth}");
            assert_eq!(imported.data.raw("user"), Some("\"ada\""));
        }
    }

    #[test]
    fn what_is_no_object_of_json_is_refused() {
        for bad in [
            "",
            "[]",
            "{",
            "{} {}",
            r#"{"a": nan}"#,
            r#"{"a": Nan}"#,
            "{\"a\": \"",
            "NaN",
        ] {
            let kind = decode(bad.as_bytes()).unwrap_err().kind();
            assert_eq!(kind, ImportErrorKind::Corrupt, "{bad}");
        }
    }
}
