//! Users and groups by name or number.
//!
//! Called before a spawn as another user, and to show who asked. Local users are read from `/etc/passwd` and
//! `/etc/group` without loading anything; only for names that are not there is the system's name service asked (LDAP and
//! the like), which may take its time: that is the one call in this crate that can block on a network.

mod files;
mod service;

use crate::spawn::Credentials;
use std::io;

/// A user as the password database has him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// His name.
    pub name: String,
    /// His number.
    pub uid: u32,
    /// His primary group.
    pub gid: u32,
    /// His home directory.
    pub home: String,
    /// His shell.
    pub shell: String,
}

/// Whom to run as, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The ids.
    pub credentials: Credentials,
    /// The user's entry, for `HOME`, `USER` and the like; none for a number without a name.
    pub user: Option<User>,
}

/// There is no such user or group.
#[derive(Debug, thiserror::Error)]
pub enum UnknownError {
    /// No user of that name or number.
    #[error("there is no user `{0}`; check the spelling, or create it")]
    User(String),
    /// No group of that name.
    #[error("there is no group `{0}`; check the spelling, or create it")]
    Group(String),
    /// A bare number without a primary group.
    #[error("user number {0} has no entry in /etc/passwd, hence no group: give a group (`gid`) too")]
    NoGroup(u32),
    /// The databases could not be read.
    #[error("users cannot be looked up: {call}: {source}")]
    Lookup {
        /// What was being read.
        call: &'static str,
        /// How it failed.
        source: io::Error,
    },
}

/// Looks up whom to run as. A name comes before a number of the same digits, as in `chown(1)`. The groups are all of
/// the user's own and `group`, or his primary one, as the first.
///
/// # Errors
/// See [`UnknownError`].
pub fn identify(user: &str, group: Option<&str>) -> Result<Identity, UnknownError> {
    let found = find_user(user)?;
    let given = group.map(find_group).transpose()?;
    let Some(entry) = found else {
        let uid = user.parse().map_err(|_| UnknownError::User(user.to_owned()))?;
        let gid = given.ok_or(UnknownError::NoGroup(uid))?;
        return Ok(Identity {
            credentials: Credentials {
                uid,
                gid,
                groups: vec![gid],
            },
            user: None,
        });
    };
    let gid = given.unwrap_or(entry.gid);
    let mut groups = vec![gid];
    for other in groups_of(&entry)? {
        if !groups.contains(&other) {
            groups.push(other);
        }
    }
    Ok(Identity {
        credentials: Credentials {
            uid: entry.uid,
            gid,
            groups,
        },
        user: Some(entry),
    })
}

/// The name of a user, if he has one.
///
/// # Errors
/// When `/etc/passwd` exists and cannot be read.
pub fn name_of(uid: u32) -> io::Result<Option<String>> {
    let local = files::passwd()?.into_iter().find(|user| user.uid == uid);
    Ok(local
        .map(|user| user.name)
        .or_else(|| service::user_by_number(uid).map(|user| user.name)))
}

fn lookup(call: &'static str) -> impl FnOnce(io::Error) -> UnknownError {
    move |source| UnknownError::Lookup { call, source }
}

fn find_user(wanted: &str) -> Result<Option<User>, UnknownError> {
    let users = files::passwd().map_err(lookup("/etc/passwd"))?;
    let number: Option<u32> = wanted.parse().ok();
    if let Some(user) = users.iter().find(|user| user.name == wanted) {
        return Ok(Some(user.clone()));
    }
    if let Some(user) = users.into_iter().find(|user| Some(user.uid) == number) {
        return Ok(Some(user));
    }
    Ok(service::user_by_name(wanted).or_else(|| service::user_by_number(number?)))
}

fn find_group(wanted: &str) -> Result<u32, UnknownError> {
    let groups = files::groups().map_err(lookup("/etc/group"))?;
    let local = groups
        .into_iter()
        .find(|group| group.name == wanted)
        .map(|group| group.gid);
    // Any number is a group, named or not.
    let found = local
        .or_else(|| wanted.parse().ok())
        .or_else(|| service::group_by_name(wanted));
    found.ok_or_else(|| UnknownError::Group(wanted.to_owned()))
}

fn groups_of(user: &User) -> Result<Vec<u32>, UnknownError> {
    let local = files::passwd()
        .map_err(lookup("/etc/passwd"))?
        .iter()
        .any(|entry| entry.name == user.name);
    if !local {
        return Ok(service::groups_of(&user.name, user.gid));
    }
    let all = files::groups().map_err(lookup("/etc/group"))?;
    let his = all
        .into_iter()
        .filter(|group| group.members.contains(&user.name))
        .map(|group| group.gid);
    Ok(std::iter::once(user.gid).chain(his).collect())
}
