//! How the port is open, and what of it is on disk: `web.json` and the token in `web.token`, both for their owner's eyes only. The
//! decisions are pure; `read` and `write` are called off the deciding thread, but for the one look when a daemon begins.

use super::names::Host;
use crate::durable::replace;
use ostler_wire::control::{ApiError, ApiErrorKind};
use ostler_wire::web::{Login, LoginWish, MOST_HOSTS, PORT, SETTINGS, TOKEN, WebOpen, WebWish};
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

/// The longest name to sign in by, bytes.
pub const LONGEST_USER: usize = 128;
/// The longest password, bytes.
const LONGEST_PASSWORD: usize = 512;
/// The shortest: whoever finds the port can try for months.
const SHORTEST_PASSWORD: usize = 8;

/// See the module's header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where.
    pub address: SocketAddr,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// Who may sign in beside whoever has the token.
    pub login: Option<Login>,
    /// Names that it may be called by, in small letters.
    pub allow_hosts: Vec<String>,
    /// What opens it. In a file of its own, since programs read it from there.
    #[serde(default)]
    pub token: String,
}

impl Settings {
    /// What was there, changed as wanted. `fresh` is a new token, in case one is needed.
    ///
    /// # Errors
    /// What of it makes no sense.
    pub fn wanted(before: Option<&Self>, wish: WebWish, fresh: String) -> Result<Self, ApiError> {
        let at_first = Self {
            address: (Ipv4Addr::LOCALHOST, PORT).into(),
            read_only: false,
            login: None,
            allow_hosts: Vec::new(),
            token: fresh.clone(),
        };
        let mut settings = before.cloned().unwrap_or(at_first);
        if let Some(host) = wish.host {
            settings.address.set_ip(host);
        }
        if let Some(port) = wish.port {
            settings.address.set_port(port);
        }
        settings.read_only = wish.read_only.unwrap_or(settings.read_only);
        match wish.login {
            Some(LoginWish::As(login)) => settings.login = Some(checked(login)?),
            Some(LoginWish::Nobody) => settings.login = None,
            None => {}
        }
        if let Some(hosts) = wish.allow_hosts {
            settings.allow_hosts = names(&hosts)?;
        }
        if wish.new_token || settings.token.is_empty() {
            settings.token = fresh;
        }
        Ok(settings)
    }

    /// Another number for another token or password: who was let in by others is not let in by these.
    pub fn lock(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.token.hash(&mut hasher);
        let login = self.login.as_ref().map(|login| (&login.user, &login.password));
        login.hash(&mut hasher);
        hasher.finish()
    }

    /// For whoever owns the control socket.
    pub fn shown(&self, home: Option<&Path>) -> WebOpen {
        WebOpen {
            address: self.address,
            read_only: self.read_only,
            user: self.login.as_ref().map(|login| login.user.clone()),
            allow_hosts: self.allow_hosts.clone(),
            token: self.token.clone(),
            token_file: home.map(|home| home.join(TOKEN).to_string_lossy().into_owned()),
        }
    }
}

fn checked(login: Login) -> Result<Login, ApiError> {
    let (user, password) = (&login.user, &login.password);
    // Basic authentication (RFC 7617) ends the name at the first colon.
    if user.is_empty() || user.len() > LONGEST_USER || user.contains(':') || user.chars().any(char::is_control) {
        return Err(senseless(format!(
            "the user's name is to have 1 to {LONGEST_USER} bytes, without `:` and control characters"
        )));
    }
    if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&password.len()) {
        return Err(senseless(format!(
            "the password is to have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} bytes"
        )));
    }
    Ok(login)
}

fn names(hosts: &[String]) -> Result<Vec<String>, ApiError> {
    if hosts.len() > MOST_HOSTS {
        return Err(senseless(format!(
            "{MOST_HOSTS} names can be allowed, not {}",
            hosts.len()
        )));
    }
    let name = |text: &String| match Host::parse(text) {
        Some(Host::Name(name)) => Ok(name),
        Some(Host::Address(address)) => Ok(address.to_string()),
        None => Err(senseless(format!(
            "`{text}` is no name of a host; give it without `https://` and port"
        ))),
    };
    hosts.iter().map(name).collect()
}

fn senseless(message: String) -> ApiError {
    ApiError {
        kind: ApiErrorKind::User,
        message,
        hint: None,
    }
}

/// A secret that cannot be guessed: 256 random bits, in hexadecimal.
///
/// # Errors
/// getrandom(2): `ENOSYS`, with kernels before 3.17.
pub fn secret() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    // Up to 256 bytes it neither answers short nor is interrupted (getrandom(2), "Interruption by a signal handler").
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What a home directory says, if it says that the port is to be open. Without a token's file there is a token yet to be made.
///
/// # Errors
/// If there are settings and they cannot be read or understood.
pub fn read(home: &Path) -> io::Result<Option<Settings>> {
    let bytes = match std::fs::read(home.join(SETTINGS)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut settings: Settings = serde_json::from_slice(&bytes)?;
    match std::fs::read_to_string(home.join(TOKEN)) {
        Ok(token) => settings.token = token.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(Some(settings))
}

/// Puts them there, or takes them away.
///
/// # Errors
/// What the file system gives; each file is as it was or as it is to be.
pub fn write(home: &Path, settings: Option<&Settings>) -> io::Result<()> {
    let Some(settings) = settings else {
        return [SETTINGS, TOKEN]
            .into_iter()
            .try_for_each(|name| match std::fs::remove_file(home.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            });
    };
    replace(&home.join(TOKEN), format!("{}\n", settings.token).as_bytes())?;
    let mut without = settings.clone();
    without.token.clear();
    let text = serde_json::to_string_pretty(&without)? + "\n";
    replace(&home.join(SETTINGS), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn first() -> Settings {
        Settings::wanted(None, WebWish::default(), "fresh".to_owned()).expect("settings")
    }

    fn login(user: &str, password: &str) -> Option<LoginWish> {
        Some(LoginWish::As(Login {
            user: user.to_owned(),
            password: password.to_owned(),
        }))
    }

    #[test]
    fn what_is_not_said_stays_or_is_loopback_and_a_token() {
        let before = first();
        assert_eq!(before.address, "127.0.0.1:9615".parse().expect("an address"));
        assert_eq!((before.token.as_str(), before.read_only), ("fresh", false));
        let wish = WebWish {
            port: Some(80),
            read_only: Some(true),
            login: login("ann", "long enough"),
            allow_hosts: Some(vec!["Ops.Example.com".to_owned()]),
            ..WebWish::default()
        };
        let changed = Settings::wanted(Some(&before), wish, "other".to_owned()).expect("settings");
        assert_eq!(changed.allow_hosts, ["ops.example.com"]);
        assert_eq!(changed.token, "fresh", "only who wants a new one gets one");
        assert_ne!(changed.lock(), before.lock(), "whoever is signed in has to do so again");
        let same = Settings::wanted(Some(&changed), WebWish::default(), "other".to_owned()).expect("settings");
        assert_eq!((&same, same.lock()), (&changed, changed.lock()));
        let wish = WebWish {
            login: Some(LoginWish::Nobody),
            new_token: true,
            ..WebWish::default()
        };
        let changed = Settings::wanted(Some(&same), wish, "other".to_owned()).expect("settings");
        assert_eq!((changed.token.as_str(), changed.login), ("other", None));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wish in [
            WebWish {
                login: login("a:b", "long enough"),
                ..WebWish::default()
            },
            WebWish {
                login: login("ann", "short"),
                ..WebWish::default()
            },
            WebWish {
                allow_hosts: Some(vec!["https://example.com".to_owned()]),
                ..WebWish::default()
            },
            WebWish {
                allow_hosts: Some(vec!["a".to_owned(); MOST_HOSTS + 1]),
                ..WebWish::default()
            },
        ] {
            assert!(Settings::wanted(None, wish.clone(), String::new()).is_err(), "{wish:?}");
        }
    }

    #[test]
    fn all_that_can_be_said_fits_into_one_message_to_the_keeper() {
        let wish = WebWish {
            login: login(&"u".repeat(LONGEST_USER), &"\"".repeat(LONGEST_PASSWORD)),
            allow_hosts: Some(vec!["n".repeat(253); MOST_HOSTS]),
            ..WebWish::default()
        };
        let settings = Settings::wanted(None, wish, secret().expect("random bytes")).expect("settings");
        let bytes = serde_json::to_vec(&settings).expect("JSON");
        assert!(bytes.len() < ostler_wire::keeper::MAX_PACKET - 300, "{}", bytes.len());
    }

    #[test]
    fn on_disk_they_are_for_their_owner_and_come_back_whole() {
        let home = tempfile::tempdir().expect("a directory");
        assert_eq!(read(home.path()).expect("nothing there"), None);
        let settings = Settings {
            token: secret().expect("random bytes"),
            ..first()
        };
        write(home.path(), Some(&settings)).expect("written");
        assert_eq!(read(home.path()).expect("read"), Some(settings.clone()));
        for name in [SETTINGS, TOKEN] {
            let file = std::fs::metadata(home.path().join(name)).expect("a file");
            assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
        }
        let text = std::fs::read_to_string(home.path().join(SETTINGS)).expect("text");
        assert!(!text.contains(&settings.token), "the token has a file of its own");
        write(home.path(), None).expect("removed");
        write(home.path(), None).expect("nothing to remove");
        assert_eq!(read(home.path()).expect("nothing there"), None);
    }
}
