//! Running a JavaScript runtime on a config, with a deadline. Called by [`super::javascript`] only.
//!
//! The runtime's descriptor 0 is a socket of ours: text in, one line of JSON out. Its output and errors go to pipes that
//! are always drained. It runs in a process group of its own, so that everything it started can be ended with it, and
//! dies with us, since a Ctrl-C in the terminal then reaches us only.

use crate::Context;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

const LOADER: &str = include_str!("loader.cjs");

/// How much of what a config prints is kept.
const KEPT: usize = 16 << 10;

/// How long to wait for the end of pipes that a grandchild may still hold.
const LINGER: Duration = Duration::from_millis(200);

/// What to run.
pub(crate) struct Order<'a> {
    pub(crate) program: &'a Path,
    pub(crate) flags: &'a [&'a str],
    /// `module` or `expression`.
    pub(crate) kind: &'a str,
    pub(crate) file: &'a Path,
    /// An expression's text.
    pub(crate) text: &'a str,
    pub(crate) context: &'a Context,
    pub(crate) deadline: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Evaluation {
    pub(crate) ended: Ended,
    /// What it printed, the first [`KEPT`] bytes.
    pub(crate) out: String,
    pub(crate) error: String,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With this line.
    Answered(String),
    /// Without a line; how the process ended, in words.
    Silent(String),
    /// Not in time.
    TimedOut,
}

/// Runs the loader. Errors are those of starting the runtime.
pub(crate) fn run(order: &Order<'_>) -> std::io::Result<Evaluation> {
    let deadline = Instant::now() + order.deadline;
    let (socket, theirs) = UnixStream::pair()?;
    let mut child = spawn(order, theirs)?;
    let out = drained(child.stdout.take());
    let error = drained(child.stderr.take());
    let answer = converse(socket, order.text, deadline);
    let ended = conclude(&mut child, answer, deadline);
    Ok(Evaluation {
        ended,
        out: collected(&out),
        error: collected(&error),
    })
}

fn spawn(order: &Order<'_>, theirs: UnixStream) -> std::io::Result<Child> {
    let mut command = Command::new(order.program);
    command.args(order.flags);
    if !order.program.ends_with("bun") {
        // Node's own remarks on experimental features are not the config's words.
        command.arg("--no-warnings");
    }
    command
        .args(["-e", LOADER, "--", order.kind])
        .arg(order.file)
        .current_dir(&order.context.cwd)
        .env_clear()
        .envs(&order.context.environment)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    ostler_sys::tie::end_with_spawner(&mut command);
    command.spawn()
}

/// Gives the text, takes the line; `None` at the deadline, an empty line when the other side closed without one.
fn converse(mut socket: UnixStream, text: &str, deadline: Instant) -> Option<String> {
    // The text goes out on a thread of its own: a runtime that does not read must not keep us from the deadline.
    let writer = socket.try_clone().ok()?;
    let text = text.to_owned();
    thread::spawn(move || {
        let mut writer = writer;
        // A runtime that ended early does not take it all; how it ended says more than EPIPE would.
        let _sent = writer.write_all(text.as_bytes());
        let _closed = writer.shutdown(Shutdown::Write);
    });
    let mut line = Vec::new();
    let mut buffer = [0; 16 << 10];
    while !line.ends_with(b"\n") {
        let left = deadline
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())?;
        socket.set_read_timeout(Some(left)).ok()?;
        match socket.read(&mut buffer) {
            Ok(0) => return Some(String::new()),
            Ok(count) => line.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_reset) => return Some(String::new()),
        }
    }
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Sees the process to its end. One that answered or closed its socket ends by itself, within the same deadline.
fn conclude(child: &mut Child, answer: Option<String>, deadline: Instant) -> Ended {
    let status = answer.as_ref().and_then(|_answer| wait_until(child, deadline));
    if status.is_none() {
        kill_group(child);
    }
    match (answer, status) {
        (Some(line), _) if !line.is_empty() => Ended::Answered(line),
        (Some(_), Some(status)) => Ended::Silent(status),
        (Some(_), None) | (None, _) => Ended::TimedOut,
    }
}

/// There is no waiting with a deadline in std; a look every few milliseconds, growing, is cheap and portable.
fn wait_until(child: &mut Child, deadline: Instant) -> Option<String> {
    let mut pause = Duration::from_millis(1);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.to_string()),
            Ok(None) if Instant::now() < deadline => thread::sleep(pause),
            Ok(None) | Err(_) => return None,
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn kill_group(child: &mut Child) {
    // The child leads its group and is not reaped yet, so the number can mean no other group.
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _gone = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    let _reaped = child.wait();
}

/// Reads to the end on a thread of its own, keeping the beginning.
fn drained(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let Some(mut stream) = stream else { return };
        let mut buffer = [0; 4096];
        let mut kept = 0;
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let count = count.min(KEPT - kept);
            kept += count;
            // Nobody listens any more once the evaluation is over; the pipe is drained all the same.
            let _heard = sender.send(buffer[..count].to_vec());
        }
    });
    receiver
}

fn collected(stream: &Receiver<Vec<u8>>) -> String {
    let until = Instant::now() + LINGER;
    let mut bytes = Vec::new();
    while let Ok(chunk) = stream.recv_timeout(until.saturating_duration_since(Instant::now())) {
        bytes.extend(chunk);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
