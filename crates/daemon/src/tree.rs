//! Which processes belong to a worker.
//!
//! While the main process lives, its tree is what hangs below it. What a program detaches (double fork, `setsid`) becomes a
//! child of the nearest subreaper, which is this daemon or the keeper; so a child of either that is no worker is a leftover of
//! some worker. Whose it is, its session tells, or else the variable [`MARKER`] in its environment.
//!
//! Both questions cost a few reads in `/proc`, however many processes the machine has.

use ostler_core::{ProbeKind, WorkerId};
use ostler_sys::Pid;
use ostler_sys::proc::{self, Stat};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The variable every app is given, and hands on to what it starts.
pub const MARKER: &str = "OSTLER_WORKER";

/// The marker's value: the worker, and whose it is (two Ostlers may run on one machine).
pub fn marker(worker: WorkerId, home: &str) -> String {
    format!("{worker}@{home}")
}

/// Marks the environment of a worker's process. One that was started from within a probe's command is not a part of that.
pub fn mark(environment: &mut BTreeMap<String, String>, worker: WorkerId, home: &str) {
    environment.insert(MARKER.to_owned(), marker(worker, home));
    environment.remove(COMMAND_MARKER);
}

/// The variable that the command of a probe is given in place of [`MARKER`], and hands on to what it starts.
pub const COMMAND_MARKER: &str = "OSTLER_PROBE";

/// Its value: whose probe it is, which, and of which home.
pub fn command_marker(worker: WorkerId, kind: ProbeKind, home: &str) -> String {
    format!("{}/{worker}@{home}", kind.as_str())
}

/// What lives of a command, deepest first, its own process last. That may have ended, but must not have been reaped. `own` is this
/// daemon, which what the command detaches falls to, and `known` are children of it that are no part of the command.
pub fn of_command(pid: i32, marker: &str, own: i32, known: &BTreeSet<i32>) -> Vec<i32> {
    let is_part = |child: i32| {
        stat(child).is_some_and(|stat| stat.session == pid)
            || variable(child, COMMAND_MARKER).as_deref() == Some(marker)
    };
    let others = children(own)
        .into_iter()
        .filter(|child| *child != pid && !known.contains(child));
    let mut found = Vec::new();
    for orphan in others.filter(|child| is_part(*child)) {
        found.extend(below(orphan));
        found.push(orphan);
    }
    found.extend(below(pid));
    found.push(pid);
    found.retain(|pid| !is_dead(*pid));
    found
}

/// What lives of any command of this home, whoever began it.
pub fn commands(home: &str) -> Vec<i32> {
    let of_home = |pid: &i32| {
        let value = variable(*pid, COMMAND_MARKER);
        value.is_some_and(|value| value.split_once('@').is_some_and(|(_, of)| of == home))
    };
    let marked = all().filter(|pid| of_home(pid) && !is_dead(*pid));
    let mut found: Vec<i32> = marked.flat_map(|pid| below(pid).into_iter().chain([pid])).collect();
    let mut seen = BTreeSet::new();
    found.retain(|pid| seen.insert(*pid) && !is_dead(*pid));
    found
}

/// A zombie holds nothing and runs nothing: it only waits for its parent.
pub fn is_dead(pid: i32) -> bool {
    stat(pid).is_none_or(|stat| stat.is_zombie())
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
    stat(pid)
        .and_then(|stat| sessions.get(&stat.session).copied())
        .or_else(|| marked(pid, home))
}

fn marked(pid: i32, home: &str) -> Option<WorkerId> {
    parse_marker(&variable(pid, MARKER)?, home)
}

fn stat(pid: i32) -> Option<Stat> {
    Stat::read(Pid::from_raw(pid)?).ok()?
}

/// A variable of the environment that a process was started with.
fn variable(pid: i32, name: &str) -> Option<String> {
    String::from_utf8(proc::variable(Pid::from_raw(pid)?, name)?).ok()
}

/// Processes of this home's apps, and of commands that looked at them, whoever started them, but for ourselves: for a start from cold,
/// when there should be none.
pub fn survivors(home: &str) -> Vec<i32> {
    let mut found: Vec<i32> = all().filter(|pid| marked(*pid, home).is_some()).collect();
    found.extend(commands(home));
    found
}

/// All processes but ourselves.
fn all() -> impl Iterator<Item = i32> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(move |pid| *pid != own)
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
            let pid = Pid::from_raw(pid).expect("pid");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    #[test]
    fn of_a_command_is_what_hangs_below_it_and_what_it_has_detached() {
        let marker = command_marker(worker(), ProbeKind::Health, "/h");
        // One child waits, one has detached itself into a session of its own.
        let script = "sleep 60 & setsid sh -c 'sleep 60 & echo; wait' & wait";
        let shell = Command::new("/bin/sh")
            .args(["-c", script])
            .env(COMMAND_MARKER, &marker)
            .stdout(Stdio::piped())
            .spawn();
        let mut shell = Ended(shell.expect("sh starts"));
        let mut output = std::io::BufReader::new(shell.0.stdout.take().expect("piped"));
        std::io::BufRead::read_line(&mut output, &mut String::new()).expect("all run");
        let number = |id: u32| i32::try_from(id).expect("pid");
        let (pid, own) = (number(shell.0.id()), number(std::process::id()));
        let found = of_command(pid, &marker, own, &BTreeSet::new());
        assert_eq!((found.len(), found.last()), (4, Some(&pid)), "{found:?}");
        let all: BTreeSet<i32> = commands("/h").into_iter().collect();
        assert!(all.is_superset(&found.iter().copied().collect()), "{all:?}");
        assert!(!commands("/other").contains(&pid));
        assert!(!survivors("/other").contains(&pid) && survivors("/h").contains(&pid));
        for pid in found {
            let pid = Pid::from_raw(pid).expect("pid");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        assert!(!is_dead(own));
    }
}
