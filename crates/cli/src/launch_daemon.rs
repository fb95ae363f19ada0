//! Starting a daemon from a cold home, by whoever needs one first. Called by commands that change something.
//!
//! However many commands start at once, one keeper comes up: a lock lets one of them through, and the next ones find
//! the daemon that it started. The keeper is told by `OSTLER_READY_FD` where to report: a line `ready` once the control
//! socket answers, or the text of an error; end of file without either means that it died.

use crate::error::{Error, Result};
use crate::home::{HOME_VARIABLE, Home, unusable};
use crate::printer::{Colour, Printer};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, Timespec};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
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

/// Returns once a daemon answers in `home`, started by us or by somebody else at the same time.
pub fn launch(home: &Home) -> Result {
    home.create()?;
    let _lock = lock(home)?;
    if UnixStream::connect(home.socket()).is_ok() {
        return Ok(());
    }
    let (reader, writer) = ostler_sys::pipes::pipe().map_err(|error| system("pipe", error))?;
    let child = spawn(home, &writer)?;
    // Ours must be closed, or the end of the keeper would never show.
    drop(writer);
    await_ready(home, File::from(reader), child)
}

/// The keeper's role. Started in the background it leaves the caller's session first, so that neither the terminal's end
/// nor its Ctrl-C reaches it.
pub fn run_keeper() -> ExitCode {
    if std::env::var_os(READY_VARIABLE).is_some()
        && let Err(error) = rustix::process::setsid()
    {
        return role_failed(&format!("setsid: {error}"));
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

/// Makes this process the keeper, in the foreground. Returns only if that fails.
pub fn become_keeper(home: &Home) -> io::Error {
    let mut command = Command::new(own_program());
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

/// The program to run in another role: this one, also when its file has been replaced or deleted meanwhile.
pub fn own_program() -> PathBuf {
    std::env::current_exe()
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
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
            Err(error) => return Err(system(&format!("locking {}", path.display()), error.into())),
        }
    }
}

fn spawn(home: &Home, ready: &OwnedFd) -> Result<Child> {
    let path = home.daemon_log();
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let log = opened.map_err(|error| unusable(&path, &error))?;
    let second = log
        .try_clone()
        .map_err(|error| system("duplicating the log's descriptor", error))?;
    let program = own_program();
    let number = ostler_sys::inherit::bequeath(ready).map_err(|error| system("fcntl", error))?;
    Command::new(&program)
        .arg(KEEPER_ROLE)
        .env(HOME_VARIABLE, home.path())
        .env(READY_VARIABLE, number.to_string())
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
            Err(error) => return Err(system("poll", error.into())),
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

fn system(call: &str, error: io::Error) -> Error {
    Error::system(format!("{call}: {error}"))
}
