//! The keeper: holds a copy of every descriptor that must not be lost, and keeps a daemon running.
//!
//! # Theory of operation
//!
//! The daemon takes all decisions; the keeper takes none. It is a child subreaper, so when a daemon is killed its apps become the
//! keeper's children; it reaps them and tells the next daemon how they ended. Every vital descriptor (control socket, log pipes,
//! IPC ends, pidfds, the journal's memfd) was deposited here before the app behind it could run, and is handed to the next
//! daemon. When the keeper itself is killed, the daemon executes itself into this role ([`main`] with a table) and starts a new
//! daemon: `execve` keeps its pid and its children.
//!
//! Kept small on purpose: one thread, `poll(2)`, no async runtime, no parsing of user input. It must never wait for a daemon
//! that does not listen, nor die of one that misbehaves.

mod deposits;
mod successor;

use deposits::Deposits;
pub use deposits::{GENERATION_KEY, REAPED_KEY, encode_reaped, inherited};
use ostler_sys::fdpass::{ReceiveError, Received};
use ostler_sys::lock::LockFile;
use ostler_sys::signals::{self, Signals};
use ostler_sys::{fdpass, limits, reap, residency, spawn};
use ostler_wire::keeper::{MAX_PACKET, ToDaemon, ToKeeper};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use successor::{Daemon, Pace};

/// The environment variable that names the inherited descriptor of a table left by a daemon that became keeper.
pub const TABLE_VARIABLE: &str = "OSTLER_TABLE_FD";
/// The environment variable that names the inherited pipe end on which `ready` is written once the daemon answers.
pub const READY_VARIABLE: &str = "OSTLER_READY_FD";
/// The environment variable in which the daemon finds its end of the socket pair to the keeper.
pub const KEEPER_VARIABLE: &str = "OSTLER_KEEPER_FD";
/// The environment variable in which the daemon finds the limits of open files that apps are to have: `soft:hard`.
pub const OPEN_FILES_VARIABLE: &str = "OSTLER_OPEN_FILES";
/// The environment variable in which keeper and daemon of a container find what they are told about it. They stay in the foreground
/// then, with their standard output and error where they are.
pub const CONTAINER_VARIABLE: &str = "OSTLER_CONTAINER";
/// What stands in that variable where each line of output is to be an object of JSON.
pub const JSON_FORM: &str = r#""form":"json""#;
/// The home where there is no directory that could be written to: below what is no directory, so that nothing can be made there.
/// The control socket has no file then, and nobody sees to it that there is one keeper only.
pub const NOWHERE: &str = "/dev/null/ostler";
/// The lock that one keeper per home holds, in the home directory.
pub const LOCK: &str = "keeper.lock";
/// The deposit that holds that lock, so that it outlives any single process of ours.
const LOCK_KEY: &str = "lock";
/// How long a new keeper waits for its predecessor to be gone.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How many statuses of reaped processes are remembered for the next daemon.
const REMEMBERED: usize = 4096;

/// After so long without anything to do it is at rest.
const REST: Duration = Duration::from_millis(300);

struct Keeper {
    deposits: Deposits,
    reaped: Vec<(i32, i32)>,
    /// How many of the newest in `reaped` the daemon has not been told yet, because its socket was full.
    untold: usize,
    daemon: Option<Daemon>,
    pace: Pace,
    generation: u32,
    /// It ends with its daemon, with this exit code.
    leaving: Option<u8>,
    /// Something has happened since it last came to rest.
    stirred: bool,
    ready: Option<std::fs::File>,
    signals: Signals,
    /// What we were started with, for the apps.
    open_files: Option<(u64, u64)>,
}

/// Runs the keeper until its daemon ends on purpose.
pub fn main(home: &Path) -> ExitCode {
    match Keeper::new(home).and_then(|mut keeper| keeper.run()) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("keeper: {error}"));
            ExitCode::FAILURE
        }
    }
}

impl Keeper {
    fn new(home: &Path) -> std::io::Result<Self> {
        let open_files = original_open_files().or_else(|| limits::raise_open_files().ok());
        reap::become_subreaper()?;
        let signals = Signals::take(heard_signals())?;
        let mut deposits = Deposits::from_environment(TABLE_VARIABLE)?;
        let generation = deposits.generation();
        if !deposits.contains(LOCK_KEY) && home != Path::new(NOWHERE) {
            let lock = take_lock(home)?.ok_or_else(|| std::io::Error::other("another keeper runs for this home"))?;
            deposits.insert(LOCK_KEY, Vec::new(), vec![lock.as_fd().try_clone_to_owned()?]);
        }
        let ready = inherited(READY_VARIABLE).map(std::fs::File::from);
        Ok(Self {
            reaped: deposits.reaped(),
            deposits,
            untold: 0,
            stirred: true,
            daemon: None,
            pace: Pace::default(),
            generation,
            leaving: None,
            ready,
            signals,
            open_files,
        })
    }

    fn run(&mut self) -> std::io::Result<ExitCode> {
        self.reap();
        loop {
            if self.daemon.is_none() {
                if let Some(code) = self.leaving {
                    return Ok(ExitCode::from(code));
                }
                if self.generation > 0 && self.ready.is_some() {
                    say("keeper: the first daemon ended before it was up; giving up");
                    return Ok(ExitCode::FAILURE);
                }
                self.start_daemon_when_due();
            }
            self.wait()?;
            self.hear_signals();
            self.hear_daemon();
            self.reap();
        }
    }

    fn start_daemon_when_due(&mut self) {
        if self.pace.remaining(Instant::now()).is_some() {
            return;
        }
        self.generation += 1;
        self.pace.started(Instant::now());
        let hello = ToDaemon::Hello {
            generation: self.generation,
        };
        match Daemon::start(&hello, &self.deposits, &self.reaped, self.open_files) {
            Ok(daemon) => {
                self.daemon = Some(daemon);
                self.untold = 0;
            }
            Err(error) => {
                say(&format!("keeper: starting a daemon failed, trying again: {error}"));
                self.pace.died(Instant::now(), None);
            }
        }
    }

    /// Sleeps until a signal, a message, or the time to start a daemon.
    fn wait(&mut self) -> std::io::Result<()> {
        let timeout = match &self.daemon {
            Some(_) => self.stirred.then_some(REST),
            None => Some(self.pace.remaining(Instant::now()).unwrap_or(Duration::ZERO)),
        };
        let timeout = timeout.and_then(|span| Timespec::try_from(span).ok());
        let mut sources = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if let Some(daemon) = &self.daemon {
            let room = if self.untold > 0 {
                PollFlags::OUT
            } else {
                PollFlags::empty()
            };
            sources.push(PollFd::new(&daemon.socket, PollFlags::IN | room));
        }
        match poll(&mut sources, timeout.as_ref()) {
            Ok(0) if self.daemon.is_some() => {
                self.stirred = false;
                // Only a matter of how much memory seems to be used.
                let _ = residency::let_go_of_code();
                spawn::let_go_of_stacks();
                Ok(())
            }
            Ok(_) => {
                self.stirred = true;
                Ok(())
            }
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// An administrator's signal is the daemon's business.
    fn hear_signals(&mut self) {
        while let Some(signal) = self.signals.next() {
            if signal != signals::SIGCHLD
                && let Some(daemon) = &self.daemon
            {
                daemon.signal(signal);
            }
        }
    }

    fn hear_daemon(&mut self) {
        while let Some(daemon) = &self.daemon {
            let mut packet = [0; MAX_PACKET];
            match fdpass::receive(daemon.socket.as_fd(), &mut packet) {
                Ok(Received::Message(length, descriptors)) => self.obey(&packet[..length], descriptors),
                Ok(Received::End) => return self.bury_daemon(),
                Err(ReceiveError::Nothing) => return,
                Err(error) => {
                    say(&format!("keeper: receiving from the daemon failed: {error}"));
                    return self.bury_daemon();
                }
            }
        }
    }

    fn obey(&mut self, packet: &[u8], descriptors: Vec<OwnedFd>) {
        match ToKeeper::decode(packet) {
            Ok(ToKeeper::Deposit { key, data }) => self.deposits.insert(key.as_str(), data, descriptors),
            Ok(ToKeeper::Release { key }) => self.deposits.remove(key.as_str()),
            Ok(ToKeeper::Ready) => self.tell_ready(),
            Ok(ToKeeper::Farewell { code }) => self.leaving = Some(code),
            Err(error) => say(&format!("keeper: {error}")),
        }
    }

    fn tell_ready(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            daemon.ready = true;
        }
        if let Some(mut ready) = self.ready.take() {
            // Whoever waited may have gone; that is no trouble of ours.
            let _ = ready.write_all(b"ready\n");
        }
    }

    /// The daemon's end of the socket is closed: it is dead or as good as dead. Make sure, before another one starts.
    fn bury_daemon(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            let end = daemon.bury(&self.reaped);
            self.pace.died(Instant::now(), Some(end));
            if self.leaving.is_none() {
                say(&format!("keeper: the daemon ended ({end}); starting another"));
            }
        }
    }

    /// Statuses are remembered even when a daemon was told: it may be killed before it has noted them.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = reap::reap_any() {
            let (pid, status) = (pid.as_raw_nonzero().get(), status.to_wait_status());
            self.reaped.push((pid, status));
            self.untold += 1;
            let excess = self.reaped.len().saturating_sub(REMEMBERED);
            self.reaped.drain(..excess);
        }
        self.tell_reaped();
    }

    fn tell_reaped(&mut self) {
        let Some(daemon) = &self.daemon else { return };
        let untold = self.untold.min(self.reaped.len());
        self.untold = untold;
        for (pid, status) in &self.reaped[self.reaped.len() - untold..] {
            if !daemon.tell(&ToDaemon::Reaped {
                pid: *pid,
                status: *status,
            }) {
                return;
            }
            self.untold -= 1;
        }
    }
}

/// A keeper that has just been told to end may hold the lock a moment longer than its socket answers.
fn take_lock(home: &Path) -> std::io::Result<Option<LockFile>> {
    let began = Instant::now();
    loop {
        let lock = LockFile::try_take(&home.join(LOCK))?;
        if lock.is_some() || began.elapsed() > LOCK_PATIENCE {
            return Ok(lock);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The limits of open files that we were started with, as an earlier keeper noted them.
pub fn original_open_files() -> Option<(u64, u64)> {
    let noted = std::env::var(OPEN_FILES_VARIABLE).ok()?;
    let (soft, hard) = noted.split_once(':')?;
    Some((soft.parse().ok()?, hard.parse().ok()?))
}

/// What the keeper hears. In a container it passes more on: there it stands for all apps.
fn heard_signals() -> &'static [i32] {
    const ALL: [i32; 7] = [
        signals::SIGCHLD,
        signals::SIGTERM,
        signals::SIGINT,
        signals::SIGQUIT,
        signals::SIGUSR2,
        signals::SIGHUP,
        signals::SIGUSR1,
    ];
    if in_container() { &ALL } else { &ALL[..5] }
}

/// Whether this process was told that it runs in a container.
pub fn in_container() -> bool {
    std::env::var_os(CONTAINER_VARIABLE).is_some()
}

/// Our own log is standard error, which is `ostler.log` in the home directory. In a container it may be a pipe that nobody reads:
/// then it is not said.
pub fn say(text: &str) {
    let mut stderr = std::io::stderr();
    if in_container() {
        let now = Timespec::default();
        if !matches!(poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&now)), Ok(1..)) {
            return;
        }
    }
    let _ = match std::env::var(CONTAINER_VARIABLE) {
        Ok(told) if told.contains(JSON_FORM) => {
            writeln!(stderr, r#"{{"message":"{}","type":"ostler"}}"#, escaped(text))
        }
        Ok(_) | Err(_) => writeln!(stderr, "{text}"),
    };
}

/// Text within a string of JSON.
fn escaped(text: &str) -> String {
    let escape = |character: char| match character {
        '"' | '\\' => format!("\\{character}"),
        '\0'..='\x1f' => format!("\\u{:04x}", u32::from(character)),
        _ => character.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_keeper_says_can_stand_in_a_string_of_json() {
        assert_eq!(super::escaped("a \"b\"\n\\ ü"), "a \\\"b\\\"\\u000a\\\\ ü");
    }
}
