//! What every adapter does the same, as scenarios that run against any of them.
//!
//! An adapter's test builds an application with the routes below, whose handlers hand the
//! session and the request's body to a [`Probe`], and runs the suite against it:
//!
//! | route (any method) | handler |
//! |---|---|
//! | `/eager` | extracts the session: `probe.perform(Some(&session), &body)` |
//! | `/lazy` | extracts the lazy session and loads it if [`Probe::has_steps`] |
//! | `/careless` | as `/lazy`, but performs without a session if loading it fails |
//! | `/optional` | extracts an optional session and performs with what there is |
//! | `/untouched` | extracts nothing: `probe.perform(None, &body)` |
//! | `/twice` | as `/eager`, under a second layer of the same manager |
//! | `/both` | extracts the session and that of the kind [`Other`], whose layer of [`Probe::other`] stands inside: `probe.perform_both(&session, &other, &body)` |
//! | `/both/reversed` | the same with the layer of [`Other`] outside |
//! | `/guarded` | as `/eager`, under a CSRF layer of [`Probe::guard`]: `probe.perform_guarded(&session, content_length, &body)` with the header's value as the handler sees it |
//! | `/bare`, `/bare/optional`, `/bare/guarded` | as `/eager`, `/optional` and `/guarded`, without a layer of sessions |
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
//!
//! With the feature `sealed`, `session_core::sealed_http_conformance!(Mine)` runs the scenarios
//! of the rules that hold for sealed sessions over those, and adds what is particular to them.

mod browser;
mod message;
mod probe;
#[cfg(feature = "sealed")]
mod revocation_records;
#[cfg(feature = "sealed")]
mod revocations;
mod script;
#[cfg(feature = "sealed")]
mod sealed;
mod world;

use std::rc::Rc;

use async_trait::async_trait;
use tokio::task::LocalSet;

pub use message::{Request, Response};
pub use probe::{Other, Probe};
pub use script::{Answer, Step};
#[cfg(feature = "sealed")]
pub use sealed::run_sealed;

use super::SpyStore;
use crate::config::SessionConfigBuilder;
use crate::error::Error;
use crate::manager::SessionManager;

/// Builds the application under test.
#[async_trait(?Send)]
pub trait HttpHarness {
    /// An application with the routes of the [module](self), under a layer of the probe's
    /// manager.
    async fn app(&self, probe: Probe) -> Rc<dyn App>;

    /// The manager of a scenario's sessions: `store` is the scenario's own, which it looks into.
    ///
    /// # Default
    ///
    /// Sessions in that store.
    ///
    /// # Errors
    ///
    /// The options do not go together.
    fn sessions(
        &self,
        store: SpyStore,
        config: SessionConfigBuilder,
    ) -> Result<SessionManager, Error> {
        Ok(SessionManager::new(store, config.build()?))
    }
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
        i1_a_secret_stays_with_the_client
        i2_an_unknown_token_is_never_adopted
        i2_nothing_found_in_a_store_works_as_a_cookie
        i3_a_bad_mac_costs_no_store_access
        i3_a_token_under_an_older_key_is_sent_again
        i3_a_token_of_another_cookie_is_refused
        i3_a_replaced_secret_is_not_signed_anew
        i3_signing_anew_can_decline_to_extend_life
        i4_renew_replaces_the_secret_in_one_write
        i4_login_always_renews_and_keeps_the_visitors_data
        i4_login_over_another_owner_clears_the_session
        i4_login_over_another_owner_ends_what_it_was_given
        i4_what_ran_under_the_old_secret_writes_nothing
        i4_what_ran_under_the_old_secret_does_not_touch
        i5_the_first_live_session_of_several_cookies_wins
        i5_at_most_eight_tokens_are_loaded
        i5_a_later_token_that_cannot_be_read_fails_nothing
        i6_a_superseded_token_reads_as_empty_and_is_told
        i6_after_the_grace_nothing_is_removed_either
        i6_a_dead_token_causes_no_removal
    }
    renewal {
        i7_a_due_renewal_is_one_write_at_the_next_request
        i7_parallel_requests_renew_once
        i7_who_finds_the_secret_replaced_keeps_its_changes
        i7_newer_data_bring_no_second_renewal
        i7_an_outgrown_secret_is_not_sent_again
        i7_a_save_of_before_sends_no_outgrown_secret
        i7_the_old_secret_is_good_until_the_new_one_comes
        i7_presenting_the_new_secret_is_noted_once
        i7_a_lost_answer_costs_no_session
        i7_a_renewal_that_was_not_received_is_not_confirmed
        i7_open_handles_stay_bound
        i7_login_has_none_of_this
        i7_a_login_under_the_old_secret_is_told_to_its_other_requests
        i7_a_renewal_that_cannot_be_written_is_as_a_touch
        i7_a_due_renewal_of_what_has_ended_fails_no_reader
        i7_a_loser_sends_no_cookie
        i7_what_began_before_a_renewal_sends_no_cookie
        i7_the_secret_presented_last_is_the_one_to_fall_back_on
        i7_a_loser_that_waited_its_turn_does_not_renew
    }
    touching {
        t1_no_cookie_and_nothing_stored_touches_nothing
        t2_a_handler_that_does_not_ask_costs_nothing
        t3_reading_costs_one_load
        t3_writing_costs_one_load_and_one_conditional_write
        t3_a_first_store_costs_one_create
        t4_a_view_of_the_data_or_an_idle_default_is_no_change
        t4_a_touch_is_written_once_per_interval
        t4_a_touch_brings_the_limits_of_a_new_configuration
        t4_a_handle_goes_on_from_the_record_with_new_limits
        t4_a_socket_brings_the_limits_of_a_new_configuration
        t4_an_access_is_noted_whoever_wrote_meanwhile
        t4_new_limits_leave_what_a_write_in_doubt_would_replace
        t4_new_limits_of_a_requests_end_leave_what_a_write_in_doubt_would_replace
        t4_new_limits_wait_for_a_save_that_is_prepared
        t4_where_new_limits_cannot_be_written_a_touch_is
        t4_a_touch_with_new_limits_makes_way_for_any_other_write
        t4_a_write_can_decline_to_extend_life
        t4_an_unverified_token_touches_nothing
        t5_the_session_is_saved_before_the_head_leaves
        t5_a_server_error_discards_the_changes
        t5_saving_on_a_server_error_can_be_asked_for
        t5_a_failed_load_is_remembered
        t5_an_optional_session_is_none_only_without_a_layer
        t5_a_layer_added_twice_works_once
        t5_a_handler_that_panics_stores_nothing
        t5_a_client_that_goes_away_leaves_the_session_whole
    }
    committing {
        t6_transact_and_save_commit_at_once
        t6_renew_login_and_logout_wait_for_the_end
        t6_no_value_of_a_new_owner_is_written_into_anothers_session
        t6_what_was_committed_sends_its_cookie_whatever_the_status
        t6_an_answer_that_fails_still_sends_what_was_committed
        t6_initial_values_do_not_count_as_stored
        t6_revert_forgets_changes_and_intentions
        t6_what_follows_a_destroy_is_a_new_session
        t7_a_live_session_is_saved_after_the_head
        t7_a_session_begun_before_the_head_is_saved_after_it
        t7_a_new_session_after_the_head_is_an_error
        t7_what_needs_a_new_cookie_after_the_head_is_an_error
        t7_an_end_after_the_head_is_carried_out
        t7_an_end_after_the_head_that_fails_is_no_success
        t7_remember_after_the_head_is_an_error
        t7_a_session_that_ends_meanwhile_is_gone_after_the_head
    }
    endings {
        t6_a_commit_after_a_logout_leaves_the_logout_in_force
        f1_a_commit_whose_logout_failed_begins_nothing
        t6_what_cannot_begin_ends_nothing_before
        t6_an_end_that_was_refused_is_not_carried_out_later
        t6_of_several_ends_the_session_that_is_stored_is_gone_back_to
        t6_a_server_error_after_a_logout_takes_back_what_is_not_committed
        t6_a_logout_whose_new_session_cannot_begin_is_an_error_and_a_logout
        f1_a_logout_of_what_could_not_be_read_is_503
        i6_a_logout_under_a_superseded_token_is_gone
        f1_a_login_or_logout_that_did_not_happen_is_told_under_get
        f1_a_logout_ends_what_a_clone_is_storing
        f1_a_logout_ends_what_a_clone_is_beginning
        t1_what_came_and_went_begins_no_session
    }
    takeover {
        i4_the_former_owners_data_are_out_of_sight
        i4_what_the_former_owner_stores_meanwhile_is_not_taken_over
        i4_a_save_commits_the_login_over_another_owner
        i4_a_login_taken_back_leaves_nothing_with_the_former_owner
    }
    concurrency {
        c1_a_save_carries_operations_and_no_snapshot
        c1_what_was_only_read_does_not_come_back
        c1_of_two_defaults_the_first_that_is_stored_stands
        c1_one_of_many_finds_a_key_absent
        c1_reload_keeps_the_changes_of_this_request
        c2_sixty_four_clients_add_to_exactly_6_400
        c2_two_hundred_writers_of_different_keys_all_survive
        c2_a_transaction_that_fails_writes_nothing
    }
    clones {
        f1_a_logout_beside_a_touch_is_not_forgotten
        c1_what_is_done_beside_a_clones_commit_is_kept
        c1_what_is_done_beside_a_commit_that_met_another_is_kept
        c1_reload_never_puts_an_older_record_over_a_newer
        c5_a_write_that_arrives_late_does_not_count_twice
        c5_a_doubt_whose_record_is_gone_is_gone
    }
    races {
        c3_nothing_comes_back_after_a_logout
        c3_nothing_comes_back_after_a_revocation
        c3_a_logout_that_loses_to_another_is_still_a_logout
        c3_what_becomes_of_lost_changes_is_configurable
        c3_a_login_by_another_tab_keeps_the_slow_one_out
        c4_endless_conflicts_end_as_an_error
        c4_who_has_time_outlasts_any_number_of_conflicts
        c4_the_deadline_covers_the_queue
        c4_within_a_process_savers_do_not_collide
        c4_what_a_saver_leaves_to_the_next_shuts_no_newer_login_out
    }
    doubt {
        c5_an_update_whose_answer_is_lost_counts_once
        c5_a_create_whose_answer_is_lost_makes_one_session
        c5_a_login_whose_answer_is_lost_gives_its_cookie
        c5_a_logout_whose_answer_is_lost_is_done
        c5_what_is_still_unknown_is_503_and_never_repeated
        c5_after_a_503_nothing_is_written_late
        c5_saving_again_on_the_same_handle_does_not_count_twice
        c5_a_doubt_that_others_wrote_over_stays_an_error
        c5_limits_asked_for_over_a_doubt_are_kept
    }
    flashes {
        c6_each_flash_is_shown_exactly_once
        c6_flashes_and_seed_are_beside_the_data
        c6_a_cleared_session_is_still_its_owners
        c6_flashes_that_cannot_be_committed_are_not_shown
        c6_queues_of_flashes_are_apart
        c6_some_categories_are_taken_and_the_others_keep_their_order
        c6_two_takers_of_two_categories_get_each_flash_once
        c6_looking_at_flashes_takes_none_and_stores_nothing
        c6_the_same_flash_waits_once_whoever_adds_it
        c6_what_was_taken_meanwhile_is_added_again
    }
    time {
        e1_timeout_is_inactivity
        e1_absolute_timeout_counts_from_creation
        e1_a_login_begins_the_absolute_timeout_anew
        e1_ignore_expiry_turns_both_off
        e1_a_session_has_a_timeout_of_its_own
        e1_an_own_timeout_outlives_ignore_expiry
        e1_a_new_absolute_timeout_reaches_every_session_that_is_written
        e1_a_remembered_session_and_its_cookie_end_at_the_absolute_timeout
        e1_ignore_expiry_ends_no_cookie_at_a_former_absolute_timeout
        e1_remembered_sessions_can_have_an_absolute_timeout_of_their_own
        e2_an_expired_record_is_never_handed_out
        e2_what_expired_while_a_request_ran_is_not_written_back
        e2_what_others_keep_alive_can_still_be_written
        e2_a_session_that_was_given_less_time_meanwhile_is_not_revived
        e2_a_handle_that_outlives_its_request_revives_nothing
        e3_a_clock_that_steps_back_ends_nothing
        e4_the_sweep_waits_for_the_clock_skew
        e4_the_sweeper_survives_a_store_error_and_stops
        e5_an_expired_session_can_be_401
        e5_a_token_without_a_live_record_counts_as_expired
        t4_a_short_timeout_of_its_own_is_touched_in_time
    }
    address {
        a1_by_default_a_session_works_from_everywhere
        a1_another_address_gets_what_an_expired_session_gets
        a1_a_prefix_may_stay_the_same
        a1_a_login_binds_to_the_address_it_comes_from
        a1_what_cannot_be_bound_does_not_begin
        a2_a_proxy_at_a_unix_socket_is_believed_if_that_is_asked_for
        a2_headers_count_only_from_a_trusted_proxy
        a2_a_session_behind_a_proxy_is_bound_to_the_client
    }
    cap {
        what_is_over_the_cap_is_429_and_nothing_is_stored
        the_cap_counts_what_is_created_and_nothing_else
        the_cap_of_one_address_is_not_anothers
        a_create_that_failed_gives_its_place_back
        a_create_whose_logout_failed_gives_its_place_back
        a_client_that_goes_away_keeps_its_place
        a_refusal_by_the_cap_is_told_once
        t6_a_logout_over_the_cap_is_still_a_logout
        a1_what_cannot_be_counted_does_not_begin
        a2_behind_a_proxy_the_cap_is_the_clients
        e3_a_clock_that_steps_back_shuts_nobody_out
    }
    events {
        what_happens_to_a_session_is_told_once
        t5_what_was_discarded_is_not_told
        c3_lost_changes_are_told_once
        c5_a_write_whose_answer_was_lost_is_told_once
        c5_a_delete_whose_answer_was_lost_is_told_once
        i7_a_timed_renewal_is_told_apart
        o2_revocations_are_told_apart
        o2_revoke_all_is_told_of_each_session
        o3_what_a_login_too_many_ends_is_told
        o3_a_login_too_many_that_is_refused_is_told_once
        o3_a_login_that_is_withdrawn_is_told_as_it_was
        o3_a_login_that_is_withdrawn_leaves_no_dead_cookie
    }
    rejections {
        t1_who_sends_no_token_is_new
        i3_a_foreign_token_is_told_once_and_names_no_session
        i3_a_bad_mac_is_foreign
        i2_an_unknown_token_is_told
        i4_a_wrong_secret_is_told_with_the_session_it_did_not_open
        i4_a_wrong_secret_learns_nothing_of_an_expired_session
        i5_a_second_live_session_is_told
        i6_a_superseded_token_is_told
        e2_an_expired_session_is_told
        a1_a_wrong_address_is_told
        f1_an_outage_read_as_empty_says_so
        f2_a_corrupt_record_is_told
        t6_who_was_signed_out_by_this_request_is_new
    }
    outage {
        f1_a_store_that_is_down_or_hangs_is_503
        f1_a_session_that_cannot_begin_is_503
        f1_a_logout_that_failed_keeps_the_cookie
        f1_reading_as_empty_in_an_outage_is_a_choice
        f1_a_touch_that_failed_may_be_passed_over
        f1_the_deadline_is_the_configured_one
        f2_a_record_that_cannot_be_decoded_is_kept
        f2_a_newer_format_is_503_and_stays
        f2_a_damaged_record_can_be_revoked
        f3_a_session_that_is_too_large_is_refused
        f3_a_lower_limit_breaks_no_larger_session
    }
    headers {
        h2_the_default_cookie_is_this_text
        h2_a_configured_cookie_is_this_text
        h2_remember_is_at_most_400_days
        h3_no_cookie_when_there_is_nothing_to_learn
        h3_a_persistent_cookie_slides_with_the_session
        h3_who_is_remembered_no_more_has_the_configured_cookie
        h3_a_persistent_cookie_slides_though_each_request_commits
        h3_a_persistent_cookie_slides_under_steady_writes
        h3_a_persistent_cookie_slides_where_its_use_fell_due_meanwhile
        h3_a_cookie_that_slides_undoes_no_other_life_of_it
        h3_a_socket_leaves_a_persistent_cookie_to_a_request
        h3_never_two_cookies_of_one_name
        h3_a_session_that_ends_where_it_began_takes_no_cookie_away
        h4_a_response_that_consulted_the_session_varies
        h4_a_response_with_the_cookie_is_never_stored
        h4_a_logout_can_clear_site_data
        h4_the_handlers_own_cookies_stay
        h1_a_neighbours_bad_bytes_hide_nothing
    }
    transport {
        h5_a_header_carries_the_token_both_ways
        h5_a_bearer_token_comes_in_authorization
        h5_one_transport_reads_no_other
        h5_a_401_takes_the_header_token_away
        h5_a_transport_of_the_applications_own_carries_the_token
        h5_a_token_that_a_handler_hands_out_comes_back_in_the_query
        h5_a_client_that_can_be_told_no_new_token_costs_no_write_under_an_older_key
        h5_a_token_that_opens_nothing_is_not_handed_out
    }
    owners {
        o1_sessions_of_lists_the_live_ones_latest_first
        o1_a_logout_leaves_the_list
        o1_a_list_is_whole_or_an_error
        o2_a_revoked_session_is_dead_at_once
        o2_an_owner_ends_only_sessions_of_their_own
        o2_sign_out_everywhere_spares_one
        o2_a_session_renewed_while_it_is_revoked_is_ended
        o2_a_login_that_raced_the_first_list_is_ended
        o2_logins_acknowledged_before_the_call_are_ended
        o2_a_revocation_that_failed_says_so
        o2_a_damaged_record_is_ended_only_by_its_owner
        o2_what_cannot_be_ended_keeps_no_other_alive
    }
    limits {
        o3_without_a_limit_nothing_is_counted
        o3_a_login_too_many_ends_the_session_used_longest_ago
        o3_a_lower_limit_reaches_an_owner_at_the_next_login
        o3_a_login_too_many_is_refused_and_changes_nothing
        o3_a_login_in_the_owners_own_session_begins_none
        o3_what_is_expired_damaged_or_anothers_does_not_count
        o3_what_cannot_be_ended_is_told_and_tried_again
        o3_what_cannot_be_ended_keeps_no_other_alive
        o3_a_save_that_commits_a_login_is_counted
        o3_a_login_that_lost_a_race_is_withdrawn
        o3_the_cookie_of_a_withdrawn_login_goes_whatever_follows
        o3_a_login_refused_to_a_save_is_told_once
        o3_a_withdrawal_that_others_came_before_is_not_told_as_its_own
        o3_a_login_that_cannot_be_counted_is_503
        o3_logins_at_once_leave_at_most_the_limit
    }
    long_lived {
        t7_an_end_in_this_process_is_told_at_once
        t7_an_end_after_the_head_is_carried_out_by_who_waits_for_it
        t7_who_ends_what_another_has_renewed_is_told_that_it_is_over
        f1_a_logout_that_failed_is_no_end_to_wait_for
        t7_an_end_elsewhere_is_found_at_the_next_look
        t7_an_expired_session_has_ended
        t7_looking_extends_no_life
        t7_a_look_that_fails_is_an_error
        t7_a_handles_own_login_does_not_end_it
        t7_a_write_in_doubt_hides_no_end
        t7_a_logout_taken_back_ends_nothing
        t7_what_has_not_begun_is_waited_for_until_the_head
        t7_a_touch_keeps_the_session_of_an_open_socket_alive
        t7_a_touch_brings_nothing_back
    }
    admin {
        c1_an_administrator_and_the_client_lose_nothing_to_each_other
        t4_an_administrators_handle_is_no_access
        c3_an_administrators_handle_brings_nothing_back
        t7_no_cookie_comes_of_an_administrators_handle
        e2_what_is_absent_or_expired_is_not_opened
        a1_a_session_that_is_bound_to_an_address_can_be_administered
        o2_revoke_all_ends_every_session
        o2_revoke_all_spares_what_begins_after_it_and_comes_to_an_end
        o2_a_revoke_all_that_failed_says_so
    }
    kinds {
        h3_each_kind_of_session_sets_its_own_cookie
        h4_what_two_kinds_say_of_caches_is_said_once
        t3_each_kind_costs_its_own_store_alone
        i2_a_token_of_one_kind_opens_no_session_of_another
        f1_an_error_of_either_kind_is_the_answer
        t6_what_one_kind_stored_survives_the_others_error
        t5_a_server_error_discards_the_changes_of_both_kinds
        h4_clearing_site_data_spares_the_other_kinds_new_cookie
    }
    guard {
        x2_a_request_from_another_site_is_403_and_looks_at_nothing
        x2_a_request_that_changes_nothing_passes
        x2_a_socket_is_opened_by_the_applications_own_pages_alone
        x2_x3_a_refusal_is_told
        x2_a_trusted_origin_still_needs_the_token
        x3_a_token_in_the_header_passes_any_body_on
        x3_a_token_in_a_form_is_taken_out_of_it
        x3_without_the_right_token_it_is_403
        x3_who_has_no_session_is_403_and_gets_none
        x3_a_refused_request_does_not_extend_life
        x3_a_session_that_cannot_be_loaded_is_what_it_always_is
        x3_a_form_that_is_too_long_is_413
        x3_a_guard_can_look_at_the_headers_only
        x3_exempt_requests_reach_their_handler
        x3_a_guard_without_a_layer_of_sessions_is_500
    }
    csrf {
        x1_each_response_shows_another_token_and_all_are_good
        x1_asking_counts_as_storing_and_checking_does_not
        x1_a_wrong_token_is_403
        x1_two_first_askers_at_once_are_both_good
        x1_login_replaces_the_seed
        x1_a_token_asked_for_with_a_new_secret_is_of_the_new_seed
        x1_who_has_the_old_secret_learns_nothing_of_the_new_seed
        x1_a_renewal_of_nothing_keeps_the_seed
        x1_timed_renewal_keeps_the_seed
        x1_a_logout_ends_the_seed
    }
}
