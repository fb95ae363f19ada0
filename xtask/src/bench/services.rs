//! Control groups of the processor, as systemd gives one to each of its services and a container has one.
//!
//! Without them a machine that is full schedules by session where `sched_autogroup` is on (sched(7)): Ostler's workers are sessions of their own, which together weigh
//! one, those of Node's cluster and of PM2 share one with their primary, and whoever measures is another. In a group of its own each service has the same share as any
//! other, and so has the client, whatever its sessions.

use crate::say;
use ostler_testkit::wait_within;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Groups of one measurement, at the root of the hierarchy that has the processor. They are gone when this is; whatever ran in them has to have ended.
pub struct Services {
    directory: PathBuf,
    /// Where this process belongs.
    home: PathBuf,
}

impl Services {
    /// None, and why is said, where there are no such groups or only root may make them.
    pub fn begin() -> Option<Self> {
        let made = Self::make().map_err(|error| say(&format!("not measured as services: {error}")));
        let made = made.ok()?;
        say("── once more, each and the client in a control group of its own, as services and containers are");
        Some(made)
    }

    fn make() -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let (root, path) = placed(&mounts, &own).ok_or_else(|| {
            let what = "no hierarchy of control groups with the processor in /proc/self/mounts";
            io::Error::new(io::ErrorKind::NotFound, what)
        })?;
        let directory = root.join(format!("ostler-bench-{}", std::process::id()));
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", directory.display()));
        fs::create_dir(&directory).map_err(named)?;
        let made = Self {
            home: root.join(path.trim_start_matches('/')),
            directory,
        };
        // Version 2 gives a controller to groups below only where that is said; version 1 has no such file.
        for above in [&root, &made.directory] {
            let control = above.join("cgroup.subtree_control");
            if control.exists() {
                fs::write(control, "+cpu")?;
            }
        }
        Ok(made)
    }

    /// Puts this process into the group of this name, and so whatever it starts from now on.
    ///
    /// # Errors
    /// Those of mkdir(2) and of a write to `cgroup.procs`, cgroups(7).
    pub fn enter(&self, name: &str) -> io::Result<()> {
        let group = self.directory.join(name);
        match fs::create_dir(&group) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => join(&group),
        }
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        let groups = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let groups = groups.map(|entry| entry.path()).filter(|path| path.is_dir());
        // Workers of Node's cluster end a moment after their primary.
        let is_empty = |group: PathBuf| wait_within(Duration::from_secs(5), || fs::remove_dir(&group).ok()).is_ok();
        let is_gone = join(&self.home).is_ok() && groups.chain([self.directory.clone()]).all(is_empty);
        if !is_gone {
            say(&format!("left behind: {}", self.directory.display()));
        }
    }
}

fn join(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

/// Where the hierarchy with the processor is mounted, and this process's group in it, from `/proc/self/mounts` and `/proc/self/cgroup` (cgroups(7)).
fn placed(mounts: &str, own: &str) -> Option<(PathBuf, String)> {
    let mounted = |kind: &str, option: &str| {
        mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, place, of_kind, options, ..] = fields.as_slice() else {
                return None;
            };
            let has = option.is_empty() || options.split(',').any(|one| one == option);
            (*of_kind == kind && has).then(|| PathBuf::from(place))
        })
    };
    let member = |controller: &str| {
        own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            controllers
                .split(',')
                .any(|one| one == controller)
                .then(|| path.to_owned())
        })
    };
    match (mounted("cgroup", "cpu"), member("cpu")) {
        (Some(root), Some(path)) => Some((root, path)),
        _ => Some((mounted("cgroup2", "")?, member("")?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_s_hierarchy_of_the_processor_goes_before_the_second_version_s() {
        let mounts = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
                      cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let own = "2:memory:/one\n1:cpu,cpuacct:/two\n0::/three\n";
        let expected = (PathBuf::from("/sys/fs/cgroup/cpu,cpuacct"), "/two".to_owned());
        assert_eq!(placed(mounts, own), Some(expected));
    }

    #[test]
    fn the_second_version_has_all_in_one_hierarchy() {
        let mounts = "tmpfs /tmp tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n";
        let own = "0::/user.slice/one:two\n";
        let expected = (PathBuf::from("/sys/fs/cgroup"), "/user.slice/one:two".to_owned());
        assert_eq!(placed(mounts, own), Some(expected));
        assert_eq!(placed("tmpfs /tmp tmpfs rw 0 0\n", own), None);
    }
}
