//! A wall clock of its own for one manager, that a test can set without touching the machine's.

use crate::home::Home;
use crate::invocation::Invocation;
use crate::sandbox::is_root;
use rustix::time::{ClockId, clock_gettime, clock_settime};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SOURCE: &str = include_str!("shifted_clock.c");

/// A library that moves the wall clock of the processes into which it is preloaded.
///
/// The kernel tells who waits for it when the clock is set. So that it does, [`Self::shift`] sets the machine's clock to
/// what it shows anyway, which needs the right to do so.
#[derive(Debug)]
pub struct ShiftedClock {
    library: PathBuf,
    path: PathBuf,
    seconds: File,
}

impl ShiftedClock {
    /// Compiles the library in the home's work directory. The clock is right at first.
    ///
    /// # Errors
    /// A sentence why it cannot be had, for [`crate::skip`].
    pub fn new(home: &Home) -> Result<Self, String> {
        if !is_root() {
            return Err("having the kernel tell of a setting of the clock needs root".to_owned());
        }
        clock_settime(ClockId::Realtime, clock_gettime(ClockId::Realtime))
            .map_err(|error| format!("clock_settime: {error}"))?;
        let source = home.write("shifted_clock.c", SOURCE);
        let library = home.work().join("shifted_clock.so");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .output()
            .map_err(|error| format!("cc: {error}"))?;
        if !compiled.status.success() {
            return Err(format!("cc: {}", String::from_utf8_lossy(&compiled.stderr).trim()));
        }
        let path = home.write("clock", 0_i64.to_ne_bytes());
        let seconds = File::options()
            .write(true)
            .open(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { library, path, seconds })
    }

    /// Has a command, and the manager it starts, live by this clock.
    #[must_use]
    pub fn around(&self, command: Invocation) -> Invocation {
        command
            .env("LD_PRELOAD", self.library.as_os_str())
            .env("OSTLER_TEST_CLOCK", self.path.as_os_str())
    }

    /// Sets the clock, so many seconds ahead of the machine's.
    ///
    /// # Panics
    /// When that is no longer possible.
    pub fn shift(&self, seconds: i64) {
        self.seconds
            .write_all_at(&seconds.to_ne_bytes(), 0)
            .expect("the clock's file");
        clock_settime(ClockId::Realtime, clock_gettime(ClockId::Realtime)).expect("the clock set to what it shows");
    }

    /// What the machine's clock shows, in seconds since the Unix epoch.
    pub fn machine() -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}
