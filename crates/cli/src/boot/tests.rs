//! What is written for each init system, and what would fail.

use super::check::{Finding, Report, check};
use super::service::{Wish, path};
use super::{Machine, Platform, Service, plan};
use crate::fake_daemon::Stage;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

fn service() -> Service {
    Service {
        name: "ostler-www".into(),
        user: "www".into(),
        user_home: "/home/www".into(),
        home: "/home/www/.ostler".into(),
        program: "/usr/local/bin/ostler".into(),
        path: "/home/www/.nvm/versions/node/v22.1.0/bin:/usr/bin:/bin".into(),
        wait_ip: false,
    }
}

/// The file with this version's number out of the way.
fn written(platform: Platform, service: &Service) -> String {
    plan(platform, service)
        .shown()
        .replace(ostler_daemon::VERSION, "<version>")
}

#[test]
fn a_unit_of_the_system() {
    insta::assert_snapshot!(written(Platform::Systemd, &service()));
}

#[test]
fn a_unit_of_a_users_own_manager() {
    insta::assert_snapshot!(written(Platform::SystemdUser, &service()));
}

#[test]
fn a_unit_with_awkward_words_that_waits_for_an_address() {
    let service = Service {
        home: "/srv/50% of $it/.ostler".into(),
        program: "/opt/my \"tools\"/ostler".into(),
        wait_ip: true,
        ..service()
    };
    insta::assert_snapshot!(written(Platform::Systemd, &service));
}

#[test]
fn a_script_for_openrc() {
    insta::assert_snapshot!(written(Platform::OpenRc, &service()));
}

#[test]
fn a_script_for_system_v() {
    insta::assert_snapshot!(written(Platform::SystemV, &service()));
}

#[test]
fn a_property_list_for_launchd() {
    insta::assert_snapshot!(written(Platform::Launchd, &service()));
}

/// What a script does is tried by a shell with `su` and `ostler` of a few lines.
#[test]
fn the_script_calls_ostler_as_the_user_with_his_surroundings() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        path
    };
    // As su does: the command, then the rest as its arguments.
    script(
        "su",
        "#!/bin/sh\ncommand=$4 user=$5\nshift 5\necho \"as $user\"\nexec /bin/sh -c \"$command\" \"$@\"\n",
    );
    let program = script("my ostler", "#!/bin/sh\necho \"$OSTLER_HOME|$PATH|$*\"\n");
    let service = Service {
        program,
        home: "/home/it's/.ostler".into(),
        path: "/x:/usr/bin:/bin".into(),
        ..service()
    };
    let file = script("ostler-www", &plan(Platform::SystemV, &service).contents);
    let run = |verb: &str| {
        let path = format!("{}:/usr/bin:/bin", directory.path().display());
        let output = std::process::Command::new(&file)
            .arg(verb)
            .env("PATH", path)
            .output()
            .expect("it runs");
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            output.status.code(),
        )
    };
    let line = |words: &str| format!("as www\n/home/it's/.ostler|/x:/usr/bin:/bin|{words}\n");
    assert_eq!(run("start"), (line("resurrect"), Some(0)));
    assert_eq!(run("stop"), (line("kill"), Some(0)));
    assert_eq!(run("reload"), (line("reload all"), Some(0)));
    assert_eq!(run("dance").1, Some(2));
}

#[test]
fn a_path_has_each_directory_once_and_none_that_is_relative() {
    assert_eq!(
        path("/n/bin:.:/usr/bin::/n/bin"),
        "/n/bin:/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/bin"
    );
}

fn machine(root: &Path) -> Machine {
    Machine {
        root: root.to_owned(),
        path: "/usr/bin".into(),
    }
}

#[test]
fn the_init_system_that_runs_is_found_before_one_that_is_installed() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let machine = machine(root.path());
    let make = |path: &str| {
        let path = machine.at(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("directories");
        fs::write(path, "").expect("a file");
    };
    assert!(Platform::detect(&machine).expect_err("nothing is there").hints[0].contains("ostler daemon"));
    make("/usr/sbin/update-rc.d");
    assert_eq!(Platform::detect(&machine).expect("found"), Platform::SystemV);
    make("/usr/bin/systemctl");
    assert_eq!(Platform::detect(&machine).expect("found"), Platform::Systemd);
    fs::create_dir_all(machine.at("/run/openrc")).expect("a directory");
    assert_eq!(Platform::detect(&machine).expect("found"), Platform::OpenRc);
}

#[test]
fn pm2s_names_of_init_systems_are_known() {
    for (name, platform) in [
        ("systemd", Platform::Systemd),
        ("ubuntu", Platform::Systemd),
        ("gentoo", Platform::OpenRc),
        ("darwin", Platform::Launchd),
        ("systemd-user", Platform::SystemdUser),
    ] {
        assert_eq!(Platform::named(name).expect(name), platform);
    }
    let error = Platform::named("upstart").expect_err("nobody runs it any more");
    assert_eq!(error.message, "`upstart` is no init system that Ostler knows");
}

#[test]
fn what_has_to_be_typed_as_root_sets_up_the_same_service() {
    let mut stage = Stage::new("startup");
    let wish = Wish {
        service_name: Some("my-apps".into()),
        wait_ip: true,
        ..Wish::default()
    };
    let typed = service().as_root("startup", Platform::Systemd, &stage.session, &wish);
    assert_eq!(
        typed,
        "sudo env \"PATH=$PATH\" /usr/local/bin/ostler startup systemd -u www --hp /home/www --service-name my-apps --wait-ip"
    );
    stage.session.environment.insert("OSTLER_HOME".into(), "/srv/o".into());
    let typed = service().as_root("unstartup", Platform::Systemd, &stage.session, &Wish::default());
    assert_eq!(
        typed,
        "sudo env \"PATH=$PATH\" OSTLER_HOME=/home/www/.ostler /usr/local/bin/ostler unstartup systemd -u www --hp /home/www"
    );
}

#[test]
fn a_name_that_would_leave_its_directory_is_refused() {
    let stage = Stage::new("startup");
    for name in ["../x", "a/b", "", "a b", ".x"] {
        let wish = Wish {
            service_name: Some(name.into()),
            ..Wish::default()
        };
        let error = Service::new(&stage.session, Platform::Systemd, &wish).expect_err(name);
        assert!(
            error.message.contains("cannot be the name of a service"),
            "{}",
            error.message
        );
    }
}

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
