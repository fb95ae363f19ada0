//! Units for systemd. What each line is for: docs/design/0014.

use super::plan::{Plan, Step};
use super::service::Service;
use ostler_daemon::VERSION;
use std::path::{Path, PathBuf};

/// Exists where systemd is what runs.
const RUNS: &str = "/run/systemd/system";

/// The key of a unit that says which Ostler wrote it. systemd passes over keys that begin so.
pub(super) const VERSION_KEY: &str = "X-Ostler-Version";

/// Whose manager runs the service.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The system's.
    System,
    /// The user's own.
    User,
}

/// How a service gets there and away again.
pub fn plan(service: &Service, of: Of) -> Plan {
    let unit = format!("{}.service", service.name);
    let (directory, systemctl): (_, &[_]) = match of {
        Of::System => (PathBuf::from("/etc/systemd/system"), &["systemctl"]),
        Of::User => (service.user_home.join(".config/systemd/user"), &["systemctl", "--user"]),
    };
    let step = |command: &[&str]| {
        let step = Step::new(command).only_with(RUNS);
        // A user's manager may not run, or not be reachable from here; it reads all at its next start.
        if of == Of::User { step.if_it_can() } else { step }
    };
    let reload = [systemctl, &["daemon-reload"]].concat();
    // With its file gone, systemd would forget how a service that runs has to be stopped.
    let systemctl = systemctl.join(" ");
    let forget = format!("{systemctl} is-active --quiet {unit} || {systemctl} daemon-reload");
    let file = directory.join(&unit);
    let wanted = format!("{}.wants", target(of));
    Plan {
        link: Some((directory.join(wanted).join(&unit), file.clone())),
        mode: 0o644,
        contents: unit_text(service, of),
        after_writing: vec![step(&reload)],
        before_removing: Vec::new(),
        after_removing: vec![step(&["sh", "-c", &forget])],
        needs_root: of == Of::System,
        file,
    }
}

/// What has it started at boot.
fn target(of: Of) -> &'static str {
    match of {
        Of::System => "multi-user.target",
        Of::User => "default.target",
    }
}

/// The file that exists while a user's manager is kept running without a session (`loginctl enable-linger`).
pub fn linger(user: &str) -> PathBuf {
    Path::new("/var/lib/systemd/linger").join(user)
}

fn unit_text(service: &Service, of: Of) -> String {
    let Service { user, home, path, .. } = service;
    let program = word(&service.program.to_string_lossy(), true);
    let mut unit = vec![format!("Description=Ostler, processes of {}", percent(user))];
    let mut who = Vec::new();
    if of == Of::System {
        let network = if service.wait_ip {
            "network-online.target"
        } else {
            "network.target"
        };
        if service.wait_ip {
            unit.push(format!("Wants={network}"));
        }
        unit.push(format!("After={network} remote-fs.target nss-user-lookup.target"));
        unit.push(format!("RequiresMountsFor={}", word(&home.to_string_lossy(), false)));
        who.push(format!("User={}", percent(user)));
    }
    let lines = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let (unit, who) = (lines(&unit), lines(&who));
    let path = word(&format!("PATH={path}"), false);
    let home = word(&format!("OSTLER_HOME={}", home.display()), false);
    format!(
        "# Written by `ostler startup`. Changes of your own belong into a drop-in: `systemctl edit {name}`.
[Unit]
{unit}StartLimitIntervalSec=0
{VERSION_KEY}={VERSION}

[Service]
Type=notify
NotifyAccess=all
{who}Environment={path}
Environment={home}
ExecStart={program} daemon --resurrect
ExecReload={program} reload all
ExecStop={program} kill --drain
Restart=always
RestartSec=1
RestartPreventExitStatus=0
WatchdogSec=30
TimeoutStartSec=120
TimeoutStopSec=90
KillMode=process
Delegate=yes
OOMPolicy=continue
LimitNOFILE=1048576
TasksMax=infinity

[Install]
WantedBy={target}
",
        name = service.name,
        target = target(of),
    )
}

/// `%` begins a specifier.
fn percent(text: &str) -> String {
    text.replace('%', "%%")
}

/// A word as unit files have it (systemd.service(5), "Command lines"); in commands `$` begins a variable.
fn word(text: &str, in_command: bool) -> String {
    let mut escaped = percent(text).replace('\\', r"\\").replace('"', "\\\"");
    if in_command {
        escaped = escaped.replace('$', "$$");
    }
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:,@%=".contains(letter);
    if escaped.chars().all(plain) {
        escaped
    } else {
        format!("\"{escaped}\"")
    }
}

/// The value of a key in a unit's text, the last one.
pub(super) fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let assigned = |line: &'a str| line.strip_prefix(key)?.strip_prefix('=');
    text.lines().filter_map(assigned).next_back()
}

/// What [`word`] made, taken back: the first word of a value.
pub(super) fn first_word(value: &str) -> String {
    let mut letters = value.chars().peekable();
    let quoted = letters.next_if_eq(&'"').is_some();
    let mut word = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted => break,
            ' ' if !quoted => break,
            '\\' => word.extend(letters.next()),
            '%' | '$' => {
                letters.next_if_eq(&letter);
                word.push(letter);
            }
            other => word.push(other),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_as_they_were() {
        for text in ["/usr/bin/ostler", "/a b/c", "/50%/$x", "/q\"uo\\te", "/é"] {
            let written = word(text, true);
            assert_eq!(first_word(&format!("{written} daemon")), text, "{written}");
        }
        assert_eq!(word("/50%/$x", true), "\"/50%%/$$x\"");
    }
}
