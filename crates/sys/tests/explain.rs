//! The exact words for programs that cannot be found or run.

mod common;

use common::{LIMIT, command, text};
use ostler_sys::resolve::{Attempt, Explanation, FindError, explain, find};
use ostler_sys::spawn::{Credentials, ExecError, ExecOutcome, Stage};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, mode: u32, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("set");
        path
    }

    /// Tries to run a file in this place; what is said about it, with the place's path as `@`.
    fn failure(&self, program: &Path) -> String {
        let mut command = command(&[program.to_str().expect("text")]);
        command.cwd = text(self.path().to_str().expect("text"));
        let mut released = command.hold().expect("held").release().expect("released");
        let outcome = released.outcome.wait(LIMIT).expect("read");
        common::wait_for_status(std::os::fd::AsFd::as_fd(&released.pidfd));
        let ExecOutcome::Failed(error) = outcome else {
            panic!("{} ran", program.display())
        };
        let explained = explain(
            &error,
            Attempt {
                program,
                cwd: self.path(),
                user: None,
            },
        );
        assert!(!explained.transient, "{}", explained.message);
        explained.message.replace(&self.path().display().to_string(), "@")
    }
}

#[test]
fn each_reason_why_a_program_cannot_run_has_its_own_sentence() {
    let place = Place::new();
    let missing = place.failure(Path::new("missing"));
    assert_eq!(
        missing,
        "`@/missing` does not exist. Check the path (the working directory is `@`)."
    );
    let lost = place.file("lost", 0o755, "#! /usr/bin/nope -x\n");
    assert_eq!(
        place.failure(&lost),
        "The interpreter `/usr/bin/nope` named in the first line of `@/lost` does not exist. Install it, correct that \
         line, or name another with `--interpreter`."
    );
    let windows = place.file("windows", 0o755, "#!/bin/sh\r\necho\r\n");
    assert_eq!(
        place.failure(&windows),
        "The first line of `@/windows` ends with a carriage return, so its interpreter `/bin/sh` is not found. Save the \
         file with Unix line endings (`sed -i 's/\\r$//' @/windows`)."
    );
    assert_eq!(
        place.failure(place.path()),
        "`@` is a directory. Name the program in it."
    );
    let plain = place.file("plain", 0o644, "#!/bin/sh\n");
    assert_eq!(
        place.failure(&plain),
        "`@/plain` is not executable (its mode is 0644). Run `chmod +x @/plain`, or name an interpreter."
    );
    let behind = place.file("behind", 0o755, format!("#!{}\n", plain.display()));
    assert_eq!(
        place.failure(&behind),
        "`@/behind` cannot run: its interpreter `@/plain` is not executable."
    );
    let data = place.file("data", 0o755, "console.log(1)\n");
    assert_eq!(
        place.failure(&data),
        "`@/data` is neither a binary nor a script with a first line like `#!/bin/sh`. Add one, or name an interpreter \
         with `--interpreter`."
    );
    let empty = place.file("empty", 0o755, "");
    assert_eq!(place.failure(&empty), "`@/empty` is empty.");
    let below = plain.join("below");
    assert_eq!(
        place.failure(&below),
        "`@/plain/below` does not exist: something on the way to it is a file, not a directory."
    );
    let link = place.path().join("link");
    symlink("/nowhere/at/all", &link).expect("made");
    assert_eq!(
        place.failure(&link),
        "`@/link` is a symbolic link to `/nowhere/at/all`, which does not exist."
    );
}

#[test]
fn a_binary_without_its_loader_or_for_another_processor_is_told_apart() {
    let place = Place::new();
    let mut binary = fs::read("/bin/true").expect("a binary");
    let loader = binary
        .windows(4)
        .position(|bytes| bytes == b"/lib")
        .expect("the loader's path");
    binary[loader..loader + 4].copy_from_slice(b"/nah");
    let loaderless = place.failure(&place.file("loaderless", 0o755, &binary));
    assert!(loaderless.starts_with("The loader `/nah"), "{loaderless}");
    assert!(
        loaderless.contains("that the binary `@/loaderless` needs does not exist"),
        "{loaderless}"
    );
    binary[18] = 0xff; // e_machine
    let foreign = place.failure(&place.file("foreign", 0o755, &binary));
    assert_eq!(
        foreign,
        "`@/foreign` is a binary for another processor. Use a build for this one."
    );
}

#[test]
fn steps_before_the_program_are_explained_and_shortages_count_as_transient() {
    let attempt = Attempt {
        program: "app".as_ref(),
        cwd: "/srv/app".as_ref(),
        user: Some("www"),
    };
    let of = |stage, errno| explain(&ExecError { stage, errno }, attempt);
    assert_eq!(
        of(Stage::Directory, libc::ENOENT).message,
        "The working directory `/srv/app` does not exist. Create it, or correct `cwd`."
    );
    assert!(
        of(Stage::Directory, libc::EACCES)
            .message
            .contains("may not be entered by user `www`")
    );
    assert!(
        of(Stage::User, libc::EPERM)
            .message
            .starts_with("Only root may run programs as www.")
    );
    let limit = of(Stage::Exec, libc::EAGAIN);
    let said = "`/srv/app/app` could not be run: its user has reached the limit of processes (ulimit -u).";
    assert_eq!(
        limit,
        Explanation {
            message: said.to_owned(),
            transient: true
        }
    );
    assert!(!of(Stage::Exec, libc::E2BIG).transient);
}

#[test]
fn a_user_without_privileges_can_name_himself_but_nobody_else() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    rustix::thread::set_thread_groups(&[]).expect("dropped");
    let nobody = rustix::process::Gid::from_raw(65534);
    rustix::thread::set_thread_res_gid(nobody, nobody, nobody).expect("dropped");
    let nobody = rustix::process::Uid::from_raw(65534);
    rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("dropped");
    let run_as = |uid| {
        let mut command = common::shell("true");
        command.credentials = Some(Credentials {
            uid,
            gid: 65534,
            groups: vec![65534],
        });
        let mut released = command.hold().expect("held").release().expect("released");
        let outcome = released.outcome.wait(LIMIT).expect("read");
        common::wait_for_status(std::os::fd::AsFd::as_fd(&released.pidfd));
        outcome
    };
    assert_eq!(run_as(65534), ExecOutcome::Running);
    let refused = ExecOutcome::Failed(ExecError {
        stage: Stage::Groups,
        errno: libc::EPERM,
    });
    assert_eq!(run_as(0), refused);
}

#[test]
fn programs_are_found_in_path_and_what_is_in_the_way_is_named() {
    let place = Place::new();
    let (first, second) = (place.path().join("first"), place.path().join("second"));
    fs::create_dir_all(first.join("tool")).expect("made");
    fs::create_dir(&second).expect("made");
    let path = std::env::join_paths([&first, &second]).expect("a PATH");
    let look = |name: &str, path: &OsStr| find(OsStr::new(name), Some(path), place.path());
    assert_eq!(look("tool", &path), Err(FindError::Directory(first.join("tool"))));
    let tool = place.file("second/tool", 0o644, "");
    fs::remove_dir(first.join("tool")).expect("removed");
    assert_eq!(look("tool", &path), Err(FindError::NotExecutable(tool.clone())));
    let tool = place.file("second/tool", 0o755, "");
    assert_eq!(look("tool", &path), Ok(tool));
    let missing = look("absent", OsStr::new("/one:/two"))
        .expect_err("nowhere")
        .to_string();
    assert_eq!(
        missing,
        "`absent` was not found in any directory of PATH (/one:/two); install it, or give its full path"
    );
    let here = place.file("here", 0o755, "");
    assert_eq!(
        look("here", OsStr::new("/one::/two")),
        Ok(place.path().join("").join("here"))
    );
    assert_eq!(look("./here", &path), Ok(place.path().join("./here")));
    assert_eq!(look(here.to_str().expect("text"), &path), Ok(here));
    assert!(matches!(look("./absent", &path), Err(FindError::Missing { .. })));
    assert!(
        find(OsStr::new("sh"), None, place.path()).is_ok(),
        "a default where there is no PATH"
    );
}
