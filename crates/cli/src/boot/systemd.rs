//! Units for systemd. What each line is for: docs/design/0014.

use super::plan::{Plan, Step};
use super::service::Service;
use ostler_daemon::VERSION;
use std::path::{Path, PathBuf};

/// Exists where systemd is what runs.
const RUNS: &str = "/run/systemd/system";

/// The key of a unit that says which Ostler wrote it. systemd passes over keys that begin so.
pub(super) const VERSION_KEY: &str = "X-Ostler-Version";

/// A service of the system.
pub fn system(service: &Service) -> Plan {
    let unit = format!("{}.service", service.name);
    let directory = Path::new("/etc/systemd/system");
    let file = directory.join(&unit);
    let reload = || Step::new(&["systemctl", "daemon-reload"]).only_with(RUNS);
    Plan {
        link: Some((directory.join("multi-user.target.wants").join(&unit), file.clone())),
        mode: 0o644,
        contents: unit_text(service, &Kind::System),
        after_writing: vec![reload()],
        before_removing: Vec::new(),
        // With its file gone, systemd would forget how a service that runs has to be stopped.
        after_removing: vec![
            Step::new(&[
                "sh",
                "-c",
                &format!("systemctl is-active --quiet {unit} || systemctl daemon-reload"),
            ])
            .only_with(RUNS),
        ],
        needs_root: true,
        file,
    }
}

/// A service of a user's own manager.
pub fn user(service: &Service) -> Plan {
    let unit = format!("{}.service", service.name);
    let directory = service.user_home.join(".config/systemd/user");
    let file = directory.join(&unit);
    // His manager may not run, or not be reachable from here; it reads all at its next start.
    let reload = || {
        Step::new(&["systemctl", "--user", "daemon-reload"])
            .only_with(RUNS)
            .if_it_can()
    };
    Plan {
        link: Some((directory.join("default.target.wants").join(&unit), file.clone())),
        mode: 0o644,
        contents: unit_text(service, &Kind::User),
        after_writing: vec![reload()],
        before_removing: Vec::new(),
        after_removing: vec![
            Step::new(&[
                "sh",
                "-c",
                &format!("systemctl --user is-active --quiet {unit} || systemctl --user daemon-reload"),
            ])
            .only_with(RUNS)
            .if_it_can(),
        ],
        needs_root: false,
        file,
    }
}

/// The file that exists while a user's manager is kept running without a session (`loginctl enable-linger`).
pub fn linger(user: &str) -> PathBuf {
    Path::new("/var/lib/systemd/linger").join(user)
}

enum Kind {
    System,
    User,
}

fn unit_text(service: &Service, kind: &Kind) -> String {
    let Service { user, home, path, .. } = service;
    let program = word(&service.program.to_string_lossy(), true);
    let mut unit = vec![format!("Description=Ostler, processes of {}", percent(user))];
    let mut who = Vec::new();
    let target = match kind {
        Kind::System => {
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
            "multi-user.target"
        }
        Kind::User => "default.target",
    };
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
ExecStop={program} kill
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
        name = service.name
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
