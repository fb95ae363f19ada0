//! Setting of the wall clock, by hand, by a time service, or when a suspended machine wakes up.
//!
//! Waiting is done on the monotonic clock, which knows nothing of it, so what is to happen at a time of day must be
//! computed anew.

use crate::fact::Fact;
use crate::readiness::readable;
use ostler_sys::clock::{self, ClockWatch};
use std::io;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::UnboundedSender;

/// Begins to send a fact each time the clock is set.
///
/// # Errors
/// `timerfd_create(2)` and `epoll_ctl(2)`: no descriptors or no memory.
pub fn watch(facts: UnboundedSender<Fact>) -> io::Result<()> {
    let clock = readable(ClockWatch::new()?)?;
    tokio::spawn(async move {
        if let Err(error) = pass_on(&clock, &facts).await {
            let _ = facts.send(Fact::Note(format!(
                "settings of the clock are no longer noticed: {error}; restart apps with cron_restart after the next one"
            )));
        }
    });
    Ok(())
}

async fn pass_on(clock: &AsyncFd<ClockWatch>, facts: &UnboundedSender<Fact>) -> io::Result<()> {
    let mut before = ahead();
    loop {
        let mut ready = clock.readable().await?;
        if !clock.get_ref().was_set()? {
            ready.clear_ready();
            continue;
        }
        let now = ahead();
        let by_millis = now.saturating_sub(before);
        before = now;
        if facts.send(Fact::ClockSet { by_millis }).is_err() {
            return Ok(());
        }
    }
}

/// By how many milliseconds the wall clock is ahead of the monotonic one.
fn ahead() -> i64 {
    let now = clock::now();
    now.wall_millis
        .saturating_sub(i64::try_from(now.monotonic_millis).unwrap_or(i64::MAX))
}
