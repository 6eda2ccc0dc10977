//! Whether the options go together.

use std::sync::Arc;
use std::time::Duration;

use super::{SessionConfig, SessionConfigBuilder};
use crate::clock::millis;
use crate::creation_cap::{self, CreationCap};
use crate::error::{Error, ErrorKind};
use crate::http::{CookiePolicy, Lifetime};

impl SessionConfigBuilder {
    /// Checks all options together.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], with what to change: a cookie that browsers would drop, a
    /// time-out of zero, an absolute time-out below the idle one, a touch interval not below
    /// the time-out, renewals more frequent than the grace, an unusable header name, a cap on
    /// creation that lets nobody in, a limit of zero sessions.
    pub fn build(self) -> Result<SessionConfig, Error> {
        let cookie = CookiePolicy::new(self.cookie.clone())
            .map_err(|source| invalid(source.to_string()).caused_by(source))?;
        let transport = self.transport.checked()?;
        self.check_times()?;
        let creation_cap = self.checked_creation_cap()?;
        if let Some(limit) = &self.owner_sessions {
            limit.check()?;
        }
        if transport.is_cookie() {
            for warning in cookie.warnings() {
                tracing::warn!(target: "session", cookie = cookie.name(), "{warning}");
            }
        }
        Ok(SessionConfig {
            token_keys: self
                .secret_key
                .as_ref()
                .map(|ring| ring.token_keys(cookie.name())),
            cookie,
            transport,
            creation_cap,
            touch_interval_ms: self.touch_interval_ms(),
            options: self,
        })
    }

    /// Rounded up: an age in whole milliseconds is as long only then.
    fn touch_interval_ms(&self) -> i64 {
        let default = match self.cookie.lifetime {
            Lifetime::Persistent(life) => self.timeout.min(life) / 10,
            Lifetime::BrowserSession => self.timeout / 10,
        };
        let default = default.min(Duration::from_secs(60));
        let interval = self.touch_interval.unwrap_or(default);
        millis(interval.saturating_add(Duration::from_nanos(999_999)))
    }

    fn checked_creation_cap(&self) -> Result<Option<Arc<CreationCap>>, Error> {
        let Some((count, per)) = self.creation_cap else {
            return Ok(None);
        };
        if count == 0 {
            return Err(invalid("creation_cap is zero: no session could begin"));
        }
        if !(Duration::from_millis(1)..=creation_cap::PER_MAX).contains(&per) {
            return Err(invalid(
                "creation_cap counts over a millisecond at least and 30 days at most",
            ));
        }
        Ok(Some(Arc::new(CreationCap::new(count, per))))
    }

    fn check_times(&self) -> Result<(), Error> {
        let least = Duration::from_millis(1);
        if self.timeout < least {
            return Err(invalid("timeout is zero: no session would live to be read"));
        }
        if self.store_timeout < least {
            return Err(invalid("store_timeout is zero: no store could answer"));
        }
        for (name, age) in self.absolute_timeouts() {
            if age < self.timeout {
                return Err(invalid(format!(
                    "{name} is shorter than timeout, which then never applies: shorten timeout"
                )));
            }
            if self.ignore_expiry {
                return Err(invalid(format!(
                    "ignore_expiry turns off the {name} that is set: choose one"
                )));
            }
        }
        if self
            .touch_interval
            .is_some_and(|every| every >= self.timeout)
        {
            return Err(invalid(
                "touch_interval is not below timeout: a session in use would expire",
            ));
        }
        if let (Some(every), Lifetime::Persistent(life)) =
            (self.touch_interval, self.cookie.lifetime)
            && every >= life
        {
            return Err(invalid(
                "touch_interval is not below the cookie's lifetime: the cookie of a session in use would expire",
            ));
        }
        if self
            .renew_every
            .is_some_and(|every| every < self.grace.max(least))
        {
            return Err(invalid(
                "renew_every is below grace: a superseded secret would outlive the next one",
            ));
        }
        Ok(())
    }

    fn absolute_timeouts(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let remembered = self.remembered_absolute_timeout;
        let both = [
            ("absolute_timeout", self.absolute_timeout),
            ("remembered_absolute_timeout", remembered),
        ];
        let is_set = |(name, age): (_, Option<_>)| age.map(|age| (name, age));
        both.into_iter().filter_map(is_set)
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_is_due_at_the_first_whole_millisecond_that_is_not_before_its_interval() {
        let ms = Duration::from_millis;
        let us = Duration::from_micros;
        for (timeout, interval, expected) in [
            (ms(3_600_000), None, 60_000),
            (ms(50_000), None, 5_000),
            (ms(15), None, 2),
            (ms(1), None, 1),
            (ms(1_000), Some(ms(7)), 7),
            (ms(1_000), Some(us(1_001)), 2),
            (ms(1_000), Some(us(1)), 1),
            (ms(1_000), Some(Duration::ZERO), 0),
            (Duration::MAX, None, 60_000),
            (Duration::MAX, Some(Duration::MAX - us(1)), i64::MAX),
        ] {
            let mut builder = SessionConfig::builder().timeout(timeout);
            builder.touch_interval = interval;
            let config = builder.build().unwrap();
            assert_eq!(
                config.touch_interval_ms, expected,
                "{timeout:?} {interval:?}"
            );
        }
        let briefly = Lifetime::Persistent(ms(50_000));
        let config = SessionConfig::builder().lifetime(briefly).build().unwrap();
        assert_eq!(config.touch_interval_ms, 5_000);
    }
}
