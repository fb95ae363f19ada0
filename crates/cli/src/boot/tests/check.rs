//! What would fail at the next boot.

use super::{machine, service};
use crate::boot::check::{Finding, Report, check};
use crate::boot::{Machine, Platform, Service, plan};
use crate::fake_daemon::Stage;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// A machine, a service of the caller on it with a saved list of one app that has all it needs.
struct Prepared {
    machine: Machine,
    service: Service,
    directory: tempfile::TempDir,
}

impl Prepared {
    fn new() -> Self {
        let own = std::env::current_exe().expect("this program");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let machine = machine(&directory.path().join("root"));
        let home = directory.path().join("home");
        fs::create_dir(&home).expect("a home");
        let user = Stage::new("startup").session.username();
        let service = Service {
            name: format!("ostler-{user}"),
            user_home: directory.path().to_owned(),
            program: own,
            home,
            user,
            ..service()
        };
        let prepared = Self {
            machine,
            service,
            directory,
        };
        prepared.save("one");
        plan(Platform::Systemd, &prepared.service)
            .install(&prepared.machine)
            .expect("installed");
        prepared
    }

    /// In the words of PM2's list.
    fn save(&self, name: &str) {
        let script = self.directory.path().join("app.sh");
        fs::write(&script, "#!/bin/sh\n").expect("a script");
        let process = serde_json::json!({
            "name": name, "pm_exec_path": script, "pm_cwd": self.directory.path(), "exec_interpreter": "sh",
            "exec_mode": "fork_mode", "status": "online", "PATH": "/usr/bin:/bin", "env": {},
        });
        fs::write(self.list(), serde_json::json!([process]).to_string()).expect("a list");
    }

    fn list(&self) -> PathBuf {
        self.service.home.join("dump.pm2")
    }

    fn report(&self, platform: Platform, running: &[&str]) -> Report {
        let running: BTreeSet<String> = running.iter().map(|name| (*name).to_owned()).collect();
        let plan = plan(platform, &self.service);
        check(&self.machine, platform, &self.service, &plan, Some(&running))
    }

    fn findings(&self) -> Vec<Finding> {
        self.report(Platform::Systemd, &["one"]).findings
    }

    /// The only finding, without the paths of this test.
    #[track_caller]
    fn only(&self) -> String {
        let findings = self.findings();
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings[0].what.replace(&*self.directory.path().to_string_lossy(), "…")
    }

    fn unit(&self) -> PathBuf {
        self.machine.at(plan(Platform::Systemd, &self.service).file)
    }

    fn change_unit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.unit()).expect("a unit");
        assert!(text.contains(from), "{text}");
        fs::write(self.unit(), text.replace(from, to)).expect("changed");
    }
}

#[test]
fn what_is_all_there_would_start() {
    let prepared = Prepared::new();
    let report = prepared.report(Platform::Systemd, &["one"]);
    assert_eq!((report.findings, report.processes), (Vec::new(), 1));
}

#[test]
fn a_service_that_is_missing_not_enabled_or_masked_is_found() {
    let prepared = Prepared::new();
    let plan = plan(Platform::Systemd, &prepared.service);
    let (link, _) = plan.link.clone().expect("a link enables it");
    fs::remove_file(prepared.machine.at(link)).expect("removed");
    assert!(prepared.only().ends_with("is there, but not enabled"));
    assert!(plan.remove(&prepared.machine).expect("removed"));
    assert!(
        prepared
            .only()
            .starts_with("nothing starts Ostler: there is no /etc/systemd/system/ostler-")
    );
    assert!(!plan.remove(&prepared.machine).expect("nothing is left"));
    symlink("/dev/null", prepared.unit()).expect("masked");
    assert!(prepared.only().ends_with("is masked"));
}

#[test]
fn a_service_of_another_version_program_or_home_is_found() {
    let prepared = Prepared::new();
    let version = format!("X-Ostler-Version={}", ostler_daemon::VERSION);
    prepared.change_unit(&version, "X-Ostler-Version=0.0.1");
    assert!(prepared.only().contains("was written by Ostler 0.0.1"));
    prepared.change_unit("X-Ostler-Version=0.0.1", &version);
    let program = prepared.service.program.display().to_string();
    prepared.change_unit(&program, "/opt/gone/ostler");
    assert!(
        prepared.only().contains("its program /opt/gone/ostler: No such file"),
        "{}",
        prepared.only()
    );
    prepared.change_unit("/opt/gone/ostler", &program);
    let home = format!("OSTLER_HOME={}", prepared.service.home.display());
    prepared.change_unit(&home, "OSTLER_HOME=/srv/other");
    assert_eq!(prepared.only(), "at boot the home is /srv/other, now it is …/home");
}

#[test]
fn a_saved_list_that_is_missing_empty_broken_or_old_is_found() {
    let prepared = Prepared::new();
    let running = prepared.report(Platform::Systemd, &["one", "two"]);
    assert_eq!(running.findings[0].what, "what runs now is not in the saved list: two");
    fs::write(prepared.list(), "[]").expect("written");
    assert!(
        prepared
            .findings()
            .iter()
            .any(|finding| finding.what.starts_with("the saved list is empty"))
    );
    fs::write(prepared.list(), "[{").expect("written");
    assert!(
        prepared
            .findings()
            .iter()
            .any(|finding| finding.what.contains("is no saved list: not valid JSON"))
    );
    assert_eq!(
        fs::read(prepared.list()).expect("still there"),
        b"[{",
        "it is left as it is"
    );
    fs::remove_file(prepared.list()).expect("removed");
    assert!(
        prepared
            .findings()
            .iter()
            .any(|finding| finding.what.starts_with("there is no saved list"))
    );
}

#[test]
fn an_app_that_has_lost_what_it_needs_is_found() {
    let prepared = Prepared::new();
    fs::remove_file(prepared.directory.path().join("app.sh")).expect("removed");
    assert_eq!(prepared.only(), "`one`: its program …/app.sh is gone");
    prepared.save("one");
    let text = fs::read_to_string(prepared.list()).expect("a list");
    fs::write(prepared.list(), text.replace("\"sh\"", "\"no-such-thing\"")).expect("changed");
    assert!(
        prepared.only().starts_with("`one`: its interpreter cannot be run: "),
        "{}",
        prepared.only()
    );
    let stopped = text
        .replace("\"online\"", "\"stopped\"")
        .replace("\"sh\"", "\"no-such-thing\"");
    fs::write(prepared.list(), stopped).expect("changed");
    assert_eq!(prepared.findings(), [], "what would not be started cannot fail");
}

#[test]
fn a_service_of_ones_own_manager_needs_lingering() {
    let prepared = Prepared::new();
    plan(Platform::SystemdUser, &prepared.service)
        .install(&prepared.machine)
        .expect("installed");
    let findings = prepared.report(Platform::SystemdUser, &["one"]).findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(
        findings[0].remedy,
        format!("sudo loginctl enable-linger {}", prepared.service.user)
    );
    let linger = prepared
        .machine
        .at(format!("/var/lib/systemd/linger/{}", prepared.service.user));
    fs::create_dir_all(linger.parent().expect("it has one")).expect("directories");
    fs::write(linger, "").expect("lingering");
    assert_eq!(prepared.report(Platform::SystemdUser, &["one"]).findings, []);
}

#[test]
fn pm2_beside_us_is_found() {
    let prepared = Prepared::new();
    let wants = prepared.machine.at("/etc/systemd/system/multi-user.target.wants");
    symlink("/x", wants.join(format!("pm2-{}.service", prepared.service.user))).expect("a link");
    assert!(prepared.only().starts_with("PM2 is started at boot too (pm2-"));
}

#[test]
fn what_lies_where_it_does_not_outlast_a_boot_is_found() {
    let mut prepared = Prepared::new();
    let passing = prepared.machine.at("/tmp/x");
    fs::create_dir_all(&passing).expect("a directory");
    fs::rename(&prepared.service.home, passing.join("home")).expect("moved");
    prepared.service.home = passing.join("home");
    plan(Platform::Systemd, &prepared.service)
        .install(&prepared.machine)
        .expect("installed");
    assert_eq!(prepared.only(), "the home …/root/tmp/x/home may be empty after a boot");
}
