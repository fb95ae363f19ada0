//! `Effect::ObserveStart`: is a worker that was just launched up?
//!
//! A program that is executed directly counts as up once it has come to rest: asleep, and without having used the processor for
//! a few milliseconds. A program with a run time to boot (Node, Python, a shell) may rest at any moment of its start, so it has to show more: a
//! listening socket. Either way, whoever lives for `min_uptime` is up; that is the machine's own deadline.

use crate::fact::Fact;
use crate::reactor::Daemon;
use crate::tree;
use ostler_core::{Event, Interpreter, WorkerId};
use ostler_sys::Pid;
use ostler_sys::proc::{self, Stat, State};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// How long a program must have rested to count as up. What cannot start says so and exits in less; who waits for longer
/// waits for somebody else.
const REST: Duration = Duration::from_millis(4);
/// How often starting workers are looked at: as often as costs next to nothing, since who started them waits for the answer.
const LOOKS: RangeInclusive<Duration> = Duration::from_millis(2)..=Duration::from_millis(6);
/// The time between two looks for each that is looked at: a hundred times what a look takes.
const EACH: Duration = Duration::from_micros(500);
/// How often to look for a listening socket: it costs a read of the system's socket tables.
const LISTENING_EVERY: Duration = Duration::from_millis(42);

/// Workers under observation.
#[derive(Debug, Default)]
pub struct Starts {
    observed: BTreeMap<WorkerId, Observed>,
    ticking: bool,
}

#[derive(Debug)]
struct Observed {
    pid: Pid,
    direct: bool,
    /// The processor time it had used at the last look, ns.
    cpu: u64,
    /// Since when that has been so, or since when nobody has looked for its socket.
    since: Instant,
}

impl Daemon {
    /// Begins to observe.
    pub(crate) fn observe_start(&mut self, worker: WorkerId) {
        let Some(record) = self.workers.get(&worker) else {
            return;
        };
        let Some(pid) = Pid::from_raw(record.pid.0) else { return };
        let direct = record.launch.spec.program.interpreter == Interpreter::None
            && !runs_a_script(&record.launch.spec.program.path);
        let observed = Observed {
            pid,
            direct,
            cpu: proc::cpu_nanos(pid).ok().flatten().unwrap_or(u64::MAX),
            since: Instant::now(),
        };
        self.starts.observed.insert(worker, observed);
        self.tick_starts();
    }

    /// Looks at each once.
    pub(crate) fn look_at_starts(&mut self) {
        self.starts.ticking = false;
        let now = Instant::now();
        let mut settled = Vec::new();
        self.starts
            .observed
            .retain(|worker, observed| match observed.look(now) {
                Look::Up => {
                    settled.push(*worker);
                    false
                }
                Look::NotYet => true,
                Look::Gone => false,
            });
        for worker in settled {
            self.send(Fact::Machine(Event::Settled { worker }));
        }
        if !self.starts.observed.is_empty() && self.operations.are_awaited() && !self.usages.are_fresh() {
            // Who starts something asks for the list next, and while programs come up there is time to look at `/proc`.
            self.sample_usages();
        }
        self.tick_starts();
    }

    /// The machine's deadline may have decided meanwhile; then nobody needs to look any longer.
    pub(crate) fn stop_observing(&mut self, worker: WorkerId) {
        self.starts.observed.remove(&worker);
    }

    fn tick_starts(&mut self) {
        if self.starts.ticking || self.starts.observed.is_empty() {
            return;
        }
        self.starts.ticking = true;
        let facts = self.facts.clone();
        let count = u32::try_from(self.starts.observed.len()).unwrap_or(u32::MAX);
        let pause = EACH.saturating_mul(count).clamp(*LOOKS.start(), *LOOKS.end());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = facts.send(Fact::ObserveStarts);
        });
    }
}

enum Look {
    Up,
    NotYet,
    Gone,
}

impl Observed {
    fn look(&mut self, now: Instant) -> Look {
        if self.direct {
            self.look_for_rest(now)
        } else if now - self.since < LISTENING_EVERY {
            Look::NotYet
        } else {
            self.since = now;
            self.look_for_socket()
        }
    }

    fn look_for_rest(&mut self, now: Instant) -> Look {
        let Ok(Some(cpu)) = proc::cpu_nanos(self.pid) else {
            return Look::Gone;
        };
        if std::mem::replace(&mut self.cpu, cpu) != cpu {
            self.since = now;
        }
        if now - self.since < REST {
            return Look::NotYet;
        }
        // It may also be waiting for its turn, or for the disk.
        match Stat::read(self.pid) {
            Ok(Some(stat)) if stat.state == State::Sleeping => Look::Up,
            Ok(Some(_)) => Look::NotYet,
            Ok(None) | Err(_) => Look::Gone,
        }
    }

    fn look_for_socket(&self) -> Look {
        let below = tree::below(self.pid.as_raw_nonzero().get())
            .into_iter()
            .filter_map(Pid::from_raw);
        let listens = std::iter::once(self.pid)
            .chain(below)
            .any(|pid| proc::listens(pid).unwrap_or(false));
        if listens { Look::Up } else { Look::NotYet }
    }
}

/// Whether a file that is executed directly begins with `#!` (execve(2)).
fn runs_a_script(path: &str) -> bool {
    use std::io::Read;
    let mut start = [0; 2];
    std::fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok() && &start == b"#!")
}
