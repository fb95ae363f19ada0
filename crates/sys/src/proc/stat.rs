//! `/proc/<pid>/stat`.

use super::file::{open_of, read};
use rustix::process::Pid;
use std::io;
use std::sync::OnceLock;

/// When a process started, in clock ticks since boot. Together with the pid it names a process for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartTime(pub u64);

/// What a process is doing, by the letter of `proc(5)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// R: running or runnable.
    Running,
    /// S: waiting for something, interruptible.
    Sleeping,
    /// D: waiting for a disk or the like; signals wait too.
    Uninterruptible,
    /// T or t: stopped by a signal or a debugger.
    Stopped,
    /// Z: ended, not reaped.
    Zombie,
    /// X or x: gone while it was looked at.
    Dead,
    /// I: an idle kernel thread, or a letter of a newer kernel.
    Other,
}

/// One process, as `/proc/<pid>/stat` shows it at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its id.
    pub pid: Pid,
    /// Its parent's id; none for those the kernel started and for children of another pid namespace.
    pub parent: Option<Pid>,
    /// Its process group's id.
    pub group: i32,
    /// Its session's id.
    pub session: i32,
    /// What it is doing.
    pub state: State,
    /// How many threads it has.
    pub threads: u32,
    /// When it started.
    pub start_time: StartTime,
    /// User and system time of all its threads, in clock ticks.
    pub cpu_ticks: u64,
    /// Resident memory in pages. The kernel counts lazily: it may be off by some dozen pages a CPU.
    pub resident_pages: u64,
    /// The wait status of a zombie; 0 for those who may not see it.
    pub exit_code: i32,
}

/// Processor time and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident bytes. Pages shared between processes count for each.
    pub resident_bytes: u64,
    /// User and system time in milliseconds, to the tick (10 ms).
    pub cpu_millis: u64,
}

impl Stat {
    /// Reads one process. `None` when there is none.
    ///
    /// # Errors
    /// When `/proc` cannot be read: out of descriptors, not mounted.
    pub fn read(pid: Pid) -> io::Result<Option<Self>> {
        let Some(file) = open_of(pid, "stat")? else {
            return Ok(None);
        };
        let mut buffer = [0; 1024];
        let Some(text) = read(file, &mut buffer)? else {
            return Ok(None);
        };
        Ok(Self::parse(text))
    }

    /// Parses the one line of the file. `None` if it is none.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let opened = line.iter().position(|byte| *byte == b'(')?;
        // The name may contain anything, parentheses and line breaks included: only the last one closes it.
        let closed = line.iter().rposition(|byte| *byte == b')')?;
        let pid = number(line.get(..opened)?.trim_ascii())?;
        let mut fields = line
            .get(closed + 1..)?
            .split(u8::is_ascii_whitespace)
            .filter(|field| !field.is_empty());
        let state = State::from_letter(*fields.next()?.first()?);
        // Counted from field 4, the first after the state.
        let parent = number(fields.next()?)?;
        let group = number(fields.next()?)?;
        let session = number(fields.next()?)?;
        let user: u64 = number(fields.nth(14 - 7)?)?;
        let system: u64 = number(fields.next()?)?;
        let threads = number(fields.nth(20 - 16)?)?;
        let start = number(fields.nth(22 - 21)?)?;
        let resident: i64 = number(fields.nth(24 - 23)?)?;
        let exit_code = fields.nth(52 - 25).and_then(number).unwrap_or(0);
        Some(Self {
            pid: Pid::from_raw(pid)?,
            parent: Pid::from_raw(parent),
            group,
            session,
            state,
            threads,
            start_time: StartTime(start),
            cpu_ticks: user + system,
            resident_pages: u64::try_from(resident).unwrap_or(0),
            exit_code,
        })
    }

    /// Whether it has ended. A process whose first thread alone has ended still lives.
    pub fn is_zombie(&self) -> bool {
        match self.state {
            State::Zombie => self.threads <= 1,
            State::Dead => true,
            State::Running | State::Sleeping | State::Uninterruptible | State::Stopped | State::Other => false,
        }
    }

    /// What it uses.
    pub fn usage(&self) -> Usage {
        Usage {
            resident_bytes: self.resident_pages * page_size(),
            cpu_millis: millis_of_ticks(self.cpu_ticks),
        }
    }
}

impl State {
    fn from_letter(letter: u8) -> Self {
        match letter {
            b'R' => Self::Running,
            b'S' => Self::Sleeping,
            b'D' => Self::Uninterruptible,
            b'T' | b't' => Self::Stopped,
            b'Z' => Self::Zombie,
            b'X' | b'x' => Self::Dead,
            _ => Self::Other,
        }
    }
}

fn number<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Bytes a page.
pub fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

/// Milliseconds of a number of clock ticks (`sysconf(_SC_CLK_TCK)`).
pub fn millis_of_ticks(ticks: u64) -> u64 {
    static PER_SECOND: OnceLock<u64> = OnceLock::new();
    ticks.saturating_mul(1000) / (*PER_SECOND.get_or_init(rustix::param::clock_ticks_per_second)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] =
        b"4242 (odd) (name\n) S 17 4242 4240 0 -1 4194304 100 0 0 0 7 5 0 0 20 0 3 0 987654 12345678 321 \
        18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 4711 1792\n";

    #[test]
    fn every_field_is_found_behind_a_name_full_of_parentheses() {
        let stat = Stat::parse(LINE).expect("a line of the kernel's form");
        assert_eq!(stat.pid.as_raw_nonzero().get(), 4242);
        assert_eq!(stat.parent.map(|pid| pid.as_raw_nonzero().get()), Some(17));
        assert_eq!(
            (stat.group, stat.session, stat.state, stat.threads),
            (4242, 4240, State::Sleeping, 3)
        );
        assert_eq!(
            (stat.start_time, stat.cpu_ticks, stat.resident_pages),
            (StartTime(987_654), 12, 321)
        );
        assert_eq!(stat.exit_code, 7 << 8);
    }

    #[test]
    fn a_line_that_was_cut_short_is_no_process() {
        let memory = LINE
            .windows(4)
            .position(|part| part == b" 321")
            .expect("the last field that is needed");
        for length in 0..=memory {
            assert_eq!(Stat::parse(&LINE[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn our_own_entry_agrees_with_what_we_know_of_ourselves() {
        let us = rustix::process::getpid();
        let stat = Stat::read(us).expect("/proc is mounted").expect("we live");
        assert_eq!(stat.pid, us);
        assert_eq!(stat.parent, rustix::process::getppid());
        assert!(!stat.is_zombie());
        assert!(stat.usage().resident_bytes > 100_000);
    }
}
