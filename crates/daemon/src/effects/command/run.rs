//! A command that runs: until it ends or its time is over, and then nothing of it is left.

use super::output::Tail;
use super::{Asked, Made, News};
use crate::effects::signal::signal_held;
use crate::fact::Fact;
use crate::readiness::readable;
use crate::tree;
use ostler_config::signal;
use ostler_sys::proc::Stat;
use ostler_sys::resolve::{Attempt, explain};
use ostler_sys::spawn::{ExecOutcome, Released};
use ostler_sys::{ExitStatus, Pid, pidfd};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

const KILL: i32 = rustix::process::Signal::KILL.as_raw();
/// How long what was killed may take to be gone.
const DYING: Duration = Duration::from_secs(1);
/// How long one of them is waited for before all are looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How much is read at once.
const PIECE: usize = 16 * 1024;
/// So much a command may say at once. Who says more waits after each piece: it would have the daemon do nothing but read.
const FREELY: usize = 256 * 1024;
/// How long.
const PAUSE: Duration = Duration::from_millis(5);

/// A command that was let go.
pub struct Running {
    asked: Asked,
    released: Released,
    ended: AsyncFd<Arc<OwnedFd>>,
    output: Receiver,
    tree: Tree,
    executable: std::path::PathBuf,
    order: super::Order,
}

/// By which all that belongs to a command is found.
#[derive(Clone)]
struct Tree {
    pid: i32,
    held: Arc<OwnedFd>,
    marker: String,
    own_pid: i32,
    /// Children of ours that are none of it.
    known: Arc<BTreeSet<i32>>,
}

/// Why it is not waited for any longer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Itself,
    Overdue,
    Stopped,
}

impl Running {
    /// Lets it go.
    pub(super) fn release(made: Made, asked: Asked, own_pid: i32, known: Arc<BTreeSet<i32>>) -> io::Result<Self> {
        let pid = made.pid();
        let Made {
            held,
            output,
            executable,
            order,
        } = made;
        let output = Receiver::from_owned_fd(output)?;
        let pidfd = Arc::new(held.pidfd().try_clone_to_owned()?);
        let ended = readable(Arc::clone(&pidfd))?;
        let tree = Tree {
            pid,
            held: pidfd,
            marker: order.marker.clone(),
            own_pid,
            known,
        };
        Ok(Self {
            asked,
            released: held.release()?,
            ended,
            output,
            tree,
            executable,
            order,
        })
    }

    /// Waits for it, ends what is left, and tells what was found.
    pub(super) async fn run(
        mut self,
        timeout: Duration,
        until: Instant,
        stopped: oneshot::Receiver<()>,
        facts: UnboundedSender<Fact>,
    ) {
        let begun = Instant::now();
        let mut tail = Tail::default();
        let end = self.wait(until, stopped, &mut tail).await;
        let took = begun.elapsed();
        self.end_tree(&facts).await;
        self.read_rest(&mut tail);
        let tell = |news: News| {
            let _ = facts.send(Fact::Command(news));
        };
        match end {
            End::Itself => tell(News::Found(self.asked, self.verdict(&tail), took)),
            End::Overdue => tell(News::Found(self.asked, Err(overdue(timeout, &tail)), took)),
            End::Stopped => {}
        }
        // At once, but for what not even SIGKILL ends yet.
        let _ = self.ended.readable().await;
        let _ = pidfd::wait(self.ended.get_ref());
        tell(News::Ended(self.asked));
    }

    async fn wait(&mut self, until: Instant, mut stopped: oneshot::Receiver<()>, tail: &mut Tail) -> End {
        let (mut said, mut speaks, mut next) = (0, true, Instant::now());
        let mut piece = vec![0; PIECE];
        loop {
            let output = &self.output;
            let heard = async {
                sleep_until(next).await;
                output.readable().await
            };
            tokio::select! {
                biased;
                _ = &mut stopped => return End::Stopped,
                _ = self.ended.readable() => return End::Itself,
                () = sleep_until(until) => return End::Overdue,
                ready = heard, if speaks => match ready.and_then(|()| output.try_read(&mut piece)) {
                    Ok(0) => speaks = false,
                    Ok(length) => {
                        tail.add(&piece[..length]);
                        said += length;
                        if said > FREELY {
                            next = Instant::now() + PAUSE;
                        }
                    }
                    Err(error) => speaks = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
                }
            }
        }
    }

    /// What is in the pipe now that nobody writes any more: no more than a pipe takes.
    fn read_rest(&self, tail: &mut Tail) {
        let mut piece = [0; PIECE];
        for _ in 0..FREELY / PIECE {
            match self.output.try_read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(length) => tail.add(&piece[..length]),
            }
        }
    }

    /// Kills what is left of it, and waits until that is gone.
    async fn end_tree(&self, facts: &UnboundedSender<Fact>) {
        let tree = self.tree.clone();
        let ended = tokio::task::spawn_blocking(move || end_all(|| tree.members()));
        let left = ended.await.unwrap_or_default();
        if !left.is_empty() {
            let text = format!("processes of `{}` could not be ended: {left:?}", self.order.marker);
            let _ = facts.send(Fact::Note(text));
        }
    }

    /// What it says by its end.
    fn verdict(&mut self, tail: &Tail) -> Result<(), String> {
        if let Ok(ExecOutcome::Failed(error)) = self.released.outcome.read() {
            let user = self.order.launch.spec.user.as_ref().map(|user| user.user.as_str());
            let attempt = Attempt {
                program: &self.executable,
                cwd: self.order.cwd.as_ref(),
                user,
            };
            return Err(explain(&error, attempt).message);
        }
        let how = match pidfd::peek(&self.released.pidfd) {
            Ok(Some(ExitStatus::Code(0))) => return Ok(()),
            Ok(Some(ExitStatus::Code(code))) => format!("exit code {code}"),
            Ok(Some(ExitStatus::Signal { signal, .. })) => signal::name(signal).map_or_else(
                || format!("ended by signal {signal}"),
                |name| format!("ended by {name}"),
            ),
            Ok(None) => "nobody knows how it ended".to_owned(),
            Err(error) => format!("waitid: {error}"),
        };
        Err(match tail.last_line() {
            Some(line) => format!("{line} ({how})"),
            None => how,
        })
    }
}

fn overdue(timeout: Duration, tail: &Tail) -> String {
    match tail.last_line() {
        Some(line) => format!("took longer than {timeout:?}, after: {line}"),
        None => format!("took longer than {timeout:?}"),
    }
}

impl Tree {
    /// As long as its process is not reaped nobody else has its number, and that is done when all is gone. One that could not run anything
    /// may have been taken for an orphan before it was known; it has started nothing.
    fn members(&self) -> Vec<i32> {
        let is_there = pidfd::signal(&self.held, 0).unwrap_or(false);
        if !is_there {
            return Vec::new();
        }
        tree::of_command(self.pid, &self.marker, self.own_pid, &self.known)
    }
}

/// Kills what is found until nothing is. Who is left when patience is at its end.
pub(super) fn end_all(find: impl Fn() -> Vec<i32>) -> Vec<i32> {
    let until = std::time::Instant::now() + DYING;
    loop {
        let living = find();
        if living.is_empty() || std::time::Instant::now() >= until {
            return living;
        }
        for pid in &living {
            signal_held(*pid, KILL);
        }
        let held = living.last().and_then(|pid| {
            let stat = Stat::read(Pid::from_raw(*pid)?).ok()??;
            pidfd::open(stat.pid, stat.start_time).ok()?
        });
        if let Some(held) = held {
            let _ = pidfd::wait_for_exit(&held, LOOK_AGAIN);
        }
    }
}
