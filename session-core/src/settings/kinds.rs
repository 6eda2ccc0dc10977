//! How the value of a setting is written, one constant for each kind of value.

use std::time::Duration;

use crate::config::{OnCorrupt, OnExpired, OnGone, OnOutage};
use crate::http::{IpNet, IpPrefix, Lifetime, SameSite, Transport};
use crate::keys::KeyRing;
use crate::limit::{Limit, OnTooMany};

/// A kind of value: what to write, and how it is read.
pub(super) struct Kind<T> {
    /// To follow "expected".
    pub(super) expected: &'static str,
    /// Whether a message must not show what was written.
    pub(super) secret: bool,
    pub(super) read: fn(&str) -> Result<T, Unfit>,
}

/// Why a text is no value.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It is not of the form that is expected.
    Form,
    /// It is, and still cannot be.
    Because(String),
}

impl<T> Kind<T> {
    pub(super) const fn new(expected: &'static str, read: fn(&str) -> Result<T, Unfit>) -> Self {
        Self {
            expected,
            secret: false,
            read,
        }
    }

    const fn secret(expected: &'static str, read: fn(&str) -> Result<T, Unfit>) -> Self {
        Self {
            expected,
            secret: true,
            read,
        }
    }
}

pub(super) const TEXT: Kind<String> = Kind::new("a text", text);

pub(super) const DOMAIN: Kind<Option<String>> =
    Kind::new("a domain, or none", |value| unless("none", value, text));

pub(super) const DURATION: Kind<Duration> = Kind::new(
    "a duration such as 90 (seconds), 90s, 15m, 24h, 30d or 250ms",
    duration,
);

pub(super) const DURATION_OR_NONE: Kind<Option<Duration>> = Kind::new(
    "a duration such as 90s, 15m, 24h or 30d, or none",
    |value| unless("none", value, duration),
);

pub(super) const DURATION_OR_NEVER: Kind<Option<Duration>> = Kind::new(
    "a duration such as 90s, 15m, 24h or 30d, or never",
    |value| unless("never", value, duration),
);

pub(super) const DURATION_OR_AUTO: Kind<Option<Duration>> =
    Kind::new("a duration such as 90s or 15m, or auto", |value| {
        unless("auto", value, duration)
    });

pub(super) const SIZE: Kind<usize> =
    Kind::new("a size in bytes, such as 65536, 64KiB or 1MiB", size);

pub(super) const SWITCH: Kind<bool> = Kind::new("true or false", |value| {
    let words = [("true", true), ("yes", true), ("on", true), ("1", true)];
    let others = [
        ("false", false),
        ("no", false),
        ("off", false),
        ("0", false),
    ];
    one_of(value, &[words, others].concat())
});

pub(super) const SAME_SITE: Kind<SameSite> = Kind::new("strict, lax or none", |value| {
    let words = [
        ("strict", SameSite::Strict),
        ("lax", SameSite::Lax),
        ("none", SameSite::None),
    ];
    one_of(value, &words)
});

pub(super) const LIFETIME: Kind<Lifetime> =
    Kind::new("browser, or a duration such as 30d", |value| {
        let life = unless("browser", value, duration)?;
        Ok(life.map_or(Lifetime::BrowserSession, Lifetime::Persistent))
    });

pub(super) const ON_EXPIRED: Kind<OnExpired> = Kind::new("fresh or unauthorized", |value| {
    let words = [
        ("fresh", OnExpired::Fresh),
        ("unauthorized", OnExpired::Unauthorized),
    ];
    one_of(value, &words)
});

pub(super) const ON_OUTAGE: Kind<OnOutage> = Kind::new("fail or continue", |value| {
    one_of(
        value,
        &[("fail", OnOutage::Fail), ("continue", OnOutage::Continue)],
    )
});

pub(super) const ON_CORRUPT: Kind<OnCorrupt> = Kind::new("fresh or fail", |value| {
    one_of(
        value,
        &[("fresh", OnCorrupt::Fresh), ("fail", OnCorrupt::Fail)],
    )
});

pub(super) const ON_GONE: Kind<OnGone> =
    Kind::new("conflict-if-unsafe, conflict or ignore", |value| {
        let words = [
            ("conflict_if_unsafe", OnGone::ConflictIfUnsafe),
            ("conflict", OnGone::Conflict),
            ("ignore", OnGone::Ignore),
        ];
        one_of(value, &words)
    });

pub(super) const TRANSPORT: Kind<Transport> =
    Kind::new("cookie, header:NAME or bearer:NAME", |value| {
        let Some((how, name)) = value.split_once(':') else {
            return one_of(value, &[("cookie", Transport::Cookie)]);
        };
        let make = [
            ("header", Transport::Header as fn(String) -> Transport),
            ("bearer", Transport::Bearer),
        ];
        Ok(one_of(how, &make)?(name.trim().to_owned()))
    });

pub(super) const CAP: Kind<Option<(u32, Duration)>> =
    Kind::new("a count in a duration such as 20/1m, or none", |value| {
        unless("none", value, |value| {
            let (count, per) = value.split_once('/').ok_or(Unfit::Form)?;
            let count = count.trim().parse().map_err(|_| Unfit::Form)?;
            Ok((count, duration(per.trim())?))
        })
    });

pub(super) const LIMIT: Kind<Option<Limit>> = Kind::new(
    "a number and end-oldest or refuse, such as 5:end-oldest, or none",
    |value| {
        unless("none", value, |value| {
            let (most, then) = value.split_once(':').ok_or(Unfit::Form)?;
            let most = most.trim().parse().map_err(|_| Unfit::Form)?;
            let words = [
                ("end_oldest", OnTooMany::EndOldest),
                ("refuse", OnTooMany::Refuse),
            ];
            let then = one_of(then.trim(), &words)?;
            Ok(Limit { most, then })
        })
    },
);

pub(super) const NETS: Kind<Vec<IpNet>> = Kind::new(
    "addresses or blocks such as 10.0.0.0/8, separated by commas, or none",
    |value| {
        let nets = unless("none", value, |value| {
            let nets = value.split(',').map(|net| {
                net.trim().parse().map_err(|error| {
                    Unfit::Because(format!("{net:?} is no address and no block: {error}"))
                })
            });
            nets.collect::<Result<Vec<IpNet>, _>>()
        });
        Ok(nets?.unwrap_or_default())
    },
);

pub(super) const IP_PREFIX: Kind<IpPrefix> = Kind::new(
    "the bits of an IPv4 and of an IPv6 address that count, such as 24,56",
    |value| {
        let (v4, v6) = value.split_once(',').ok_or(Unfit::Form)?;
        IpPrefix::new(whole(v4)?, whole(v6)?).map_err(|error| Unfit::Because(error.to_string()))
    },
);

pub(super) const KEYS: Kind<Option<KeyRing>> = Kind::secret(
    "keys in base64 separated by commas, the one that signs first, or none",
    |value| {
        unless("none", value, |value| {
            KeyRing::from_base64(value).map_err(|error| Unfit::Because(error.to_string()))
        })
    },
);

/// `None` for this word, else what `read` makes of it.
pub(super) fn unless<T>(
    word: &str,
    value: &str,
    read: impl FnOnce(&str) -> Result<T, Unfit>,
) -> Result<Option<T>, Unfit> {
    if value.eq_ignore_ascii_case(word) {
        return Ok(None);
    }
    read(value).map(Some)
}

/// A number of decimal digits; `parse` alone would also take a sign.
pub(super) fn whole<N: std::str::FromStr>(value: &str) -> Result<N, Unfit> {
    let digits = value.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unfit::Form);
    }
    digits
        .parse()
        .map_err(|_| Unfit::Because("the number is too large".to_owned()))
}

pub(super) fn duration(value: &str) -> Result<Duration, Unfit> {
    let (number, unit) = split(value);
    let number = whole::<u64>(number)?;
    let seconds = match &*unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(Unfit::Form),
    };
    let seconds = number.checked_mul(seconds);
    let seconds = seconds.ok_or_else(|| Unfit::Because("the number is too large".to_owned()))?;
    Ok(Duration::from_secs(seconds))
}

fn size(value: &str) -> Result<usize, Unfit> {
    let (number, unit) = split(value);
    let number = whole::<usize>(number)?;
    // KB is left out: to some it is 1,000 bytes.
    let bytes = match &*unit {
        "" | "b" => 1,
        "kib" => 1024,
        "mib" => 1024 * 1024,
        "gib" => 1024 * 1024 * 1024,
        _ => return Err(Unfit::Form),
    };
    let bytes = number.checked_mul(bytes);
    bytes.ok_or_else(|| Unfit::Because("the number is too large".to_owned()))
}

/// A number and its unit in lower case.
fn split(value: &str) -> (&str, String) {
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = value.split_at(digits);
    (number, unit.trim().to_ascii_lowercase())
}

/// One of some words, in any case, `-` and `_` alike.
pub(super) fn one_of<T: Clone>(value: &str, words: &[(&str, T)]) -> Result<T, Unfit> {
    let value = value.trim().to_ascii_lowercase().replace('-', "_");
    let found = words.iter().find(|(word, _)| *word == value);
    found.map(|(_, choice)| choice.clone()).ok_or(Unfit::Form)
}

fn text(value: &str) -> Result<String, Unfit> {
    Ok(value.to_owned())
}
