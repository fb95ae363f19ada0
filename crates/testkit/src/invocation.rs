//! One run of the command line, bounded in time, its output taken.

use crate::process;
use crate::wait::wait_within;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long one command may take unless the test says otherwise.
const LIMIT: Duration = Duration::from_secs(60);

/// How long the pipes of an ended command may stay open.
const CLOSING: Duration = Duration::from_secs(5);

/// A command about to be run.
#[derive(Debug)]
pub struct Invocation {
    command: Command,
    input: Option<Vec<u8>>,
    limit: Duration,
}

/// What a command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// What was run, for messages.
    pub command: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// How long it took.
    pub took: Duration,
}

/// A command that runs. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    since: Instant,
    stdout: Pipe,
    stderr: Pipe,
}

/// What has come through one pipe so far, read by a thread of its own.
#[derive(Debug)]
struct Pipe {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Invocation {
    /// Wraps a prepared command.
    pub(crate) fn new(command: Command) -> Self {
        Self {
            command,
            input: None,
            limit: LIMIT,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn within(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Gives it something to read on standard input.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Sets how long it may take; one minute unless set.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When the program cannot be executed.
    pub fn spawn(mut self) -> Running {
        let name = self.name();
        self.command.stdin(if self.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let since = Instant::now();
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        if let (Some(bytes), Some(mut stdin)) = (self.input, child.stdin.take()) {
            // A command that does not read its input closes the pipe: its output will tell.
            std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        }
        let stdout = Pipe::of(child.stdout.take().expect("invariant: stdout is piped"));
        let stderr = Pipe::of(child.stderr.take().expect("invariant: stderr is piped"));
        Running {
            name,
            child,
            since,
            stdout,
            stderr,
        }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it takes too long, or when its output stays open after it ended because something it started holds it.
    pub fn run(self) -> Output {
        let limit = self.limit;
        self.spawn().wait(limit)
    }

    /// Runs it to its end, which has to be a good one.
    ///
    /// # Panics
    /// When the exit code is not 0, and as [`run`](Self::run).
    pub fn ok(self) -> Output {
        let output = self.run();
        assert!(output.code == Some(0), "a good end was expected of {output}");
        output
    }

    /// Runs it to its end, which has to be exit code 1.
    ///
    /// # Panics
    /// When the exit code is another one, and as [`run`](Self::run).
    pub fn fails(self) -> Output {
        let output = self.run();
        assert!(output.code == Some(1), "exit code 1 was expected of {output}");
        output
    }

    /// The command itself.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    fn name(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("invariant: a process id fits")
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// See [`Invocation::run`].
    pub fn wait(mut self, limit: Duration) -> Output {
        // By its pidfd, not by looking again and again: what is measured takes a few milliseconds.
        process::wait_end(self.pid(), limit);
        let took = self.since.elapsed();
        let ended = self.child.try_wait();
        let Some(status) = ended.expect("invariant: our own child can be waited for") else {
            panic!(
                "{} took longer than {limit:?}; so far:\n{}{}",
                self.name,
                self.stdout(),
                self.stderr()
            );
        };
        let closed = wait_within(CLOSING, || {
            (self.stdout.is_closed() && self.stderr.is_closed()).then_some(())
        });
        assert!(
            closed.is_ok(),
            "{} ended, but a process it started still holds its output",
            self.name
        );
        Output {
            command: self.name.clone(),
            stdout: self.stdout(),
            stderr: self.stderr(),
            code: status.code(),
            took,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            process::kill(self.pid());
            drop(self.child.wait());
        }
    }
}

impl Pipe {
    fn of(mut source: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut chunk = vec![0; 65536];
            while let Ok(count @ 1..) = source.read(&mut chunk) {
                sink.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&chunk[..count]);
            }
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn is_closed(&self) -> bool {
        self.reader.is_finished()
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            stdout,
            stderr,
            code,
            took,
        } = self;
        write!(
            f,
            "`{command}` (exit code {code:?} after {took:?})\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}
