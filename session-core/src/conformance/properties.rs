//! The list of properties, once: for the tests that the macro makes and for the table.

use std::fmt;
use std::pin::Pin;

use super::{
    Harness, admin, concurrency, create, delete, devices, history, limits, load, owned_by, ping,
    scan, sweep, touch, update,
};

/// A property of stores, by name.
///
/// For tests of the suite itself; a store is tested with
/// [`store_conformance!`](crate::store_conformance).
#[derive(Clone, Copy)]
pub struct Property {
    /// The name of its test.
    pub name: &'static str,
    /// What a harness leaves out in `without` if it cannot offer it.
    pub needs: Option<&'static str>,
    run: Run,
}

type Run = for<'a> fn(&'a dyn Harness) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl Property {
    /// Looks at a store of `harness`; panics where it does not hold.
    pub async fn check(&self, harness: &dyn Harness) {
        (self.run)(harness).await;
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const fn first(names: &'static [&'static str]) -> Option<&'static str> {
    match names {
        [name, ..] => Some(name),
        [] => None,
    }
}

/// All properties, in the order of the contract.
pub const PROPERTIES: &[Property] = crate::__conformance_properties!(table);

/// Makes a test of every property of a store's contract; the
/// [`conformance`](crate::conformance) module shows how.
///
/// The first argument is an expression that makes a [`Harness`]; it is evaluated, and may
/// `.await`, in every test. What the harness does not offer is left out by name:
/// `without: [plant, reopen]`. Tests that are left out show as ignored.
#[macro_export]
macro_rules! store_conformance {
    ($harness:expr $(,)?) => {
        $crate::__conformance_properties!(tests [] $harness);
    };
    ($harness:expr, without: [$($without:ident),* $(,)?] $(,)?) => {
        $($crate::__conformance_known!($without);)*
        $crate::__conformance_properties!(tests [$($without)*] $harness);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_properties {
    ($($asked:tt)*) => {
        $crate::__conformance_expand! { [$($asked)*]
            create: a_created_record_is_loaded_whole;
            create: a_record_of_a_megabyte_is_kept_whole;
            create: a_taken_id_stays_as_it_was;
            create: an_expired_record_takes_its_id;
            create: an_unreadable_record_takes_its_id needs plant;
            create: ids_that_differ_in_one_bit_are_different;
            create: ids_that_differ_in_letter_case_are_different;
            create: ids_of_unusual_bytes_are_ordinary;
            create: an_id_is_free_after_a_delete;
            create: a_full_store_refuses_and_writes_nothing needs small_store;
            create: a_created_record_is_seen_by_a_second_opening needs reopen;
            create: an_outage_is_never_a_created_session needs break_backend;
            load: an_absent_record_is_none;
            load: an_expired_record_is_still_loaded;
            load: loading_changes_nothing;
            load: every_operation_compares_ids_byte_for_byte;
            load: an_unreadable_record_is_an_error_and_is_kept needs plant;
            load: an_unreadable_record_harms_no_other needs plant;
            load: an_outage_is_never_an_absent_record needs break_backend;
            load: after_an_outage_everything_is_there needs break_backend;
            update: an_update_replaces_the_whole_record;
            update: a_stale_update_is_refused_and_writes_nothing;
            update: versions_are_compared_in_every_bit;
            update: an_update_creates_nothing;
            update: an_update_does_not_bring_back_a_deleted_record;
            update: an_update_keeps_the_access_of_a_touch_in_between;
            update: an_update_moves_the_access_forward;
            update: an_expired_record_is_still_updated;
            update: an_update_replaces_secret_and_generation;
            update: the_owner_index_follows_every_change;
            update: a_refused_update_leaves_the_owner_index;
            update: an_update_without_room_leaves_the_old_record needs small_store;
            update: an_unreadable_record_is_not_replaced needs plant;
            update: a_second_opening_cannot_update_from_a_stale_version needs reopen;
            update: an_outage_is_never_a_stored_update needs break_backend;
            touch: a_touch_moves_the_access_and_leaves_the_rest;
            touch: a_touch_never_moves_the_access_back;
            touch: a_touch_of_another_generation_is_refused;
            touch: a_touch_creates_nothing;
            touch: a_touched_record_expires_by_its_stored_time_out needs sweep;
            touch: a_touched_record_still_expires_at_its_end needs sweep;
            touch: a_touch_uses_the_limits_that_are_stored_now;
            touch: a_touch_gives_no_expiry;
            touch: an_expired_record_is_still_touched;
            touch: the_owner_index_lives_as_long_as_a_touched_record;
            touch: an_unreadable_record_is_not_touched needs plant;
            touch: an_outage_is_never_a_stored_touch needs break_backend;
            delete: a_deleted_record_is_gone;
            delete: a_delete_of_nothing_is_gone;
            delete: a_delete_of_another_generation_is_refused;
            delete: an_administrator_deletes_any_record;
            delete: a_deleted_record_leaves_the_owner_index;
            delete: a_delete_leaves_the_neighbours;
            delete: nothing_brings_a_deleted_record_back;
            delete: an_unreadable_record_can_be_deleted needs plant;
            delete: a_delete_is_seen_by_a_second_opening needs reopen;
            delete: an_outage_is_never_a_deleted_session needs break_backend;
            owned_by: an_owner_without_sessions_has_none;
            owned_by: every_session_is_listed_under_its_owner;
            owned_by: three_hundred_sessions_of_one_owner_are_listed;
            owned_by: sessions_of_unusual_ids_are_listed;
            owned_by: owners_are_compared_byte_for_byte;
            owned_by: owners_that_differ_in_letter_case_are_different;
            owned_by: owners_that_differ_in_a_trailing_space_are_different;
            owned_by: owners_of_255_bytes_are_kept_whole;
            owned_by: the_owner_index_is_seen_by_a_second_opening needs reopen;
            owned_by: an_outage_is_never_an_empty_list needs break_backend;
            scan: a_scan_of_an_empty_store_ends;
            scan: a_scan_lists_every_record;
            scan: a_scan_by_single_ids_lists_every_record;
            scan: a_scan_lists_unusual_ids;
            scan: a_scan_lists_every_kind_of_record;
            scan: a_scan_lists_unreadable_records needs plant;
            scan: a_scan_lists_no_deleted_record;
            scan: two_scans_at_once_both_list_every_record;
            scan: a_scan_misses_nothing_between_its_pages;
            scan: a_scan_misses_nothing_while_others_come_and_go;
            scan: an_outage_is_never_the_end_of_a_scan needs break_backend;
            sweep: an_expired_record_is_removed;
            sweep: a_sweep_removes_to_the_millisecond needs sweep;
            sweep: a_sweep_keeps_what_has_not_expired;
            sweep: a_sweep_keeps_what_never_expires;
            sweep: a_sweep_of_an_empty_store_removes_nothing;
            sweep: a_sweep_counts_what_it_removes needs sweep;
            sweep: a_sweep_stops_at_its_limit needs sweep;
            sweep: a_sweep_keeps_what_was_touched needs sweep;
            sweep: a_sweep_keeps_what_was_lengthened needs sweep;
            sweep: a_sweep_removes_what_was_shortened needs sweep;
            sweep: a_sweep_keeps_what_was_touched_and_then_updated;
            sweep: a_swept_record_leaves_the_owner_index needs sweep;
            sweep: the_owner_index_outlives_a_sweep;
            sweep: a_swept_record_is_not_brought_back needs sweep;
            sweep: sweeps_at_once_do_no_harm needs sweep;
            sweep: a_sweep_beside_touches_keeps_what_they_reached;
            sweep: a_sweep_goes_past_unreadable_records needs plant;
            sweep: an_outage_is_never_a_finished_sweep needs break_backend;
            ping: a_ping_is_answered;
            ping: a_ping_leaves_nothing_behind;
            ping: an_outage_fails_the_ping needs break_backend;
            concurrency: of_creates_at_once_exactly_one_wins;
            concurrency: of_creates_through_two_openings_exactly_one_wins needs reopen;
            concurrency: of_updates_from_one_version_exactly_one_wins;
            concurrency: of_updates_through_two_openings_exactly_one_wins needs reopen;
            concurrency: sixty_four_tasks_count_to_6400;
            concurrency: two_openings_count_together needs reopen;
            concurrency: a_touch_beside_an_update_loses_neither;
            concurrency: a_delete_beside_writers_is_final;
            concurrency: of_deletes_at_once_exactly_one_wins;
            concurrency: nothing_of_an_old_generation_is_done_after_a_renewal;
            concurrency: the_owner_index_never_misses_a_session_that_changes_hands;
            concurrency: a_dropped_create_has_happened_wholly_or_not_at_all;
            concurrency: a_dropped_update_has_happened_wholly_or_not_at_all;
            concurrency: a_dropped_touch_has_happened_wholly_or_not_at_all;
            concurrency: a_dropped_delete_has_happened_wholly_or_not_at_all;
            devices: a_device_list_says_all_about_each_session;
            devices: one_all_others_and_all_sessions_of_an_owner_are_ended;
            limits: of_too_many_sessions_those_used_longest_ago_end;
            limits: a_login_too_many_is_refused_and_changes_nothing;
            limits: logins_at_once_leave_at_most_the_limit;
            limits: logins_at_once_through_two_openings_leave_at_most_the_limit needs reopen;
            admin: an_opened_session_is_changed_beside_its_client;
            admin: every_session_is_ended;
            admin: every_unreadable_session_is_ended needs plant;
            admin: ending_every_session_beside_logins_comes_to_an_end;
            admin: an_outage_never_ends_every_session needs break_backend;
            history: histories_have_an_order;
            history: histories_through_two_openings_have_an_order needs reopen;
            history: histories_over_a_bad_wire_have_an_order;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_expand {
    ([table] $($group:ident: $name:ident $(needs $needs:ident)?;)*) => {
        &[$(Property {
            name: stringify!($name),
            needs: first(&[$(stringify!($needs))?]),
            run: |harness| Box::pin($group::$name(harness)),
        }),*]
    };
    ([tests $without:tt $harness:expr] $($group:ident: $name:ident $(needs $needs:ident)?;)*) => {
        $($crate::__conformance_test! { [$($needs)?] $without $harness, $group $name })*
    };
}

/// One test, ignored if what it needs is among what the harness is without.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_test {
    ([plant] [plant $($more:ident)*] $($test:tt)*) => {
        $crate::__conformance_test! { ignored "without: [plant]", $($test)* }
    };
    ([reopen] [reopen $($more:ident)*] $($test:tt)*) => {
        $crate::__conformance_test! { ignored "without: [reopen]", $($test)* }
    };
    ([break_backend] [break_backend $($more:ident)*] $($test:tt)*) => {
        $crate::__conformance_test! { ignored "without: [break_backend]", $($test)* }
    };
    ([small_store] [small_store $($more:ident)*] $($test:tt)*) => {
        $crate::__conformance_test! { ignored "without: [small_store]", $($test)* }
    };
    ([sweep] [sweep $($more:ident)*] $($test:tt)*) => {
        $crate::__conformance_test! { ignored "without: [sweep]", $($test)* }
    };
    ([$needs:ident] [$other:ident $($more:ident)*] $($test:tt)*) => {
        $crate::__conformance_test! { [$needs] [$($more)*] $($test)* }
    };
    (ignored $why:literal, $harness:expr, $group:ident $name:ident) => {
        #[test]
        #[ignore = $why]
        fn $name() {}
    };
    ([$($needs:ident)?] $without:tt $harness:expr, $group:ident $name:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            $crate::conformance::$group::$name(&$harness).await;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_known {
    (plant) => {};
    (reopen) => {};
    (break_backend) => {};
    (small_store) => {};
    (sweep) => {};
    ($other:ident) => {
        compile_error!(concat!(
            "`",
            stringify!($other),
            "` is none of plant, reopen, break_backend, small_store, sweep"
        ));
    };
}
