//! What the process trees of workers cost the machine: looked up where nobody else has to wait for it.

use super::internal;
use crate::tree;
use ostler_sys::{Pid, proc};
use ostler_wire::control::ApiError;
use ostler_wire::metrics::{Footprint, Metrics};

/// Fills it in for each worker that runs; memory by share, which takes some milliseconds a gigabyte, only if that is wanted.
///
/// # Errors
/// If the thread that looks panics.
pub async fn fill(mut metrics: Metrics, with_shares: bool) -> Result<Metrics, ApiError> {
    let filled = tokio::task::spawn_blocking(move || {
        for worker in &mut metrics.workers {
            worker.footprint = worker.row.pid.and_then(|pid| of_tree(pid.0, with_shares));
        }
        metrics
    });
    filled
        .await
        .map_err(|error| internal(&format!("looking at processes failed: {error}")))
}

/// `None` when `/proc` cannot be read, or it is gone.
fn of_tree(root: i32, with_shares: bool) -> Option<Footprint> {
    let tree = std::iter::once(root).chain(tree::below(root));
    let found = proc::Footprint::of(tree.filter_map(Pid::from_raw), with_shares).ok()?;
    (found.processes > 0).then_some(Footprint {
        processes: found.processes,
        threads: found.threads,
        descriptors: found.descriptors,
        proportional_memory: found.proportional_bytes,
    })
}
