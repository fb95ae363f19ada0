//! Which processes belong to a worker.
//!
//! While the main process lives, its tree is what hangs below it. What a program detaches (double fork, `setsid`) becomes a
//! child of the nearest subreaper, which is this daemon or the keeper; so a child of either that is no worker is a leftover of
//! some worker. Whose it is, its session tells, or else the variable [`MARKER`] in its environment.
//!
//! Both questions cost a few reads in `/proc`, however many processes the machine has.

use ostler_core::WorkerId;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The variable every app is given, and hands on to what it starts.
pub const MARKER: &str = "OSTLER_WORKER";

/// The marker's value: the worker, and whose it is (two Ostlers may run on one machine).
pub fn marker(worker: WorkerId, home: &str) -> String {
    format!("{worker}@{home}")
}

/// All processes below `root`, deepest first, without `root`.
pub fn below(root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        found.extend(
            children(pid)
                .into_iter()
                .filter(|child| !found.contains(child))
                .collect::<Vec<_>>(),
        );
        next += 1;
    }
    found.remove(0);
    found.reverse();
    found
}

/// The children of all threads of a process (`/proc/<pid>/task/<tid>/children`).
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_ascii_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<i32>>()
        })
        .collect()
}

/// Processes that hang at the top of what workers have left behind, by worker where that can be told.
#[derive(Debug, Default)]
pub struct Orphans {
    /// Those of a known worker.
    pub of: BTreeMap<WorkerId, Vec<i32>>,
    /// Those that nothing connects to a worker.
    pub strangers: Vec<i32>,
}

/// Looks for orphans among the children of our processes.
///
/// `known` are our own processes and the workers' main processes; `sessions` says whose session a main process's pid is.
pub fn orphans(ours: &[i32], known: &BTreeSet<i32>, sessions: &BTreeMap<i32, WorkerId>, home: &str) -> Orphans {
    let mut orphans = Orphans::default();
    for pid in ours
        .iter()
        .flat_map(|pid| children(*pid))
        .filter(|pid| !known.contains(pid))
    {
        match owner(pid, sessions, home) {
            Some(worker) => orphans.of.entry(worker).or_default().push(pid),
            None => orphans.strangers.push(pid),
        }
    }
    orphans
}

fn owner(pid: i32, sessions: &BTreeMap<i32, WorkerId>, home: &str) -> Option<WorkerId> {
    session(pid)
        .and_then(|session| sessions.get(&session).copied())
        .or_else(|| marked(pid, home))
}

/// Field 6 of `/proc/<pid>/stat`.
fn session(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(3)?.parse().ok()
}

fn marked(pid: i32, home: &str) -> Option<WorkerId> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let variables = environment.split(|byte| *byte == 0);
    let value = variables
        .filter_map(|variable| variable.strip_prefix(MARKER.as_bytes())?.strip_prefix(b"="))
        .next()?;
    parse_marker(std::str::from_utf8(value).ok()?, home)
}

/// Processes of this home's apps, whoever started them, but for ourselves: for a start from cold, when there should be none.
pub fn survivors(home: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    pids.filter(|pid| *pid != own && marked(*pid, home).is_some()).collect()
}

fn parse_marker(value: &str, home: &str) -> Option<WorkerId> {
    let (worker, of) = value.split_once('@')?;
    crate::workers::named(worker).filter(|_| of == home)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::process::{Child, Command, Stdio};

    struct Ended(Child);
    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn worker() -> WorkerId {
        WorkerId::new(3, 2)
    }

    #[test]
    fn a_marker_is_read_back_and_those_of_another_home_are_not_ours() {
        let value = marker(worker(), "/home/a@b");
        assert_eq!(parse_marker(&value, "/home/a@b"), Some(worker()));
        assert_eq!(parse_marker(&value, "/home/c"), None);
    }

    #[test]
    fn a_child_that_is_no_worker_is_an_orphan_of_the_worker_it_was_marked_with() {
        let child = Command::new("/bin/sh")
            .args(["-c", "echo; read line"])
            .env(MARKER, marker(worker(), "/h"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = Ended(child.expect("sh starts"));
        // `spawn` returns within `execve`, a moment before the new program's environment is there to be read.
        let mut output = std::io::BufReader::new(child.0.stdout.take().expect("piped"));
        std::io::BufRead::read_line(&mut output, &mut String::new()).expect("it says that it runs");
        let pid = i32::try_from(child.0.id()).expect("pid");
        let own = i32::try_from(std::process::id()).expect("pid");
        let found = orphans(&[own], &BTreeSet::new(), &BTreeMap::new(), "/h");
        assert_eq!(found.of.get(&worker()), Some(&vec![pid]), "{found:?}");
        let known = orphans(&[own], &BTreeSet::from([pid]), &BTreeMap::new(), "/h");
        assert_eq!(known.of.get(&worker()), None);
        assert!(survivors("/h").contains(&pid));
        assert!(!survivors("/other").contains(&pid));
    }

    #[test]
    fn what_hangs_below_is_listed_deepest_first() {
        let shell = Command::new("/bin/sh")
            .args(["-c", "sh -c 'sleep 60 & echo; wait' & wait"])
            .stdout(Stdio::piped())
            .spawn();
        let mut shell = Ended(shell.expect("sh starts"));
        let mut line = String::new();
        let mut reader = std::io::BufReader::new(shell.0.stdout.take().expect("piped"));
        std::io::BufRead::read_line(&mut reader, &mut line).expect("the inner shell says that all run");
        let root = i32::try_from(shell.0.id()).expect("pid");
        let found = below(root);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(children(root), [found[1]]);
        assert_eq!(children(found[1]), [found[0]]);
        for pid in found {
            let pid = rustix::process::Pid::from_raw(pid).expect("pid");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}
