//! What a command works with: the printer, the home directory, the caller's surroundings, and the daemon when it is
//! needed. Made once by `application`; no command looks at the process's own state in another way.

use crate::client::{CallError, Client};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::launch_daemon;
use crate::printer::Printer;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The surroundings of one command.
pub struct Session {
    /// Output.
    pub printer: Printer,
    /// Where the daemon is.
    pub home: Home,
    /// The caller's working directory.
    pub cwd: PathBuf,
    /// The caller's environment, as far as it is UTF-8.
    pub environment: BTreeMap<String, String>,
    /// Variables of the caller that are not UTF-8 and therefore cannot be given to an app.
    pub unreadable_variables: Vec<String>,
    /// The verb as typed.
    pub verb: String,
    /// What stood after `--`.
    pub app_args: Option<Vec<String>>,
}

impl Session {
    /// The daemon that runs; [`CallError::NoDaemon`] when none does. Never starts one.
    pub async fn daemon(&self) -> std::result::Result<Client, CallError> {
        Client::connect(&self.home).await
    }

    /// The daemon, or `None` when none runs: for commands that have an answer without one.
    pub async fn daemon_if_any(&self) -> Result<Option<Client>> {
        match self.daemon().await {
            Ok(client) => Ok(Some(client)),
            Err(CallError::NoDaemon) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The daemon, started if none runs.
    pub async fn daemon_started(&self) -> Result<Client> {
        match self.daemon().await {
            Err(CallError::NoDaemon) => {
                if let Some(warning) = launch_daemon::launch(&self.home)?.warning() {
                    self.printer.warn(&warning);
                }
                Ok(self.daemon().await?)
            }
            answered => Ok(answered?),
        }
    }

    /// The working directory as text, for the daemon.
    pub fn cwd_text(&self) -> Result<String> {
        let text = self.cwd.to_str().map(str::to_owned);
        text.ok_or_else(|| {
            Error::user(format!(
                "the working directory {} is not valid UTF-8",
                self.cwd.display()
            ))
        })
    }

    /// The caller's name: what the password database says of the real user id, or the number itself.
    pub fn username(&self) -> String {
        let uid = rustix::process::getuid().as_raw();
        let passwords = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let named = passwords.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, number) = (fields.next()?, fields.nth(1)?);
            (number.parse() == Ok(uid)).then(|| name.to_owned())
        });
        named
            .or_else(|| self.variable("USER").map(str::to_owned))
            .unwrap_or_else(|| uid.to_string())
    }

    /// A variable of the caller.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }
}
