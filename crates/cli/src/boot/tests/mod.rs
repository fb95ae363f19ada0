//! What is written for each init system.

mod check;

use super::service::{Wish, path};
use super::{Machine, Platform, Service, plan};
use crate::fake_daemon::Stage;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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
        "#!/bin/sh\ncommand=$4 user=$6\nshift 6\necho \"as $user\"\nexec /bin/sh -c \"$command\" \"$@\"\n",
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
    assert_eq!(run("stop"), (line("kill --drain"), Some(0)));
    assert_eq!(run("reload"), (line("reload all"), Some(0)));
    assert_eq!(run("dance").1, Some(2));
    // OpenRC reads the functions into a shell that has these.
    let functions = "ebegin() { :; }; eend() { return \"$1\"; }";
    let file = script("openrc", &plan(Platform::OpenRc, &service).contents);
    for (function, words) in [
        ("start", "resurrect"),
        ("stop", "kill --drain"),
        ("reload", "reload all"),
        ("status", "daemon status"),
    ] {
        let text = format!("{functions}; . {}; {function}", file.display());
        let path = format!("{}:/usr/bin:/bin", directory.path().display());
        let mut shell = std::process::Command::new("/bin/sh");
        let output = shell
            .args(["-euc", &text])
            .env("PATH", path)
            .env("RC_SVCNAME", "x")
            .output();
        let output = output.expect("a shell runs");
        assert_eq!(
            (
                String::from_utf8_lossy(&output.stdout).into_owned(),
                output.status.code()
            ),
            (line(words), Some(0))
        );
    }
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
