//! How much memory there is for us: what the cgroups that we live in allow, or the machine has.

use super::place;
use std::fs;
use std::path::Path;

/// Bytes that this process and its children may use together: the smallest limit of its cgroup and those above it (version 2:
/// `memory.max`, version 1: `memory.limit_in_bytes`), at most what the machine has.
pub fn memory_limit() -> u64 {
    let limits = unified().into_iter().chain(legacy());
    limits.chain([installed()]).min().unwrap_or(u64::MAX)
}

fn installed() -> u64 {
    let info = rustix::system::sysinfo();
    u64::from(info.mem_unit).saturating_mul(info.totalram)
}

fn unified() -> Option<u64> {
    smallest(&place::present()?, "memory.max")
}

/// In a container the hierarchy begins at the mount point, whatever the membership says.
fn legacy() -> Option<u64> {
    let mount = Path::new("/sys/fs/cgroup/memory");
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = membership.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == "memory").then_some(path)
    })?;
    let own = mount.join(path.trim_start_matches('/'));
    let directory = if own.is_dir() { own.as_path() } else { mount };
    smallest(directory, "memory.limit_in_bytes")
}

/// The smallest number that a file of this name holds in the directory or above; `max` is none.
fn smallest(directory: &Path, name: &str) -> Option<u64> {
    let read = |directory: &Path| fs::read_to_string(directory.join(name)).ok()?.trim().parse().ok();
    directory.ancestors().filter_map(read).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_above_counts() {
        let root = tempfile::tempdir().expect("a directory");
        let inner = root.path().join("pod/container");
        fs::create_dir_all(&inner).expect("directories");
        let limit = |directory: &Path, text: &str| fs::write(directory.join("memory.max"), text).expect("a file");
        assert_eq!(smallest(&inner, "memory.max"), None);
        limit(&inner, "max\n");
        assert_eq!(smallest(&inner, "memory.max"), None);
        limit(&root.path().join("pod"), "536870912\n");
        assert_eq!(smallest(&inner, "memory.max"), Some(536_870_912));
        limit(&inner, "1073741824\n");
        assert_eq!(smallest(&inner, "memory.max"), Some(536_870_912));
    }

    #[test]
    fn there_is_no_more_than_the_machine_has() {
        let limit = memory_limit();
        assert!(limit > 1 << 20 && limit <= installed(), "{limit}");
    }
}
