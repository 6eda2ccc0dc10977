//! Reading what [`Record::encode`](crate::Record::encode) wrote, field after field.
//!
//! Its fields stand in one order with one spelling, so that nothing has to be looked for. Whatever
//! deviates from that is no error here: it is left to the reader of any JSON, which decides.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    ACCESSED_KEY, ADDRESS_KEY, AGENT_KEY, CREATED_KEY, DATA_AT_KEY, DATA_KEY, ENDS_KEY,
    EXPIRES_KEY, FIXED_AFTER_VERSION, FIXED_BEFORE_VERSION, Head, INDEX_KEY, OWN_KEY,
    OWN_TIMEOUT_KEY, OWNER_KEY, PERSISTENT_KEY, PREVIOUS_KEY, SECRET_AT_KEY, SECRET_KEY,
    StoredPrevious, TIMEOUT_KEY, UNTIL_KEY, VALID_KEY,
};
use crate::data::Data;
use crate::record::{Record, Version};

/// The head and the data of a whole record, if all of it is laid out so.
pub(super) fn whole(json: &str) -> Option<(Head<'_>, Data)> {
    let (head, index, rest) = head(json)?;
    let data = rest.strip_prefix(DATA_KEY)?.strip_suffix('}')?;
    Some((head, index.data(data)?))
}

/// The head that stands alone, and the index of the data that is kept elsewhere.
pub(super) fn meta(json: &str) -> Option<(Head<'_>, Index)> {
    let (head, index, rest) = head(json)?;
    (rest == "}").then_some((head, index))
}

/// The lengths of the data's keys and values, and its checksum.
pub(super) struct Index {
    checksum: u32,
    lengths: Vec<u32>,
}

impl Index {
    /// The data by these lengths, if the checksum says that they were written together.
    pub(super) fn data(&self, text: &str) -> Option<Data> {
        let fits = self.checksum == crc32fast::hash(text.as_bytes());
        fits.then(|| Data::with_lengths(text, &self.lengths))?
    }
}

fn head(json: &str) -> Option<(Head<'_>, Index, &str)> {
    let mut rest = Rest(json);
    rest.literal(FIXED_BEFORE_VERSION)?;
    let (version, after) = rest.0.split_at_checked(Version::TEXT_LEN)?;
    rest.0 = after;
    rest.literal(FIXED_AFTER_VERSION)?;
    let generation = rest.number()?.try_into().ok()?;
    rest.literal(ACCESSED_KEY)?;
    let accessed = rest.number()?;
    rest.literal(EXPIRES_KEY)?;
    rest.number_or_null()?;
    rest.literal(TIMEOUT_KEY)?;
    let timeout = rest.duration_or_null()?;
    rest.literal(ENDS_KEY)?;
    let ends = rest.number_or_null()?;
    rest.literal(DATA_AT_KEY)?;
    rest.number()?;
    rest.literal(",")?;
    let mut owner = None;
    if rest.optional(OWNER_KEY) {
        owner = Some(rest.string()?);
        rest.literal(",")?;
    }
    rest.literal(CREATED_KEY)?;
    let created = rest.number()?;
    rest.literal(SECRET_KEY)?;
    let secret = rest.string()?;
    rest.literal(SECRET_AT_KEY)?;
    let secret_at = rest.number()?;
    rest.literal(PERSISTENT_KEY)?;
    let persistent = rest.boolean()?;
    let mut head = Head {
        format: Record::FORMAT,
        version: version.into(),
        generation,
        created,
        accessed,
        timeout,
        ends,
        persistent,
        secret,
        secret_at,
        owner,
        own_timeout: None,
        previous: None,
        address: None,
        agent: None,
        own: None,
    };
    if rest.optional(OWN_TIMEOUT_KEY) {
        head.own_timeout = Some(rest.duration_or_null()??);
    }
    if rest.optional(PREVIOUS_KEY) {
        rest.literal("{")?;
        rest.literal(&SECRET_KEY[1..])?;
        let secret = rest.string()?;
        rest.literal(UNTIL_KEY)?;
        let until = rest.number_or_null()?;
        rest.literal(VALID_KEY)?;
        let valid = rest.boolean()?;
        rest.literal("}")?;
        head.previous = Some(StoredPrevious {
            secret,
            until,
            valid,
        });
    }
    if rest.optional(ADDRESS_KEY) {
        head.address = Some(rest.string()?);
    }
    if rest.optional(AGENT_KEY) {
        head.agent = Some(rest.string()?);
    }
    if rest.optional(OWN_KEY) {
        // Not `null`, which is none.
        head.own = Some(rest.any::<Option<&RawValue>>()??);
    }
    rest.literal(INDEX_KEY)?;
    let checksum = rest.number()?.try_into().ok()?;
    let mut lengths = Vec::with_capacity(32);
    while rest.optional(",") {
        lengths.push(rest.number()?.try_into().ok()?);
    }
    rest.literal("]")?;
    Some((head, Index { checksum, lengths }, rest.0))
}

/// The number of which these are the digits: pairs are added up, then fours, then all eight.
fn eight_digits(text: &[u8; 8]) -> Option<u32> {
    let bytes = u64::from_le_bytes(*text);
    let high = |bytes: u64| bytes & 0xf0f0_f0f0_f0f0_f0f0;
    let digits = |bytes: u64| high(bytes) == 0x3030_3030_3030_3030;
    // Above nine the nibble below is carried into the one above.
    let all = digits(bytes) && digits(bytes + 0x0606_0606_0606_0606);
    all.then(|| {
        let digits = bytes & 0x0f0f_0f0f_0f0f_0f0f;
        let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
        ((fours & 0xffff) * 10_000 + (fours >> 32)) as u32
    })
}

/// What is still to be read; `None` of each method: it is not spelled as this library does.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn literal(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn optional(&mut self, key: &str) -> bool {
        self.literal(key).is_some()
    }

    /// An integer of up to 18 digits, which cannot overflow.
    fn number(&mut self) -> Option<i64> {
        let text = self.0.as_bytes();
        let mut at = text.iter().take_while(|&&byte| byte == b' ').count();
        let negative = text.get(at) == Some(&b'-');
        at += usize::from(negative);
        let first = at;
        let mut number = 0;
        // Times have thirteen digits: eight of them at once.
        if let Some(eight) = text[at..].first_chunk().and_then(eight_digits) {
            (number, at) = (i64::from(eight), at + 8);
        }
        while let Some(digit @ b'0'..=b'9') = text.get(at) {
            if at - first == 18 {
                return None;
            }
            number = number * 10 + i64::from(digit - b'0');
            at += 1;
        }
        // JSON has neither leading zeros nor an integer -0.
        let zero_first = text.get(first) == Some(&b'0');
        if at == first || zero_first && (negative || at - first > 1) {
            return None;
        }
        self.0 = &self.0[at..];
        Some(if negative { -number } else { number })
    }

    fn number_or_null(&mut self) -> Option<Option<i64>> {
        match self.0.trim_start_matches(' ').strip_prefix("null") {
            Some(rest) => {
                self.0 = rest;
                Some(None)
            }
            None => self.number().map(Some),
        }
    }

    fn duration_or_null(&mut self) -> Option<Option<u64>> {
        match self.number_or_null()? {
            Some(number) => number.try_into().ok().map(Some),
            None => Some(None),
        }
    }

    fn boolean(&mut self) -> Option<bool> {
        let value = self.0.starts_with("true");
        self.literal(if value { "true" } else { "false" })?;
        Some(value)
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let text = self.0.strip_prefix('"')?;
        let special = |b: u8| b == b'"' || b == b'\\' || b < 0x20;
        let end = text.bytes().position(special)?;
        if text.as_bytes()[end] != b'"' {
            return self.any::<String>().map(Cow::Owned);
        }
        self.0 = &text[end + 1..];
        Some(Cow::Borrowed(&text[..end]))
    }

    /// One value of any JSON.
    fn any<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let mut values = serde_json::Deserializer::from_str(self.0).into_iter::<T>();
        let value = values.next()?.ok()?;
        self.0 = self.0.get(values.byte_offset()..)?;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_eight_at_once_as_one_by_one() {
        for text in ["00000000", "12345678", "99999999", "80000001"] {
            let eight = eight_digits(text.as_bytes().first_chunk().unwrap());
            assert_eq!(eight, text.parse().ok());
        }
        for (place, byte) in (0..8).flat_map(|place| (0..=255).map(move |byte| (place, byte))) {
            let mut text = *b"12345678";
            text[place] = byte;
            let parsed = std::str::from_utf8(&text).ok();
            let parsed = parsed.filter(|_| byte.is_ascii_digit());
            let parsed = parsed.and_then(|text| text.parse().ok());
            assert_eq!(eight_digits(&text), parsed, "{byte} at {place}");
        }
        let mut number = 0;
        for digits in 1..=18 {
            number = number * 10 + digits % 10;
            for number in [number, -number] {
                let text = format!("{number},");
                let mut rest = Rest(&text);
                assert_eq!((rest.number(), rest.0), (Some(number), ","));
            }
        }
        for wrong in ["0123456789", "1234567890123456789", "-0", "-", ""] {
            assert_eq!(Rest(wrong).number(), None, "{wrong}");
        }
    }
}
