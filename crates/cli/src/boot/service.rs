//! What is to be started at boot, and as whom: from what was typed and the caller's surroundings.

use super::platform::Platform;
use crate::error::{Error, Result};
use crate::home::HOME_VARIABLE;
use crate::session::Session;
use clap::Args;
use ostler_sys::users::{self, UnknownError};
use std::path::{Path, PathBuf};

/// Directories that every service finds programs in, whatever its caller's `PATH` was.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What can be typed, the same for `startup` and `unstartup`.
#[derive(Args, Clone, Debug, Default)]
pub struct Wish {
    /// For which user; the caller unless given
    #[arg(short, long, value_name = "NAME")]
    pub user: Option<String>,
    /// That user's home directory, if it is another than the system says; Ostler's is `.ostler` in it
    #[arg(long, value_name = "PATH")]
    pub hp: Option<PathBuf>,
    /// The service's name; `ostler-<user>` unless given
    #[arg(long, value_name = "NAME")]
    pub service_name: Option<String>,
    /// Wait until the network has an address (systemd: network-online.target)
    #[arg(long)]
    pub wait_ip: bool,
}

/// A service, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What the init system calls it.
    pub name: String,
    /// Whom it runs as.
    pub user: String,
    /// His home directory.
    pub user_home: PathBuf,
    /// Ostler's home directory.
    pub home: PathBuf,
    /// The `ostler` program.
    pub program: PathBuf,
    /// Where it finds interpreters.
    pub path: String,
    /// Whether it waits for an address.
    pub wait_ip: bool,
}

impl Service {
    /// Fills in what was not typed.
    pub fn new(session: &Session, platform: Platform, wish: &Wish) -> Result<Self> {
        let caller = session.username();
        let user = wish.user.clone().unwrap_or_else(|| caller.clone());
        if platform == Platform::SystemdUser && user != caller {
            return Err(Error::user(format!(
                "a service of {user}'s own service manager can be set up by {user} only"
            ))
            .hint(format!(
                "without `systemd-user` it is a service of the system that runs as {user}"
            )));
        }
        let user_home = match &wish.hp {
            Some(path) => session.cwd.join(path),
            None => home_of(&user)?,
        };
        let program = program(session)?;
        let service = Self {
            name: wish.service_name.clone().unwrap_or_else(|| format!("ostler-{user}")),
            home: home(session, &user, &caller, wish, &user_home),
            path: path(session.variable("PATH").unwrap_or_default()),
            user,
            user_home,
            program,
            wait_ip: wish.wait_ip,
        };
        service.refuse_what_no_file_can_say()
    }

    /// Line breaks would end an assignment; a name becomes a file's.
    fn refuse_what_no_file_can_say(self) -> Result<Self> {
        let named_well = |name: &str| {
            let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-@:".contains(letter);
            !name.is_empty() && name.len() < 200 && name.chars().all(allowed) && !name.starts_with(['.', '-'])
        };
        if !named_well(&self.name) {
            return Err(Error::user(format!("`{}` cannot be the name of a service", self.name))
                .hint("letters, digits and . _ - @ : can be in it; give another one with --service-name"));
        }
        let paths = [&self.user_home, &self.home, &self.program].map(|path| path.to_str());
        let texts = paths
            .into_iter()
            .chain([Some(self.path.as_str()), Some(self.user.as_str())]);
        for text in texts {
            if text.is_none_or(|text| text.contains(['\n', '\r', '\0'])) {
                return Err(Error::user(
                    "a path or a name has a line break or is not UTF-8, which no init system can be told",
                ));
            }
        }
        Ok(self)
    }

    /// What to type as root to have it set up.
    pub fn as_root(&self, verb: &str, platform: Platform, session: &Session, wish: &Wish) -> String {
        let word = |path: &Path| quoted(&path.to_string_lossy());
        let mut words = vec!["sudo env \"PATH=$PATH\"".to_owned()];
        if session.variable(HOME_VARIABLE).is_some_and(|home| !home.is_empty()) {
            words.push(format!("{HOME_VARIABLE}={}", word(&self.home)));
        }
        words.extend([word(&self.program), verb.to_owned(), platform.name().to_owned()]);
        words.push(format!("-u {} --hp {}", quoted(&self.user), word(&self.user_home)));
        if let Some(name) = &wish.service_name {
            words.push(format!("--service-name {}", quoted(name)));
        }
        if wish.wait_ip {
            words.push("--wait-ip".to_owned());
        }
        words.join(" ")
    }
}

/// As one word of a shell.
pub fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:,@%=".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn home_of(user: &str) -> Result<PathBuf> {
    let identity = users::identify(user, None).map_err(|error| match error {
        UnknownError::NoGroup(number) => Error::user(format!("user number {number} has no entry in /etc/passwd"))
            .hint("a service needs a user that is there at the next boot: create it, or name another with -u"),
        other => Error::user(other.to_string()),
    })?;
    let home = identity.user.map(|user| PathBuf::from(user.home));
    home.filter(|home| home.is_absolute())
        .ok_or_else(|| Error::user(format!("user {user} has no home directory")).hint("give one with --hp"))
}

/// The caller's own home is where his commands look; another user's is where that one's do.
fn home(session: &Session, user: &str, caller: &str, wish: &Wish, user_home: &Path) -> PathBuf {
    let declared = session.variable(HOME_VARIABLE).is_some_and(|home| !home.is_empty());
    if declared || (user == caller && wish.hp.is_none()) {
        session.home.path().to_owned()
    } else {
        user_home.join(".ostler")
    }
}

/// The program as it is found in `PATH`, if that is this one: such a link outlives the next upgrade, what it leads to may not.
fn program(session: &Session) -> Result<PathBuf> {
    let own = ostler_sys::own_program();
    if own == Path::new("/proc/self/exe") {
        return Err(Error::system("the program file of this command has been deleted").hint("install Ostler again"));
    }
    let linked = std::env::split_paths(session.variable("PATH").unwrap_or_default())
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join("ostler"))
        .find(|candidate| candidate.is_file());
    let same = linked.filter(|candidate| candidate.canonicalize().is_ok_and(|real| real == own));
    Ok(same.unwrap_or(own))
}

/// The caller's, each directory once, and the usual ones behind.
pub(super) fn path(callers: &str) -> String {
    let mut directories: Vec<&str> = Vec::new();
    for directory in callers.split(':').chain(USUAL_PATH.split(':')) {
        // A relative one means another directory in a service.
        if directory.starts_with('/') && !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories.join(":")
}
