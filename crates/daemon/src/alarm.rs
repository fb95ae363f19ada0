//! An alarm that rings on time: the runtime's own timers go by whole milliseconds and are late by up to one, which is much where somebody
//! waits for three.

use crate::readiness::readable;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

/// See the module's header (timerfd_create(2)).
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
    set_to: Option<Instant>,
}

impl Alarm {
    /// One that is not set.
    ///
    /// # Errors
    /// `timerfd_create(2)`, `epoll_ctl(2)`: no descriptors or no memory.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self {
            timer: readable(timerfd_create(TimerfdClockId::Monotonic, flags)?)?,
            set_to: None,
        })
    }

    /// Sets it to another time, or to none. One that has rung has to be set again.
    pub fn set(&mut self, at: Option<Instant>) {
        if at == self.set_to {
            return;
        }
        self.set_to = at;
        // A time of 0 would mean never.
        let left = at.map(|at| {
            at.saturating_duration_since(Instant::now())
                .max(Duration::from_nanos(1))
        });
        let once = Itimerspec {
            it_interval: timespec(Duration::ZERO),
            it_value: timespec(left.unwrap_or_default()),
        };
        // Fails for times that are no times only.
        let _ = timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once);
    }

    /// Waits until it rings.
    pub async fn rings(&self) {
        loop {
            let Ok(mut ready) = self.timer.readable().await else {
                return std::future::pending().await;
            };
            let mut times = [0; 8];
            match rustix::io::read(self.timer.get_ref(), &mut times) {
                Ok(_) => return,
                Err(_) => ready.clear_ready(),
            }
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_rings_when_its_time_has_come_and_not_before() {
        let mut alarm = Alarm::new().expect("an alarm");
        for millis in [3, 0, 1] {
            let at = Instant::now() + Duration::from_millis(millis);
            alarm.set(Some(at));
            alarm.rings().await;
            assert!(Instant::now() >= at);
        }
    }

    #[tokio::test]
    async fn one_that_is_set_back_or_off_does_not_ring() {
        let mut alarm = Alarm::new().expect("an alarm");
        let soon = Instant::now() + Duration::from_millis(1);
        alarm.set(Some(soon));
        alarm.set(None);
        let later = Instant::now() + Duration::from_millis(20);
        let mut other = Alarm::new().expect("an alarm");
        other.set(Some(later));
        tokio::select! {
            biased;
            () = alarm.rings() => panic!("it is off"),
            () = other.rings() => {}
        }
    }
}
