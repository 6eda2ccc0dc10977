//! The scenarios over sessions that travel sealed in their cookies.
//!
//! Of the rules that hold without a store, each scenario that looks at no record and at no write of
//! a store runs over such sessions alone, and over sessions whose end is remembered; of the others,
//! what holds with a store of revocations runs over the latter. A scenario's store is then that of
//! the revocations.

use std::rc::Rc;

use async_trait::async_trait;
use tokio::task::LocalSet;

use super::probe::Probe;
use super::{App, HttpHarness, revocation_records, revocations};
use crate::config::SessionConfigBuilder;
use crate::conformance::SpyStore;
use crate::error::Error;
use crate::keys::KeyRing;
use crate::manager::SessionManager;

/// The adapter, with sealed sessions.
struct Sealed<'a> {
    harness: &'a dyn HttpHarness,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Alone,
    WithRevocations,
}

#[async_trait(?Send)]
impl HttpHarness for Sealed<'_> {
    async fn app(&self, probe: Probe) -> Rc<dyn App> {
        self.harness.app(probe).await
    }

    fn sessions(
        &self,
        store: SpyStore,
        mut config: SessionConfigBuilder,
    ) -> Result<SessionManager, Error> {
        if config.secret_key.is_none() {
            config = config.secret_key(KeyRing::new(KEY)?);
        }
        let config = config.build()?;
        match self.kind {
            Kind::Alone => SessionManager::sealed(config),
            Kind::WithRevocations => SessionManager::sealed_with_revocations(config, store),
        }
    }
}

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Names every scenario once: for the table and for the tests.
macro_rules! suite {
    (
        $d:tt
        everywhere { $($everywhere:ident)* }
        with_revocations { $($with:ident)* }
        revocations { $($own:ident)* }
        revocation_records { $($record:ident)* }
    ) => {
        /// Runs one scenario over sealed sessions by its name, in a runtime of its own.
        ///
        /// # Panics
        ///
        /// The rule is broken, or there is no such scenario.
        pub fn run_sealed(name: &str, harness: &dyn HttpHarness) {
            let kinds: &[Kind] = match name {
                $(stringify!($everywhere) => &[Kind::Alone, Kind::WithRevocations],)*
                _ => &[Kind::WithRevocations],
            };
            for kind in kinds {
                let sealed = Sealed { harness, kind: *kind };
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true)
                    .build()
                    .expect("a runtime can be made");
                LocalSet::new().block_on(&runtime, async {
                    match name {
                        $(stringify!($own) => revocations::$own(&sealed).await,)*
                        $(stringify!($record) => revocation_records::$record(&sealed).await,)*
                        other => super::scenario(other, &sealed).await,
                    }
                });
            }
        }

        /// One test for each scenario over sealed sessions, against the harness that the
        /// expression makes.
        ///
        /// See [`conformance::http`](crate::conformance::http).
        #[macro_export]
        macro_rules! sealed_http_conformance {
            ($d harness:expr) => {
                $($d crate::sealed_http_conformance!(@one $d harness, $everywhere);)*
                $($d crate::sealed_http_conformance!(@one $d harness, $with);)*
                $($d crate::sealed_http_conformance!(@one $d harness, $own);)*
                $($d crate::sealed_http_conformance!(@one $d harness, $record);)*
            };
            (@one $d harness:expr, $d name:ident) => {
                #[test]
                fn $d name() {
                    $d crate::conformance::http::run_sealed(stringify!($d name), &$d harness);
                }
            };
        }
    };
}

suite! {
    $
    everywhere {
        i2_a_token_of_one_kind_opens_no_session_of_another
        i3_a_bad_mac_costs_no_store_access
        i3_a_bad_mac_is_foreign
        i3_a_foreign_token_is_told_once_and_names_no_session
        i3_a_token_of_another_cookie_is_refused
        i3_signing_anew_can_decline_to_extend_life
        i5_the_first_live_session_of_several_cookies_wins
        i5_a_second_live_session_is_told
        i6_a_dead_token_causes_no_removal
        i7_a_timed_renewal_is_told_apart
        t1_who_sends_no_token_is_new
        t1_no_cookie_and_nothing_stored_touches_nothing
        t2_a_handler_that_does_not_ask_costs_nothing
        t5_an_optional_session_is_none_only_without_a_layer
        t5_a_server_error_discards_the_changes_of_both_kinds
        t6_what_was_committed_sends_its_cookie_whatever_the_status
        t6_an_answer_that_fails_still_sends_what_was_committed
        t6_revert_forgets_changes_and_intentions
        t6_what_cannot_begin_ends_nothing_before
        t7_a_new_session_after_the_head_is_an_error
        t7_what_needs_a_new_cookie_after_the_head_is_an_error
        i4_a_login_taken_back_leaves_nothing_with_the_former_owner
        c6_flashes_and_seed_are_beside_the_data
        c6_queues_of_flashes_are_apart
        c6_some_categories_are_taken_and_the_others_keep_their_order
        e1_timeout_is_inactivity
        e1_absolute_timeout_counts_from_creation
        e1_a_login_begins_the_absolute_timeout_anew
        e1_a_session_has_a_timeout_of_its_own
        e1_a_new_absolute_timeout_reaches_every_session_that_is_written
        e1_a_remembered_session_and_its_cookie_end_at_the_absolute_timeout
        e1_remembered_sessions_can_have_an_absolute_timeout_of_their_own
        e2_what_expired_while_a_request_ran_is_not_written_back
        e3_a_clock_that_steps_back_shuts_nobody_out
        e5_an_expired_session_can_be_401
        a1_by_default_a_session_works_from_everywhere
        a1_a_prefix_may_stay_the_same
        a1_what_cannot_be_bound_does_not_begin
        a1_a_wrong_address_is_told
        a2_a_session_behind_a_proxy_is_bound_to_the_client
        a2_behind_a_proxy_the_cap_is_the_clients
        the_cap_counts_what_is_created_and_nothing_else
        the_cap_of_one_address_is_not_anothers
        a_refusal_by_the_cap_is_told_once
        f3_a_lower_limit_breaks_no_larger_session
        h2_a_configured_cookie_is_this_text
        h2_remember_is_at_most_400_days
        h3_who_is_remembered_no_more_has_the_configured_cookie
        h3_a_persistent_cookie_slides_where_its_use_fell_due_meanwhile
        h4_a_response_that_consulted_the_session_varies
        h4_a_response_with_the_cookie_is_never_stored
        h4_a_logout_can_clear_site_data
        h4_the_handlers_own_cookies_stay
        h4_what_two_kinds_say_of_caches_is_said_once
        h4_clearing_site_data_spares_the_other_kinds_new_cookie
        h1_a_neighbours_bad_bytes_hide_nothing
        h5_a_bearer_token_comes_in_authorization
        h5_a_token_that_a_handler_hands_out_comes_back_in_the_query
        h5_a_transport_of_the_applications_own_carries_the_token
        x1_each_response_shows_another_token_and_all_are_good
        x1_a_wrong_token_is_403
        x1_login_replaces_the_seed
        x1_a_token_asked_for_with_a_new_secret_is_of_the_new_seed
        x1_who_has_the_old_secret_learns_nothing_of_the_new_seed
        x1_a_renewal_of_nothing_keeps_the_seed
        x1_timed_renewal_keeps_the_seed
        x1_a_logout_ends_the_seed
        x2_a_request_from_another_site_is_403_and_looks_at_nothing
        x2_a_request_that_changes_nothing_passes
        x2_a_socket_is_opened_by_the_applications_own_pages_alone
        x2_x3_a_refusal_is_told
        x2_a_trusted_origin_still_needs_the_token
        x3_a_token_in_the_header_passes_any_body_on
        x3_a_token_in_a_form_is_taken_out_of_it
        x3_without_the_right_token_it_is_403
        x3_who_has_no_session_is_403_and_gets_none
        x3_a_form_that_is_too_long_is_413
        x3_a_guard_can_look_at_the_headers_only
        x3_exempt_requests_reach_their_handler
        x3_a_guard_without_a_layer_of_sessions_is_500
    }
    with_revocations {
        i4_login_over_another_owner_clears_the_session
        t7_an_end_after_the_head_is_carried_out
        i6_a_logout_under_a_superseded_token_is_gone
        f1_a_login_or_logout_that_did_not_happen_is_told_under_get
        c3_a_login_by_another_tab_keeps_the_slow_one_out
    }
    revocations {
        t2_only_a_session_with_an_owner_costs_a_read
        t3_storing_in_an_owned_session_looks_again
        t4_a_touch_leaves_a_sealed_session_its_limits
        i4_the_old_cookie_is_dead_after_a_renewal
        i4_a_request_under_the_old_cookie_stores_nothing
        o2_a_logout_is_final
        o2_a_visitors_cookie_signs_in_again_after_its_logout
        o2_signing_out_everywhere_spares_one
        o2_a_login_right_after_signing_out_everywhere_lives
        o2_a_login_on_a_node_whose_clock_is_ahead_is_ended
        o2_a_session_ends_also_after_the_clock_was_set_back
        o2_being_spared_brings_nothing_back
        o2_one_session_is_ended_by_its_owner
        f3_a_session_too_large_for_its_cookie_kills_nothing
        t7_what_outlives_the_head_is_told_of_the_end
        t7_an_end_of_a_sealed_session_in_this_process_is_told_at_once
        t7_an_end_of_a_sealed_session_elsewhere_is_found_at_the_next_look
        o2_ends_of_sealed_sessions_are_told
        s1_a_read_that_slides_during_a_logout_brings_a_cookie_that_opens_nothing
        i7_a_due_renewal_revives_nothing
        t4_a_time_out_whose_end_is_not_remembered_is_refused
    }
    revocation_records {
        f1_what_is_revoked_cannot_be_read
        f1_a_ping_asks_the_store_of_the_revocations
        f1_an_end_that_could_not_be_written_is_no_success
        f1_a_login_that_fails_leaves_the_session_before
        f1_signing_out_everywhere_that_failed_says_so
        c5_an_end_whose_answer_is_lost_is_looked_up
        c5_an_end_that_arrives_late_is_merged_once
        c4_ends_at_the_same_time_are_all_remembered
        c4_endless_conflicts_over_an_end_are_an_error
        e4_what_no_cookie_is_about_is_forgotten_and_swept
        e4_a_record_holds_only_what_must_be_remembered
        i2_a_record_of_revocations_names_nobody_and_opens_nothing
        i3_what_was_revoked_under_an_older_key_stays_so
        f2_a_damaged_record_lets_nobody_in_until_all_are_signed_out
    }
}
