//! The pure decisions: who is let in, and what a request's end does to store and cookie.
//!
//! Nothing here acts. [`admit`] judges a record against a token (and again at each re-read, rule
//! C3); [`plan`] maps what was loaded and what was done to one store call and one cookie.

use std::net::IpAddr;

use crate::clock::Timestamp;
use crate::config::SessionConfig;
use crate::id::Digest;
use crate::record::Record;

/// Whether a token opens a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It does; perhaps by the secret before a timed renewal (rule I7).
    Live { by_previous: bool },
    /// Its secret was replaced a moment ago: the request reads as empty (rule I6).
    Superseded,
    /// It does not.
    Dead(Dead),
}

/// Why a well-formed token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dead {
    Unknown,
    Expired,
    WrongSecret,
    WrongAddress,
    Corrupt,
}

/// Judges `record` against the digest a client presented.
pub(crate) fn admit(
    record: &Record,
    presented: &Digest,
    address: Option<IpAddr>,
    now: Timestamp,
    config: &SessionConfig,
) -> Admission {
    let by_previous = record.secret != *presented;
    let remembered = record.previous.as_deref().filter(|previous| {
        previous.secret == *presented && previous.until.is_none_or(|until| now < until)
    });
    if by_previous && remembered.is_none() {
        // Before its end is looked at: whoever guesses learns nothing of the session's.
        return Admission::Dead(Dead::WrongSecret);
    }
    if is_expired(record, now, config) {
        return Admission::Dead(Dead::Expired);
    }
    if by_previous && remembered.is_some_and(|previous| !previous.valid) {
        return Admission::Superseded;
    }
    if !is_from_same_address(record, address, config) {
        return Admission::Dead(Dead::WrongAddress);
    }
    Admission::Live { by_previous }
}

/// Whether a handle that was let in to `base` may still act on `record`, read again later.
pub(crate) fn still_admits(
    record: &Record,
    base: &Record,
    address: Option<IpAddr>,
    now: Timestamp,
    config: &SessionConfig,
) -> bool {
    record.generation == base.generation
        && record.owner == base.owner
        && !is_expired(record, now, config)
        && is_from_same_address(record, address, config)
}

/// Whether the session's time is over, for whoever would hand it out or write it.
pub(crate) fn is_expired(record: &Record, now: Timestamp, config: &SessionConfig) -> bool {
    !config.options.ignore_expiry && record.is_expired(now)
}

fn is_from_same_address(record: &Record, address: Option<IpAddr>, config: &SessionConfig) -> bool {
    if config.options.ignore_change_ip {
        return true;
    }
    match (record.address, address) {
        (Some(then), Some(now)) => config.options.ip_prefix.same(then, now),
        // A record made where no address was known is bound to none.
        (None, _) => true,
        (Some(_), None) => false,
    }
}

/// What a request was let in as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No live session; storing something makes one.
    New,
    /// A live session.
    Live,
    /// Under a token whose secret was replaced: reads as empty, writes nothing.
    Superseded,
    /// The store could not be read and the configuration reads that as empty: writes nothing.
    Detached,
}

/// What the handler did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Something was stored, removed or changed.
    pub(crate) changed: bool,
    /// `renew` or `login`: a new secret and generation.
    pub(crate) renewed: bool,
    /// `login`: the session is bound to an owner.
    pub(crate) logged_in: bool,
    /// `set_timeout` or `remember`.
    pub(crate) limits: bool,
    /// `destroy` or `logout`, of a live session.
    pub(crate) ended: bool,
    /// `destroy` or `logout` under a token that opened nothing.
    pub(crate) ended_nothing: bool,
}

/// What has become due by the passing of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// The last access is old enough to be written down.
    pub(crate) touch: bool,
    /// The secret is old enough to be replaced.
    pub(crate) renewal: bool,
    /// The secret of a timed renewal was presented for the first time.
    pub(crate) confirm: bool,
    /// The token was signed by an older key.
    pub(crate) resign: bool,
    /// The last access was old enough when the session was loaded: a cookie that slides is
    /// sent again, even if a commit has written the access down meanwhile.
    pub(crate) slides: bool,
    /// The cookie has a Max-Age that slides with the session.
    pub(crate) persistent: bool,
    /// The session itself travels in the cookie: what is written must be sent.
    pub(crate) sealed: bool,
}

impl Due {
    /// Nothing is.
    pub(crate) const NOTHING: Self = Self {
        touch: false,
        renewal: false,
        confirm: false,
        resign: false,
        slides: false,
        persistent: false,
        sealed: false,
    };
}

impl Due {
    /// What is still due on a newer record of the same session.
    ///
    /// Another request may have been first to renew (rule I7): a second new secret would kill the
    /// one it gave, and what was presented here confirms a secret that is no longer in force.
    pub(crate) fn goes_on(&mut self, before: Option<&Record>, newer: &Record) {
        let same = before.is_some_and(|before| before.secret == newer.secret);
        self.renewal &= same;
        self.confirm &= same;
    }
}

/// One conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Nothing,
    Create,
    Update,
    Touch,
}

/// What the client learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CookieMove {
    #[default]
    Keep,
    Set,
    Remove,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Delete the session that was ended.
    pub(crate) delete: bool,
    pub(crate) write: Write,
    pub(crate) cookie: CookieMove,
    /// The client cannot go on without this cookie.
    pub(crate) cookie_needed: bool,
    /// The handler asked for it; else time alone did.
    pub(crate) asked: bool,
}

/// Why nothing may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The session's secret was replaced.
    Gone,
    /// The session could not be read.
    Unavailable,
}

/// Decides what the end of a request, or a save, does.
pub(crate) fn plan(standing: Standing, done: Done, due: Due) -> Result<Plan, Refusal> {
    let Done {
        changed,
        renewed,
        logged_in,
        limits,
        ended,
        ended_nothing,
    } = done;
    let anything = changed || renewed || logged_in || limits || ended || ended_nothing;
    let nothing = Plan {
        delete: false,
        write: Write::Nothing,
        cookie: CookieMove::Keep,
        cookie_needed: false,
        asked: anything,
    };
    match standing {
        Standing::Superseded if anything => Err(Refusal::Gone),
        Standing::Detached if anything => Err(Refusal::Unavailable),
        Standing::Superseded | Standing::Detached => Ok(nothing),
        Standing::New if changed || logged_in => Ok(Plan {
            delete: ended,
            write: Write::Create,
            cookie: CookieMove::Set,
            cookie_needed: true,
            asked: true,
        }),
        Standing::New if ended || ended_nothing => Ok(Plan {
            delete: ended,
            cookie: CookieMove::Remove,
            ..nothing
        }),
        Standing::New => Ok(nothing),
        Standing::Live => {
            let new_secret = renewed || logged_in || due.renewal;
            let slides = due.slides && due.persistent;
            let write = if changed || new_secret || limits || due.confirm {
                Write::Update
            } else if due.touch || due.resign || slides {
                // A token that is sent again, later or under a newer key, is sent only after a look
                // whether it is in force.
                Write::Touch
            } else {
                Write::Nothing
            };
            let travels = due.sealed && write != Write::Nothing;
            let send = new_secret || limits || due.resign || slides || travels;
            Ok(Plan {
                write,
                cookie: if send {
                    CookieMove::Set
                } else {
                    CookieMove::Keep
                },
                cookie_needed: new_secret || (due.sealed && write == Write::Update),
                // Another session was ended, and this one begun and saved since.
                delete: ended,
                asked: anything,
            })
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
