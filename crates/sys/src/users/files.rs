//! `/etc/passwd` and `/etc/group` (`passwd(5)`, `group(5)`).

use super::User;
use std::fs;
use std::io;

/// A line of `/etc/group`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) gid: u32,
    pub(super) members: Vec<String>,
}

pub(super) fn passwd() -> io::Result<Vec<User>> {
    Ok(read("/etc/passwd")?.lines().filter_map(user).collect())
}

pub(super) fn groups() -> io::Result<Vec<Group>> {
    Ok(read("/etc/group")?.lines().filter_map(group).collect())
}

/// Containers may have no such file: then nobody is in it.
fn read(path: &str) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields
        .next()
        .filter(|name| !name.is_empty() && !name.starts_with('#'))?
        .to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let home = fields.nth(1)?.to_owned();
    let shell = fields.next().unwrap_or_default().to_owned();
    Some(User {
        name,
        uid,
        gid,
        home,
        shell,
    })
}

fn group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields
        .next()
        .filter(|name| !name.is_empty() && !name.starts_with('#'))?
        .to_owned();
    let gid = fields.nth(1)?.parse().ok()?;
    let members = fields
        .next()
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    Some(Group {
        name,
        gid,
        members: members.map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_manual_has_them() {
        let www = user("www-data:x:33:34:www data:/var/www:/usr/sbin/nologin").expect("a user");
        assert_eq!(
            (www.name.as_str(), www.uid, www.gid, www.home.as_str()),
            ("www-data", 33, 34, "/var/www")
        );
        let docker = group("docker:x:998:ann, bob").expect("a group");
        assert_eq!(
            (docker.gid, docker.members),
            (998, vec!["ann".to_owned(), "bob".to_owned()])
        );
        assert_eq!(group("empty:x:5:").expect("a group").members, Vec::<String>::new());
    }

    #[test]
    fn comments_compatibility_entries_and_broken_lines_are_passed_over() {
        for line in [
            "",
            "# comment",
            "+::::::",
            "name",
            "name:x",
            "name:x:notanumber:1::/:",
            ":x:1:1::/:",
        ] {
            assert_eq!(user(line), None, "{line}");
        }
        assert_eq!(group("+"), None);
    }
}
