//! What would fail at the next boot: from files, as the system will find them. Called by `startup --check`, and by `startup` itself for
//! what it cannot do for the user.

use super::plan::Plan;
use super::platform::{Machine, Platform};
use super::saved::{self, Saved};
use super::service::Service;
use super::{is_passing, systemd};
use ostler_daemon::VERSION;
use ostler_sys::users;
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Something that would fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What, in a sentence without a full stop.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    /// One.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

/// What was looked at, and found.
#[derive(Debug)]
pub struct Report {
    /// The service's file.
    pub file: PathBuf,
    /// The saved list.
    pub list: PathBuf,
    /// How many processes it has.
    pub processes: usize,
    /// What would fail.
    pub findings: Vec<Finding>,
}

/// Looks at everything. `running` are the names of the apps that run now, if a daemon does.
pub fn check(
    machine: &Machine,
    platform: Platform,
    service: &Service,
    plan: &Plan,
    running: Option<&BTreeSet<String>>,
) -> Report {
    let mut findings = of_file(machine, platform, service, plan);
    findings.extend(of_home(machine, &service.home, &service.user));
    findings.extend(of_pm2(machine, service));
    let saved = Saved::read(machine, &service.home, &service.user);
    let names = saved.names();
    let unsaved: Vec<&str> = running
        .into_iter()
        .flatten()
        .map(String::as_str)
        .filter(|name| !names.contains(name))
        .collect();
    if !unsaved.is_empty() {
        let what = format!("what runs now is not in the saved list: {}", unsaved.join(", "));
        findings.push(Finding::new(what, "`ostler save`"));
    }
    let processes = saved.instances.iter().filter(|instance| instance.running).count();
    findings.extend(saved.findings);
    Report {
        file: plan.file.clone(),
        list: saved::path(&service.home),
        processes,
        findings,
    }
}

fn of_file(machine: &Machine, platform: Platform, service: &Service, plan: &Plan) -> Vec<Finding> {
    let file = machine.at(&plan.file);
    let shown = plan.file.display();
    let again = "`ostler startup` writes it";
    if std::fs::read_link(&file).is_ok_and(|target| target == Path::new("/dev/null")) {
        let remedy = format!("systemctl unmask {}", service.name);
        return vec![Finding::new(format!("{shown} is masked"), remedy)];
    }
    let Ok(text) = std::fs::read_to_string(&file) else {
        return vec![Finding::new(
            format!("nothing starts Ostler: there is no {shown}"),
            again,
        )];
    };
    let mut findings = Vec::new();
    if !is_enabled(machine, service, plan) {
        findings.push(Finding::new(
            format!("{shown} is there, but not enabled"),
            "`ostler startup` enables it",
        ));
    }
    if let Some(other) = written_by(&text).filter(|version| *version != VERSION) {
        let what = format!("{shown} was written by Ostler {other}, and this is {VERSION}");
        findings.push(Finding::new(what, "`ostler startup` writes it anew"));
    }
    if platform == Platform::Systemd || platform == Platform::SystemdUser {
        findings.extend(of_unit(machine, &text, service, &plan.file));
    } else if text != plan.contents {
        let what = format!("{shown} is not what this Ostler would write");
        findings.push(Finding::new(
            what,
            "`ostler startup --print` shows that; `ostler startup` writes it",
        ));
    }
    if platform == Platform::SystemdUser && !machine.at(systemd::linger(&service.user)).exists() {
        let what = format!(
            "nothing of {} is started before he logs in: lingering is off",
            service.user
        );
        findings.push(Finding::new(
            what,
            format!("sudo loginctl enable-linger {}", service.user),
        ));
    }
    findings
}

/// By the link; System V has one in the directory of each run level, by a name with a number.
fn is_enabled(machine: &Machine, service: &Service, plan: &Plan) -> bool {
    if let Some((link, _)) = &plan.link {
        return machine.at(link).is_symlink();
    }
    let levels = ["/etc/rc2.d", "/etc/rc3.d", "/etc/rc.d/rc3.d"];
    let entries = levels
        .iter()
        .filter_map(|level| std::fs::read_dir(machine.at(level)).ok());
    let mut names = entries.flatten().flatten().map(|entry| entry.file_name());
    names.any(|name| {
        let name = name.to_string_lossy();
        name.strip_prefix('S')
            .is_some_and(|rest| rest.trim_start_matches(|digit: char| digit.is_ascii_digit()) == service.name)
    })
}

/// Which Ostler wrote a file.
fn written_by(text: &str) -> Option<&str> {
    systemd::value(text, systemd::VERSION_KEY).or_else(|| {
        let line = text.lines().find_map(|line| line.split_once("of Ostler "))?.1;
        line.split([' ', '-'])
            .next()
            .map(|version| version.trim_end_matches('.'))
    })
}

fn of_unit(machine: &Machine, text: &str, service: &Service, file: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let program = systemd::value(text, "ExecStart")
        .map(systemd::first_word)
        .unwrap_or_default();
    let program = Path::new(&program);
    let shown = program.display();
    let again = "`ostler startup`, run with the program that is to stay";
    match std::fs::metadata(program) {
        Err(error) => findings.push(Finding::new(
            format!("{}: its program {shown}: {error}", file.display()),
            again,
        )),
        Ok(found) if found.permissions().mode() & 0o111 == 0 || !found.is_file() => {
            findings.push(Finding::new(
                format!("{}: its program {shown} cannot be executed", file.display()),
                again,
            ));
        }
        Ok(_) if is_passing(machine, program) => {
            findings.push(Finding::new(
                format!("its program {shown} may be gone after a boot"),
                again,
            ));
        }
        Ok(_) => {}
    }
    let homes = text.lines().filter_map(|line| line.strip_prefix("Environment="));
    let home = homes
        .map(systemd::first_word)
        .find_map(|word| word.strip_prefix("OSTLER_HOME=").map(PathBuf::from));
    if home.as_ref().is_some_and(|home| *home != service.home) {
        let at_boot = home.unwrap_or_default();
        let what = format!(
            "at boot the home is {}, now it is {}",
            at_boot.display(),
            service.home.display()
        );
        findings.push(Finding::new(
            what,
            "`ostler startup` with the same OSTLER_HOME as now, or `ostler save` with that one",
        ));
    }
    if let Some(user) = systemd::value(text, "User").filter(|user| *user != service.user) {
        let what = format!("at boot it runs as {user}, and this is about {}", service.user);
        findings.push(Finding::new(
            what,
            format!("`ostler startup -u {}`, with another --service-name", service.user),
        ));
    }
    findings
}

fn of_home(machine: &Machine, home: &Path, user: &str) -> Vec<Finding> {
    let shown = home.display();
    let Ok(found) = std::fs::metadata(home) else {
        return vec![Finding::new(
            format!("the home {shown} is not there"),
            "`ostler start` and `ostler save` make it",
        )];
    };
    let mut findings = Vec::new();
    if is_passing(machine, home) {
        let remedy = "set OSTLER_HOME to a directory that stays, and `ostler startup` again";
        findings.push(Finding::new(
            format!("the home {shown} may be empty after a boot"),
            remedy,
        ));
    }
    match users::identify(user, None) {
        Err(error) => findings.push(Finding::new(
            error.to_string(),
            "`ostler unstartup`, and `ostler startup` for another",
        )),
        Ok(identity) if !may_write(&found, identity.credentials.uid) => {
            let remedy = format!(
                "sudo chown -R {user} {}",
                super::service::quoted(&home.to_string_lossy())
            );
            findings.push(Finding::new(
                format!("{user} may not write to the home {shown}"),
                remedy,
            ));
        }
        Ok(_) => {}
    }
    findings
}

/// A home is for its owner only.
fn may_write(home: &Metadata, uid: u32) -> bool {
    uid == 0 || (home.uid() == uid && home.permissions().mode() & 0o300 == 0o300)
}

/// PM2 and Ostler would start the same apps, and the second one of each finds its port taken.
fn of_pm2(machine: &Machine, service: &Service) -> Option<Finding> {
    let unit = format!("pm2-{}.service", service.user);
    let link = Path::new("/etc/systemd/system/multi-user.target.wants").join(&unit);
    machine.at(&link).is_symlink().then(|| {
        let what = format!("PM2 is started at boot too ({unit})");
        Finding::new(what, format!("if it has the same apps: sudo systemctl disable {unit}"))
    })
}
