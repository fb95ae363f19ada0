//! Where our own cgroup is, and whether it is ours to divide.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The directory of the cgroup v2 this process lives in, if we may make groups below it.
pub(super) fn our_own() -> Option<PathBuf> {
    let directory = present()?;
    (is_delegated(&directory) && rustix::fs::access(&directory, rustix::fs::Access::WRITE_OK).is_ok())
        .then_some(directory)
}

/// The directory of the cgroup v2 this process lives in.
pub(super) fn present() -> Option<PathBuf> {
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    let membership = fs::read("/proc/self/cgroup").ok()?;
    locate(&mounts, &membership)
}

/// The directory above the outermost branch that a directory lies in, if it lies in one.
pub(super) fn above_branches(directory: &Path) -> Option<&Path> {
    let branches = directory.ancestors().filter(|path| is_branch(path));
    branches.last()?.parent()
}

/// Named as [`super::Branch::grow`] names it: `ostler-` and 16 hexadecimal digits.
fn is_branch(directory: &Path) -> bool {
    let name = directory.file_name().and_then(|name| name.to_str());
    let id = name.and_then(|name| name.strip_prefix("ostler-"));
    id.is_some_and(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Where systemd manages the hierarchy, only what it has delegated may be divided; it marks that by an extended
/// attribute (`user.delegate` since version 251, `trusted.delegate`, which only root sees, before).
fn is_delegated(directory: &Path) -> bool {
    let managed = Path::new("/run/systemd/system").is_dir();
    !managed
        || ["user.delegate", "trusted.delegate"]
            .into_iter()
            .any(|name| attribute_is_one(directory, name))
}

fn attribute_is_one(directory: &Path, name: &str) -> bool {
    let mut value = [0_u8; 8];
    rustix::fs::getxattr(directory, name, &mut value[..]).is_ok_and(|length| value[..length] == *b"1")
}

/// Finds the directory from the texts of `/proc/self/mountinfo` and `/proc/self/cgroup` (`proc(5)`, `cgroups(7)`).
fn locate(mounts: &[u8], membership: &[u8]) -> Option<PathBuf> {
    let group = lines(membership).find_map(|line| line.strip_prefix(b"0::"))?;
    let group = PathBuf::from(std::ffi::OsString::from_vec(group.to_vec()));
    lines(mounts).find_map(|line| {
        let (root, point) = unified(line)?;
        let below = group.strip_prefix(&root).ok()?;
        // A group outside our namespace shows as `/../…`: not reachable through this mount.
        let inside = below
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        inside.then(|| {
            if below.as_os_str().is_empty() {
                point
            } else {
                point.join(below)
            }
        })
    })
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// Root and mount point of a `cgroup2` line: fields 4 and 5, the type being the first field after a lone `-`.
fn unified(line: &[u8]) -> Option<(PathBuf, PathBuf)> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let separator = fields.iter().position(|field| *field == b"-")?;
    (*fields.get(separator + 1)? == b"cgroup2").then_some(())?;
    Some((unescaped(fields.get(3)?), unescaped(fields.get(4)?)))
}

/// Spaces, tabs, line breaks and backslashes are written as three octal digits after a backslash.
fn unescaped(mut field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    while let [first, rest @ ..] = field {
        let escaped = rest.get(..3).filter(|_| *first == b'\\').and_then(octal);
        path.push(escaped.unwrap_or(*first));
        field = if escaped.is_some() { &rest[3..] } else { rest };
    }
    PathBuf::from(std::ffi::OsString::from_vec(path))
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(mounts: &str, membership: &str) -> Option<String> {
        locate(mounts.as_bytes(), membership.as_bytes()).map(|path| path.to_string_lossy().into_owned())
    }

    #[test]
    fn our_group_is_found_whatever_the_mount_point() {
        let plain = "25 1 0:22 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        let service = Some("/sys/fs/cgroup/system.slice/ostler.service".to_owned());
        assert_eq!(located(plain, "0::/system.slice/ostler.service\n"), service);
        assert_eq!(located(plain, "0::/\n").as_deref(), Some("/sys/fs/cgroup"));
        let odd = "41 31 0:38 / /mnt/a\\040b rw - cgroup2 none rw\n";
        assert_eq!(located(odd, "4:memory:/x\n0::/y\n").as_deref(), Some("/mnt/a b/y"));
    }

    #[test]
    fn a_process_of_an_app_lives_below_a_branch_and_a_service_called_ostler_does_not() {
        let above = |path: &str| above_branches(Path::new(path)).map(|path| path.to_string_lossy().into_owned());
        let outer = Some("/sys/fs/cgroup/a".to_owned());
        assert_eq!(above("/sys/fs/cgroup/a/ostler-0123456789abcdef/3.1"), outer);
        assert_eq!(
            above("/sys/fs/cgroup/a/ostler-0123456789abcdef/3.1/ostler-fedcba9876543210/0.1"),
            outer
        );
        assert_eq!(above("/sys/fs/cgroup/system.slice/ostler-web.service"), None);
    }

    #[test]
    fn a_mount_of_a_part_of_the_hierarchy_is_counted_from_that_part() {
        let part = "41 31 0:38 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(located(part, "0::/docker/abc/x\n").as_deref(), Some("/sys/fs/cgroup/x"));
        assert_eq!(located(part, "0::/elsewhere\n"), None);
    }

    #[test]
    fn without_version_2_or_within_our_namespace_there_is_no_place() {
        let old = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n";
        assert_eq!(located(old, "1:cpu:/\n"), None);
        assert_eq!(located(old, "0::/\n"), None);
        let plain = "25 1 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(located(plain, "0::/../outside\n"), None);
    }
}
