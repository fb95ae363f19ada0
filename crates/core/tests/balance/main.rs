//! Who gets a connection, for random workers and random lives of them.

mod choice;
mod ledger;
mod shares;

use ostler_core::WorkerId;
use ostler_core::balance::Candidate;
use proptest::prelude::*;

fn worker(slot: u32) -> WorkerId {
    WorkerId::new(slot, 1)
}

fn idle(slot: u32) -> Candidate {
    Candidate {
        worker: worker(slot),
        instance: slot,
        in_rotation: true,
        rests: false,
        stalls: false,
        is_awaited: false,
        is_writable: true,
        untaken: 0,
        behind: 0,
        open: Some(0),
    }
}

/// Who had the last one.
fn turn() -> impl Strategy<Value = Option<WorkerId>> {
    prop::option::of((0..8_u32).prop_map(worker))
}
