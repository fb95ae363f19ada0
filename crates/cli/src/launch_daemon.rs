//! Starting a daemon from a cold home, by whoever needs one first. Called by commands that change something.
//!
//! However many commands start at once, one keeper comes up: a lock lets one of them through, and the next ones find
//! the daemon that it started. The keeper is told by `OSTLER_READY_FD` where to report: a line `ready` once the control
//! socket answers, or the text of an error; end of file without either means that it died.

use crate::error::{Error, Result};
use crate::home::{HOME_VARIABLE, Home, unusable};
use crate::printer::{Colour, Printer};
use ostler_sys::own_program;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, Timespec};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The first argument that makes this program the keeper.
pub const KEEPER_ROLE: &str = "__keeper";

/// The first argument that makes this program the daemon.
pub const DAEMON_ROLE: &str = "__daemon";

/// Names the descriptor on which readiness is reported.
pub const READY_VARIABLE: &str = "OSTLER_READY_FD";

/// How long a daemon may take to come up.
const START_DEADLINE: Duration = Duration::from_secs(15);

/// How much of the daemon's log is shown when it does not.
const LOG_TAIL_LINES: usize = 10;

/// Processes that apps of this home left behind before the daemon was started: keeper and daemon were killed at once, or
/// something was meant to outlive its app. Nobody supervises them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Survivors(Vec<i32>);

impl Survivors {
    /// Those of this home.
    pub fn of(home: &Home) -> Self {
        Self(ostler_daemon::tree::survivors(&home.path().to_string_lossy()))
    }

    /// Tells the user of them.
    pub fn warn(&self, printer: &Printer) {
        let pids: Vec<String> = self.0.iter().map(i32::to_string).collect();
        if !pids.is_empty() {
            printer.warn(&format!(
                "processes that an earlier daemon of this home ran are still there, and nothing supervises them: {}\n\
                 before their apps are started again, end them with `kill {}`",
                pids.join(", "),
                pids.join(" ")
            ));
        }
    }
}

/// Returns once a daemon answers in `home`, started by us or by somebody else at the same time. If it was us, tells what
/// was there before.
pub fn launch(home: &Home) -> Result<Survivors> {
    launch_program(home, &own_program())
}

fn launch_program(home: &Home, program: &Path) -> Result<Survivors> {
    home.create()?;
    let _lock = lock(home)?;
    if UnixStream::connect(home.socket()).is_ok() {
        return Ok(Survivors::default());
    }
    let survivors = Survivors::of(home);
    let (reader, writer) = ostler_sys::pipes::pipe().map_err(|error| system("pipe", error))?;
    let child = spawn(home, program, &writer)?;
    // Ours must be closed, or the end of the keeper would never show.
    drop(writer);
    await_ready(home, File::from(reader), child).map(|()| survivors)
}

/// The keeper's role. Started in the background it leaves the caller's session first, so that neither the terminal's end
/// nor its Ctrl-C reaches it.
pub fn run_keeper() -> ExitCode {
    let in_background = std::env::var_os(READY_VARIABLE).is_some() && !ostler_keeper::in_container();
    if in_background && let Err(error) = rustix::process::setsid() {
        return role_failed(&format!("setsid: {error}"));
    }
    if in_background {
        ostler_sys::cgroup::leave_worker();
    }
    match role_home() {
        Ok(home) => ostler_keeper::main(&home),
        Err(message) => role_failed(&message),
    }
}

/// The daemon's role, for the keeper only.
pub fn run_daemon() -> ExitCode {
    match role_home() {
        Ok(home) => ostler_daemon::main(home),
        Err(message) => role_failed(&message),
    }
}

/// Whoever starts one of our roles names the home.
fn role_home() -> std::result::Result<PathBuf, String> {
    std::env::var_os(HOME_VARIABLE)
        .map(PathBuf::from)
        .filter(|home| home.is_absolute())
        .ok_or_else(|| format!("{HOME_VARIABLE} does not name a directory; this role is started by `ostler` itself"))
}

/// Makes this process the keeper, in the foreground; its first daemon starts the saved list if asked to. Returns only if that
/// fails.
pub fn become_keeper(home: &Home, resurrect: bool) -> io::Error {
    let mut command = Command::new(own_program());
    match resurrect {
        true => command.env(ostler_daemon::RESURRECT_VARIABLE, "1"),
        false => command.env_remove(ostler_daemon::RESURRECT_VARIABLE),
    };
    command
        .arg(KEEPER_ROLE)
        .env(HOME_VARIABLE, home.path())
        .env_remove(READY_VARIABLE)
        .exec()
}

fn role_failed(message: &str) -> ExitCode {
    Printer::to_process(false, Colour::Never).error(message);
    ExitCode::FAILURE
}

fn lock(home: &Home) -> Result<File> {
    let path = home.start_lock();
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
    let file = opened.map_err(|error| unusable(&path, &error))?;
    let began = Instant::now();
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) if began.elapsed() < 2 * START_DEADLINE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(system(&format!("locking {}", path.display()), error)),
        }
    }
}

fn spawn(home: &Home, program: &Path, ready: &OwnedFd) -> Result<Child> {
    let path = home.daemon_log();
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let log = opened.map_err(|error| unusable(&path, &error))?;
    let second = log
        .try_clone()
        .map_err(|error| system("duplicating the log's descriptor", error))?;
    ostler_sys::inherit::withhold_all();
    let number = ostler_sys::inherit::bequeath(ready).map_err(|error| system("fcntl", error))?;
    let mut command = Command::new(program);
    for variable in ostler_sys::service::VARIABLES {
        // A service may be the one who calls. Its own conversation with its manager is none of the keeper's.
        command.env_remove(variable);
    }
    command
        .arg(KEEPER_ROLE)
        .env(HOME_VARIABLE, home.path())
        .env(READY_VARIABLE, number.to_string())
        // An app or a probe may be the one who calls. What marks them must not mark the keeper as a part of them.
        .env_remove(ostler_daemon::tree::MARKER)
        .env_remove(ostler_daemon::tree::COMMAND_MARKER)
        .env_remove(ostler_daemon::RESURRECT_VARIABLE)
        .env_remove(ostler_keeper::CONTAINER_VARIABLE)
        .env_remove("NODE_CHANNEL_FD")
        .env_remove("NODE_CHANNEL_SERIALIZATION_MODE")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(second)
        .current_dir("/")
        .spawn()
        .map_err(|error| system(&format!("starting {}", program.display()), error))
}

fn await_ready(home: &Home, mut reader: File, mut child: Child) -> Result {
    let deadline = Instant::now() + START_DEADLINE;
    let mut said = Vec::new();
    loop {
        if said.starts_with(b"ready\n") {
            return Ok(());
        }
        if !readable(&reader, deadline.saturating_duration_since(Instant::now()))? {
            let seconds = START_DEADLINE.as_secs();
            return Err(failed(home, &format!("the daemon did not come up within {seconds} s")));
        }
        let mut part = [0; 1024];
        match reader.read(&mut part) {
            Ok(0) => return Err(failed(home, &last_words(&said, &mut child))),
            Ok(length) => said.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(system("reading the daemon's report", error)),
        }
    }
}

fn readable(reader: &File, within: Duration) -> Result<bool> {
    let seconds = i64::try_from(within.as_secs()).unwrap_or(i64::MAX);
    let within = Timespec {
        tv_sec: seconds,
        tv_nsec: within.subsec_nanos().into(),
    };
    loop {
        match poll(&mut [PollFd::new(reader, PollFlags::IN)], Some(&within)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(system("poll", error)),
        }
    }
}

fn last_words(said: &[u8], child: &mut Child) -> String {
    let said = String::from_utf8_lossy(said);
    match (said.trim(), child.try_wait()) {
        ("", Ok(Some(status))) => format!("the daemon ended before it was up ({status})"),
        ("", Ok(None) | Err(_)) => "the daemon ended before it was up".to_owned(),
        (words, _) => format!("the daemon could not start: {words}"),
    }
}

fn failed(home: &Home, message: &str) -> Error {
    let path = home.daemon_log();
    let mut error = Error::system(message);
    if let Some(tail) = crate::logs::tail::last_lines(&path, LOG_TAIL_LINES) {
        error.message.push_str(&format!("\nlast lines of {}:", path.display()));
        for line in tail {
            error
                .message
                .push_str(&format!("\n  {}", String::from_utf8_lossy(&line)));
        }
    }
    error
}

fn system(call: &str, error: impl Into<io::Error>) -> Error {
    Error::system(format!("{call}: {}", error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_daemon::Stage;
    use std::os::unix::fs::PermissionsExt;

    /// A keeper that is a shell script.
    fn keeper(stage: &Stage, script: &str) -> PathBuf {
        let path = stage.directory.path().join("keeper.sh");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script can be written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it can be made executable");
        path
    }

    fn launched(script: &str) -> (Stage, Result<Survivors>) {
        let stage = Stage::new("start");
        let program = keeper(&stage, script);
        let result = launch_program(&stage.session.home, &program);
        (stage, result)
    }

    #[test]
    fn a_daemon_that_reports_itself_ready_is_up() {
        let script = "echo \"$1 $(pwd) $OSTLER_HOME\" > \"$OSTLER_HOME/seen\"; echo ready > /dev/fd/$OSTLER_READY_FD";
        let (stage, result) = launched(script);
        result.expect("it is ready");
        let home = stage.session.home.path();
        let seen = std::fs::read_to_string(home.join("seen")).expect("it ran");
        assert_eq!(seen, format!("__keeper / {}\n", home.display()));
    }

    #[test]
    fn what_a_daemon_says_instead_is_passed_on() {
        let (_stage, result) = launched("echo the disk is full > /dev/fd/$OSTLER_READY_FD; exit 1");
        let error = result.expect_err("it is not ready");
        assert_eq!(
            error.message.lines().next(),
            Some("the daemon could not start: the disk is full")
        );
    }

    #[test]
    fn a_daemon_that_dies_in_silence_is_noticed_and_its_log_shown() {
        let (stage, result) = launched("echo something broke >&2; exit 3");
        let message = result.expect_err("it died").message;
        let log = stage.session.home.daemon_log();
        let expected = format!("\nlast lines of {}:\n  something broke", log.display());
        assert!(message.starts_with("the daemon ended before it was up"), "{message}");
        assert!(message.ends_with(&expected), "{message}");
        assert_eq!(
            std::fs::metadata(log).expect("it is there").permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_daemon_that_answers_already_is_not_started_again() {
        let stage = Stage::new("start");
        let program = keeper(
            &stage,
            "touch \"$OSTLER_HOME/seen\"; echo ready > /dev/fd/$OSTLER_READY_FD",
        );
        let _listener = std::os::unix::net::UnixListener::bind(stage.session.home.socket()).expect("a socket");
        launch_program(&stage.session.home, &program).expect("there is one");
        assert!(!stage.session.home.path().join("seen").exists());
    }

    #[test]
    fn only_one_starts_a_daemon_at_a_time() {
        let stage = Stage::new("start");
        let script = "mkdir \"$OSTLER_HOME/alone\" || exit 1; sleep 0.02; rmdir \"$OSTLER_HOME/alone\"; \
                      echo ready > /dev/fd/$OSTLER_READY_FD";
        let (program, home) = (keeper(&stage, script), &stage.session.home);
        std::thread::scope(|scope| {
            let starters: Vec<_> = (0..8).map(|_| scope.spawn(|| launch_program(home, &program))).collect();
            for starter in starters {
                starter.join().expect("it does not panic").expect("each one was alone");
            }
        });
    }

    #[test]
    fn a_home_that_cannot_be_made_is_named() {
        let stage = Stage::new("start");
        let file = stage.directory.path().join("file");
        std::fs::write(&file, "").expect("a file can be written");
        let path = file.join("home").display().to_string();
        let home = Home::find(|name| (name == HOME_VARIABLE).then(|| path.clone()), Path::new("/"));
        let error = launch(&home).expect_err("a file is no directory");
        assert!(
            error.message.starts_with(&format!("cannot write to {path}: ")),
            "{}",
            error.message
        );
    }
}
