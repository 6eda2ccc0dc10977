//! What every adapter does the same, as scenarios that run against any of them.
//!
//! An adapter's test builds an application with the routes below, whose handlers hand the
//! session and the request's body to a [`Probe`], and runs the suite against it:
//!
//! | route (any method) | handler |
//! |---|---|
//! | `/eager` | extracts the session: `probe.perform(Some(&session), &body)` |
//! | `/lazy` | extracts the lazy session and loads it if [`Probe::has_steps`] |
//! | `/optional` | extracts an optional session and performs with what there is |
//! | `/untouched` | extracts nothing: `probe.perform(None, &body)` |
//! | `/twice` | as `/eager`, under a second layer of the same manager |
//! | `/bare`, `/bare/optional` | as `/eager` and `/optional`, without a layer |
//!
//! Each scenario's name begins with the number of the rule in the design it is about. Time is
//! moved: the manager's clock stands still, and tokio's advances by itself, so a test that waits
//! for a deadline takes no time.
//!
//! ```no_run
//! # use std::rc::Rc;
//! use session_core::conformance::http::{App, HttpHarness, Probe, Request, Response};
//!
//! struct Mine;
//! # struct MyApp;
//! # #[async_trait::async_trait(?Send)]
//! # impl App for MyApp { async fn call(&self, _: Request) -> Response { unreachable!() } }
//! # fn build(_: Probe) -> MyApp { MyApp }
//!
//! #[async_trait::async_trait(?Send)]
//! impl HttpHarness for Mine {
//!     async fn app(&self, probe: Probe) -> Rc<dyn App> {
//!         Rc::new(build(probe))
//!     }
//! }
//!
//! session_core::http_conformance!(Mine);
//! ```

mod browser;
mod message;
mod probe;
mod script;
mod world;

use std::rc::Rc;

use async_trait::async_trait;
use tokio::task::LocalSet;

pub use message::{Request, Response};
pub use probe::Probe;
pub use script::{Answer, Step};

/// Builds the application under test.
#[async_trait(?Send)]
pub trait HttpHarness {
    /// An application with the routes of the [module](self), under a layer of the probe's
    /// manager.
    async fn app(&self, probe: Probe) -> Rc<dyn App>;
}

/// An application under test.
#[async_trait(?Send)]
pub trait App {
    /// Sends one request through the whole application and reads the whole response.
    ///
    /// A handler's panic passes through; a dropped future is a client that went away.
    async fn call(&self, request: Request) -> Response;
}

/// Runs one scenario by its name, in a runtime of its own.
///
/// # Panics
///
/// The adapter breaks the rule, or there is no such scenario.
pub fn run(name: &str, harness: &dyn HttpHarness) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime can be made");
    LocalSet::new().block_on(&runtime, scenario(name, harness));
}

/// Names every scenario once: for the table and for the tests.
macro_rules! suite {
    ($d:tt $($file:ident { $($name:ident)* })*) => {
        $(mod $file;)*

        /// Runs one scenario within a `LocalSet`, for adapters that need a runtime of their own.
        ///
        /// # Panics
        ///
        /// The adapter breaks the rule, or there is no such scenario.
        pub async fn scenario(name: &str, harness: &dyn HttpHarness) {
            match name {
                $($(stringify!($name) => $file::$name(harness).await,)*)*
                other => panic!("there is no scenario {other}"),
            }
        }

        /// One test for each scenario, against the harness that the expression makes.
        ///
        /// See [`conformance::http`](crate::conformance::http).
        #[macro_export]
        macro_rules! http_conformance {
            ($d harness:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        $d crate::conformance::http::run(stringify!($name), &$d harness);
                    }
                )*)*
            };
        }
    };
}

suite! {
    $
    identity {
        i2_an_unknown_token_is_never_adopted
        i2_nothing_found_in_a_store_works_as_a_cookie
        i3_a_bad_mac_costs_no_store_access
        i3_a_token_under_an_older_key_is_sent_again
        i3_a_token_of_another_cookie_is_refused
        i4_renew_replaces_the_secret_in_one_write
        i4_login_always_renews_and_keeps_the_visitors_data
        i4_login_over_another_owner_clears_the_session
        i4_what_ran_under_the_old_secret_writes_nothing
        i4_what_ran_under_the_old_secret_does_not_touch
        i5_the_first_live_session_of_several_cookies_wins
        i5_at_most_eight_tokens_are_loaded
        i6_a_superseded_token_reads_as_empty_and_is_told
        i6_after_the_grace_nothing_is_removed_either
        i6_a_dead_token_causes_no_removal
    }
    renewal {
        i7_a_due_renewal_is_one_write_at_the_next_request
        i7_parallel_requests_renew_once
        i7_who_finds_the_secret_replaced_keeps_its_changes
        i7_the_old_secret_is_good_until_the_new_one_comes
        i7_presenting_the_new_secret_is_noted_once
        i7_a_lost_answer_costs_no_session
        i7_open_handles_stay_bound
        i7_login_has_none_of_this
    }
}
