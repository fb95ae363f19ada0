//! Control groups, version 2: where they can be had, nothing of an app's tree gets away, whatever it does.
//!
//! Called by the daemon once at start ([`Branch::grow`]) and for each worker ([`Branch::group`]). Everything here
//! is optional: with version 1 alone, without rights, or outside a delegated subtree there is no branch, and
//! trees are found by looking at the process table.
//!
//! Layout: `<the cgroup we were started in>/ostler-<id>/<name>`, one group a worker. Our own processes stay where
//! they were started. Facts: the kernel's `admin-guide/cgroup-v2.rst`; systemd's `CGROUP_DELEGATION`.

mod memory;
mod place;

pub use memory::memory_limit;

use crate::pidfd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// How often processes are killed one by one where the kernel cannot do it at once, before giving up on a group
/// that forks faster. Each round kills all that were there at its start and not killed before.
const ROUNDS: usize = 32;

/// Our part of the hierarchy. Its directory is left alone when this is dropped: see [`Branch::remove`].
#[derive(Debug)]
pub struct Branch(PathBuf);

/// The group of one worker.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
}

/// Moves this process out of the group of a worker, if it is in one: a manager that an app starts is no part of that app, and
/// must not end with it. Where that is refused it stays.
pub fn leave_worker() {
    if let Some(directory) = place::present()
        && let Some(above) = place::above_branches(&directory)
    {
        // 0 is the writing process (cgroups(7)). Without the right to, there is nothing to be done.
        let _ = fs::write(above.join("cgroup.procs"), "0");
    }
}

impl Branch {
    /// Makes, or finds again, `ostler-<id>` below our own cgroup. `None` where that is not ours to do: no version 2
    /// hierarchy, no right to write, or a cgroup of systemd's that was not delegated to us.
    pub fn grow(id: &str) -> Option<Self> {
        Self::grow_at(&place::our_own()?, id)
    }

    /// The same below a given cgroup's directory, delegated or not.
    pub fn grow_at(parent: &Path, id: &str) -> Option<Self> {
        let path = parent.join(format!("ostler-{id}"));
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => None,
            Ok(()) | Err(_) => {
                // What we cannot move processes into is of no use.
                rustix::fs::access(path.join("cgroup.procs"), rustix::fs::Access::WRITE_OK).ok()?;
                Some(Self(path))
            }
        }
    }

    /// Makes, or finds again, the group of that name (a file name: no slash).
    ///
    /// # Errors
    /// `mkdir(2)`; `EAGAIN` when the limit of cgroups is reached.
    pub fn group(&self, name: &str) -> io::Result<Group> {
        let path = self.0.join(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        Ok(Group { path })
    }

    /// The names of the groups that exist, e.g. from before a change of daemon.
    ///
    /// # Errors
    /// `readdir(3)`.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let children = children(&self.0)?;
        Ok(children
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    /// Removes the branch with all groups that are empty.
    ///
    /// # Errors
    /// `EBUSY` while a process lives in it.
    pub fn remove(self) -> io::Result<()> {
        remove_tree(&self.0)
    }
}

impl Group {
    /// Its directory, for [`crate::spawn::Command::cgroup`].
    ///
    /// # Errors
    /// `open(2)`.
    pub fn directory(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(CWD, &self.path, flags, Mode::empty())?)
    }

    /// All processes in it and in groups below it, zombies included.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn processes(&self) -> io::Result<Vec<Pid>> {
        let mut found = Vec::new();
        each_below(&self.path, &mut |group| {
            let listed = fs::read_to_string(group.join("cgroup.procs"))?;
            found.extend(listed.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)));
            Ok(())
        })?;
        Ok(found)
    }

    /// Sends SIGKILL to all processes in it and below it, also to those that are just being forked
    /// (`cgroup.kill`, Linux 5.14; before that one by one, by pidfd, until none is left).
    ///
    /// # Errors
    /// When a process cannot be killed; `TimedOut` when it forks faster than it can be killed one by one.
    pub fn kill(&self) -> io::Result<()> {
        match fs::write(self.path.join("cgroup.kill"), "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.kill_one_by_one(),
            result => result,
        }
    }

    /// What [`Group::kill`] does on older kernels. As there, the processes may take a moment to be gone.
    ///
    /// # Errors
    /// As [`Group::kill`].
    pub fn kill_one_by_one(&self) -> io::Result<()> {
        let mut doomed = BTreeMap::new();
        for _ in 0..ROUNDS {
            // Who has been sent SIGKILL forks no more: a round that finds nobody new was the last.
            if self.kill_new(&mut doomed)? == 0 {
                return Ok(());
            }
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the group's processes fork faster than they can be killed",
        ))
    }

    /// One round: kills those that no earlier round has killed, and tells how many they were.
    fn kill_new(&self, doomed: &mut BTreeMap<i32, OwnedFd>) -> io::Result<usize> {
        let mut new = Vec::new();
        for pid in self.processes()? {
            let known = doomed.get(&pid.as_raw_nonzero().get());
            if known.is_some_and(|pidfd| !pidfd::has_exited(pidfd).unwrap_or(false)) {
                continue;
            }
            match pidfd_open(pid, PidfdFlags::empty()) {
                Ok(pidfd) => new.push((pid, pidfd)),
                Err(Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Listed again after opening: a pidfd whose number is still in the group holds a process of the group.
        let still = if new.is_empty() { Vec::new() } else { self.processes()? };
        let mut killed = 0;
        for (pid, pidfd) in new.into_iter().filter(|(pid, _)| still.contains(pid)) {
            if !pidfd::has_exited(&pidfd)? && pidfd::signal(&pidfd, libc::SIGKILL)? {
                killed += 1;
                doomed.insert(pid.as_raw_nonzero().get(), pidfd);
            }
        }
        Ok(killed)
    }

    /// Whether no process lives in it or below it (`populated` of `cgroup.events`; zombies do not count).
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_empty(&self) -> io::Result<bool> {
        let events = fs::read_to_string(self.path.join("cgroup.events"))?;
        Ok(field(&events, "populated") == Some(0))
    }

    /// How many of its processes the kernel's OOM killer has killed; `None` without the memory controller.
    pub fn oom_kills(&self) -> Option<u64> {
        field(&fs::read_to_string(self.path.join("memory.events")).ok()?, "oom_kill")
    }

    /// Removes the group and those that its processes made below it.
    ///
    /// # Errors
    /// `EBUSY` while a process lives in it.
    pub fn remove(self) -> io::Result<()> {
        remove_tree(&self.path)
    }
}

/// The value after a name in a file of `name value` lines.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn children(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            children.push(entry.path());
        }
    }
    Ok(children)
}

fn each_below(path: &Path, visit: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    visit(path)?;
    children(path)?.iter().try_for_each(|child| each_below(child, visit))
}

fn remove_tree(path: &Path) -> io::Result<()> {
    for child in children(path)? {
        remove_tree(&child)?;
    }
    fs::remove_dir(path)
}
