//! Clocks.

use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// `CLOCK_MONOTONIC` in milliseconds: the same in all processes since boot, untouched by clock steps.
    pub monotonic_millis: u64,
    /// `CLOCK_REALTIME` in milliseconds since the Unix epoch.
    pub wall_millis: i64,
}

/// What time it is.
pub fn now() -> Now {
    Now {
        monotonic_millis: u64::try_from(millis(clock_gettime(ClockId::Monotonic))).unwrap_or(0),
        wall_millis: wall_millis(),
    }
}

/// The standard library's clock, as in dates of logs: there is one wall clock, also for whoever interposes it.
fn wall_millis() -> i64 {
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}

fn millis(time: Timespec) -> i64 {
    time.tv_sec
        .saturating_mul(1000)
        .saturating_add(time.tv_nsec / 1_000_000)
}

/// Becomes readable whenever somebody sets the wall clock (`timerfd_create(2)`, `TFD_TIMER_CANCEL_ON_SET`), so that
/// schedules can be computed anew. Slow adjustment by NTP is no setting.
#[derive(Debug)]
pub struct ClockWatch(OwnedFd);

impl ClockWatch {
    /// Begins to watch. The descriptor is close-on-exec and does not block.
    ///
    /// # Errors
    /// `timerfd_create(2)`: `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let watch = Self(timer);
        watch.arm()?;
        Ok(watch)
    }

    /// Whether the clock was set since the last call.
    ///
    /// # Errors
    /// `read(2)`, which only a foreign descriptor would bring about.
    pub fn was_set(&self) -> io::Result<bool> {
        let mut expirations = [0; 8];
        match rustix::io::read(&self.0, &mut expirations) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            // ECANCELED is the news; an expiry would mean that the year 2200 has come, by a clock step.
            Ok(_) | Err(Errno::CANCELED) => self.arm().map(|()| true),
            Err(error) => Err(error.into()),
        }
    }

    fn arm(&self) -> io::Result<()> {
        let never = Timespec {
            tv_sec: 7_258_118_400,
            tv_nsec: 0,
        }; // the year 2200
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: never,
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        match timerfd_settime(&self.0, flags, &once) {
            // The clock was set since the last look; the timer is armed all the same.
            Ok(_) | Err(Errno::CANCELED) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for ClockWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for ClockWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
