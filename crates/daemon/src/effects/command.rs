//! Looks at workers by command: `Effect::Probe` with `Check::Command`.
//!
//! The reactor decides whose turn it is and lets go of what was made; making a process (its environment files, its user, its program
//! are looked up) and ending what is left of it is done by threads that may wait, the rest by a task. So many commands run at once
//! and no more, and never two of the same probe of the same worker. A command leads a session of its own and carries
//! [`tree::COMMAND_MARKER`] in place of its worker's marker: it is no part of the app. When it has ended, or its time is over, all that it
//! has started is killed. What a killed daemon leaves of its commands is ended by its successor before that begins any.
//! See docs/design/0017.

mod make;
mod output;
mod run;

use super::probe::{Look, Looked};
use crate::fact::Fact;
use crate::reactor::{Daemon, now};
use crate::tree;
use make::{Made, Order};
use ostler_core::{AppId, Check, ProbeKind, ProbeResult, Turns, WorkerId};
use run::Running;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// So many commands run at once.
const AT_ONCE: usize = 16;
/// So many of one app.
const OF_ONE_APP: usize = 4;
/// How long an ending daemon waits for its last commands to be gone. They have been killed.
const LAST: Duration = Duration::from_millis(500);

/// A probe of a worker.
pub type Asked = (WorkerId, ProbeKind);

/// What tasks and threads have to tell of commands.
pub enum News {
    /// What a predecessor has left of its commands is ended.
    Swept,
    /// A process waits to be let go; or why there is none.
    Made(Asked, Result<Box<Made>, String>),
    /// What was found, after so long.
    Found(Asked, Result<(), String>, Duration),
    /// Its process is gone.
    Ended(Asked),
}

/// All commands.
#[derive(Debug)]
pub struct Commands {
    turns: Turns<Look>,
    begun: BTreeMap<Asked, Begun>,
    sweep: Sweep,
}

/// Whether what a predecessor has left is looked for. Who has no commands never asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sweep {
    NotBegun,
    UnderWay,
    Done,
}

/// A command whose turn has come.
#[derive(Debug)]
struct Begun {
    app: AppId,
    look: Look,
    /// Another may not have its place yet.
    counts: bool,
    process: Option<Process>,
    /// Nobody wants to know any more.
    cancelled: bool,
}

/// A command that was let go.
#[derive(Debug)]
struct Process {
    pid: i32,
    /// Gone when it is to end.
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Default for Commands {
    fn default() -> Self {
        Self {
            turns: Turns::new(AT_ONCE, OF_ONE_APP),
            begun: BTreeMap::new(),
            sweep: Sweep::NotBegun,
        }
    }
}

impl Commands {
    /// The processes of commands, which nobody else is to reap.
    pub fn pids(&self) -> impl Iterator<Item = i32> {
        self.begun
            .values()
            .filter_map(|begun| begun.process.as_ref())
            .map(|process| process.pid)
    }

    /// It has its turn no more.
    fn give_place(&mut self, asked: Asked) {
        if let Some(begun) = self.begun.get_mut(&asked)
            && std::mem::replace(&mut begun.counts, false)
        {
            self.turns.over(begun.app);
        }
    }
}

impl Daemon {
    /// A look by command is due.
    pub(crate) fn look_by_command(&mut self, look: Look) {
        let asked = look.asked();
        let Some(app) = self.workers.get(&asked.0).map(|record| record.launch.app) else {
            return;
        };
        if self.commands.begun.contains_key(&asked) {
            // The kernel keeps what waits for a device, killed or not.
            let why = "was killed when its time was over, and has not ended since".to_owned();
            return self.found_by_command(&look, Err(why), Duration::ZERO);
        }
        self.commands.turns.wait(app, look);
        self.begin_commands();
    }

    /// Begins those whose turn it is.
    fn begin_commands(&mut self) {
        if !self.predecessors_are_swept() {
            return;
        }
        while let Some((app, look)) = self.commands.turns.begin() {
            let Some(order) = self.order(&look) else {
                self.commands.turns.over(app);
                continue;
            };
            let asked = look.asked();
            let begun = Begun {
                app,
                look,
                counts: true,
                process: None,
                cancelled: false,
            };
            self.commands.begun.insert(asked, begun);
            let facts = self.facts.clone();
            tokio::task::spawn_blocking(move || {
                let _ = facts.send(Fact::Command(News::Made(asked, order.make().map(Box::new))));
            });
        }
    }

    fn predecessors_are_swept(&mut self) -> bool {
        if self.commands.sweep == Sweep::NotBegun {
            self.commands.sweep = Sweep::UnderWay;
            let (facts, home) = (self.facts.clone(), self.home_text.clone());
            tokio::task::spawn_blocking(move || {
                let left = run::end_all(|| tree::commands(&home));
                if !left.is_empty() {
                    let text = format!("processes of an earlier daemon's probes could not be ended: {left:?}");
                    let _ = facts.send(Fact::Note(text));
                }
                let _ = facts.send(Fact::Command(News::Swept));
            });
        }
        self.commands.sweep == Sweep::Done
    }

    /// What is to be run; nothing if its worker has ended.
    fn order(&self, look: &Look) -> Option<Order> {
        let Check::Command { program, arguments } = &look.check else {
            return None;
        };
        let (worker, kind) = look.asked();
        let record = self.workers.get(&worker).filter(|record| record.status.is_none())?;
        let place = record.place.as_ref().or(record.launch.place.as_ref());
        let cwd = place.map_or(&record.launch.spec.program.cwd, |place| &place.cwd);
        Some(Order {
            program: program.clone(),
            arguments: arguments.clone(),
            cwd: cwd.clone(),
            launch: record.launch.clone(),
            pid: record.pid,
            home: self.home.clone(),
            marker: tree::command_marker(worker, kind, &self.home_text),
            open_files: self.open_files,
        })
    }

    /// Takes in what is told of commands.
    pub(crate) fn hear_of_command(&mut self, news: News) {
        match news {
            News::Swept => self.commands.sweep = Sweep::Done,
            News::Made(asked, Ok(made)) => self.let_go_of(asked, *made),
            News::Made(asked, Err(why)) => {
                self.command_found(asked, Err(why), Duration::ZERO);
                self.commands.begun.remove(&asked);
            }
            News::Found(asked, result, took) => self.command_found(asked, result, took),
            News::Ended(asked) => {
                self.commands.give_place(asked);
                self.commands.begun.remove(&asked);
            }
        }
        self.begin_commands();
    }

    fn let_go_of(&mut self, asked: Asked, made: Made) {
        let known: BTreeSet<i32> = self.workers.values().map(|record| record.pid.0).collect();
        let own_pid = self.own_pid;
        let Some(begun) = self.commands.begun.get_mut(&asked).filter(|begun| !begun.cancelled) else {
            // It is ended unrun, which may take a moment.
            tokio::task::spawn_blocking(move || drop(made));
            self.commands.give_place(asked);
            self.commands.begun.remove(&asked);
            return;
        };
        let pid = made.pid();
        let until = Instant::now() + begun.look.timeout;
        let (stop, stopped) = oneshot::channel();
        match Running::release(made, asked, own_pid, Arc::new(known)) {
            Ok(running) => {
                let task = tokio::spawn(running.run(begun.look.timeout, until, stopped, self.facts.clone()));
                begun.process = Some(Process {
                    pid,
                    stop: Some(stop),
                    task,
                });
            }
            Err(error) => {
                let why = format!("its process could not be let go: {error}");
                self.command_found(asked, Err(why), Duration::ZERO);
                self.commands.begun.remove(&asked);
            }
        }
    }

    /// Another may have its place now.
    fn command_found(&mut self, asked: Asked, result: Result<(), String>, took: Duration) {
        self.commands.give_place(asked);
        let Some(begun) = self.commands.begun.get(&asked).filter(|begun| !begun.cancelled) else {
            return;
        };
        let look = begun.look.clone();
        self.found_by_command(&look, result, took);
    }

    fn found_by_command(&mut self, look: &Look, result: Result<(), String>, took: Duration) {
        let result = match result {
            Ok(()) => ProbeResult::Passed,
            Err(why) => ProbeResult::Failed {
                why: format!("{}: {why}", look.check),
                hung: false,
            },
        };
        let looked = Looked {
            look: look.clone(),
            begun: now().instant - took,
            took,
            result,
        };
        self.looked(looked);
    }

    /// A worker has ended: what looks at it ends too.
    pub(crate) fn cancel_commands(&mut self, worker: WorkerId) {
        let of_worker = |(asked, begun): (&Asked, _)| (asked.0 == worker).then_some(begun);
        for begun in self.commands.begun.iter_mut().filter_map(of_worker) {
            let begun: &mut Begun = begun;
            begun.cancelled = true;
            if let Some(process) = &mut begun.process {
                process.stop = None;
            }
        }
    }

    /// The daemon ends: so does every command.
    pub(crate) async fn end_commands(&mut self) {
        let until = Instant::now() + LAST;
        for (_, begun) in std::mem::take(&mut self.commands.begun) {
            if let Some(Process { stop, task, .. }) = begun.process {
                drop(stop);
                let _ = tokio::time::timeout_at(until, task).await;
            }
        }
    }
}
