//! Death at a chosen moment, for tests: the engine is killed at its n-th kill point by a panic, which leaves exactly what
//! a SIGKILL at that moment would leave, since nothing of the engine acts when it is dropped.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// What the panic carries.
struct Killed;

/// A moment at which this thread dies when its time has come.
pub(super) fn kill_point() {
    LEFT.with(|left| match left.get() {
        Some(0) => {
            left.set(None);
            std::panic::resume_unwind(Box::new(Killed));
        }
        Some(more) => left.set(Some(more - 1)),
        None => {}
    });
}

/// Runs `work` until its `moment`-th kill point. None if it was killed there.
pub(super) fn run_until<T>(moment: u32, work: impl FnOnce() -> T) -> Option<T> {
    LEFT.with(|left| left.set(Some(moment)));
    let result = catch_unwind(AssertUnwindSafe(work));
    LEFT.with(|left| left.set(None));
    result
        .map_err(|payload| assert!(payload.is::<Killed>(), "the engine panicked by itself"))
        .ok()
}
