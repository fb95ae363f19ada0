//! What a process costs a machine beside processor time and resident memory: threads, descriptors, and memory counted by share.

use super::file::leading_number;
use super::stat::Stat;
use rustix::io::Errno;
use rustix::process::Pid;
use std::io;
use std::ops::Add;

/// What some processes have together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// How many there are.
    pub processes: u64,
    /// Their threads.
    pub threads: u64,
    /// Their open descriptors; `None` where one of them may not be looked at.
    pub descriptors: Option<u64>,
    /// Their memory in bytes, a page that several processes have counting for each by its share (PSS); `None` where it was not asked for
    /// or one of them may not be looked at.
    pub proportional_bytes: Option<u64>,
}

impl Footprint {
    /// Of these processes; those that are gone have none. Memory by share takes the kernel a walk over all pages, some milliseconds for a
    /// gigabyte, so that it is found out only where it is asked for.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of(processes: impl IntoIterator<Item = Pid>, with_shares: bool) -> io::Result<Self> {
        let mut all = Self {
            processes: 0,
            threads: 0,
            descriptors: Some(0),
            proportional_bytes: with_shares.then_some(0),
        };
        for pid in processes {
            let Some(stat) = Stat::read(pid)?.filter(|stat| !stat.is_zombie()) else {
                continue;
            };
            all = all
                + Self {
                    processes: 1,
                    threads: u64::from(stat.threads),
                    descriptors: known(pid, descriptors(pid))?,
                    proportional_bytes: if with_shares { known(pid, share(pid))? } else { None },
                };
        }
        Ok(all)
    }
}

impl Add for Footprint {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let sum = |one: Option<u64>, other: Option<u64>| Some(one? + other?);
        Self {
            processes: self.processes + other.processes,
            threads: self.threads + other.threads,
            descriptors: sum(self.descriptors, other.descriptors),
            proportional_bytes: sum(self.proportional_bytes, other.proportional_bytes),
        }
    }
}

/// `None` for what may not be looked at or the kernel does not have; nothing for who is gone.
fn known(pid: Pid, found: io::Result<u64>) -> io::Result<Option<u64>> {
    match found {
        Ok(number) => Ok(Some(number)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::SRCH) => Ok(Some(0)),
            Some(Errno::NOENT) => Ok(Stat::read(pid)?.is_none().then_some(0)),
            Some(Errno::ACCESS | Errno::PERM) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Since Linux 6.2 the directory's size is their number (proc_pid_fd(5)); before it is 0, and they are counted.
fn descriptors(pid: Pid) -> io::Result<u64> {
    let directory = format!("/proc/{pid}/fd");
    match std::fs::metadata(&directory)?.len() {
        0 => Ok(std::fs::read_dir(directory)?.count() as u64),
        number => Ok(number),
    }
}

/// `Pss:                 1234 kB` in proc_pid_smaps(5), summed up by the kernel.
fn share(pid: Pid) -> io::Result<u64> {
    let text = std::fs::read(format!("/proc/{pid}/smaps_rollup"))?;
    let mut lines = text.split(|byte| *byte == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(b"Pss:"));
    let kilobytes = line.and_then(|line| leading_number(line.trim_ascii_start()));
    Ok(kilobytes.unwrap_or(0) * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_about_what_we_know_of_ourselves() {
        let us = rustix::process::getpid();
        let before = Footprint::of([us], true).expect("/proc");
        assert_eq!(before.processes, 1);
        assert!(before.threads >= 1);
        let resident = Stat::read(us).expect("/proc").expect("we are").usage().resident_bytes;
        let share = before.proportional_bytes.expect("our own");
        assert!(share > 100_000 && share < 2 * resident, "{share} of {resident}");
        let open: Vec<_> = (0..50)
            .map(|_| std::fs::File::open("/dev/null").expect("a file"))
            .collect();
        let after = Footprint::of([us], false).expect("/proc");
        // Other tests of this process open and close some, too.
        assert!(
            after.descriptors > before.descriptors.map(|before| before + 25),
            "{before:?} {after:?}"
        );
        assert_eq!(after.proportional_bytes, None, "not asked for");
        drop(open);
    }

    #[test]
    fn who_is_gone_has_none_and_who_is_not_known_makes_all_unknown() {
        let mut child = std::process::Command::new("true").spawn().expect("true starts");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
        child.wait().expect("it ends");
        let nothing = Footprint::of([pid], true).expect("/proc");
        assert_eq!(
            (nothing.processes, nothing.descriptors, nothing.proportional_bytes),
            (0, Some(0), Some(0))
        );
        let unknown = Footprint {
            descriptors: None,
            ..nothing
        };
        assert_eq!((nothing + unknown).descriptors, None);
    }
}
