//! `Effect::ObserveStart`: is a worker that was just launched up?
//!
//! A program that is executed directly counts as up once it has come to rest: asleep, and without having used the processor for
//! a few milliseconds. A program with a run time to boot (Node, Python, a shell) may rest at any moment of its start, so it has to show more: a
//! listening socket. Either way, whoever lives for `min_uptime` is up; that is the machine's own deadline.
//!
//! Who inherits its sockets has them listening before it has done anything. It has to wait on one of them: by `epoll` or `accept`,
//! which shows (then it *listens*), or in some way that does not: by `select` or `poll`, or resting for a while with all it has started.

use crate::fact::Fact;
use crate::reactor::Daemon;
use crate::tree;
use ostler_core::{Event, Interpreter, WorkerId};
use ostler_sys::Pid;
use ostler_sys::proc::{self, Stat, State, Waiting};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// How long a program must have rested to count as up. What cannot start says so and exits in less; who waits for longer
/// waits for somebody else.
const REST: Duration = Duration::from_millis(4);
/// How often starting workers are looked at: as often as costs next to nothing, since who started them waits for the answer.
const LOOKS: RangeInclusive<Duration> = Duration::from_millis(2)..=REST;
/// The time between two looks for each that is looked at: a hundred times what a look takes.
const EACH: Duration = Duration::from_micros(500);
/// How often to look for a listening socket: it costs a read of the system's socket tables.
const LISTENING_EVERY: Duration = Duration::from_millis(42);
/// How long who inherits its sockets must rest, where it does not show that it waits on them.
const LONG_REST: Duration = Duration::from_millis(200);
/// Or how often it must be seen to wait for something: under load it never rests for so long.
const OFTEN: u32 = 3;
/// For how long it is looked at where it inherits its sockets: who takes them late is no worse a program.
const PATIENCE: Duration = Duration::from_secs(60);

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
    /// Until when it is looked at: the machine has decided by then, and many a program never listens or never rests.
    until: Instant,
    /// The processor time it had used at the last look, ns.
    cpu: u64,
    /// Since when that has been so, or since when nobody has looked for its socket.
    since: Instant,
    /// Absent unless it inherits its sockets.
    waiter: Option<Waiter>,
}

/// One that has to wait on sockets it has inherited.
#[derive(Debug)]
struct Waiter {
    sockets: BTreeSet<u64>,
    /// Since when it and what it has started have used no processor time, as far as is known.
    rests_since: Instant,
    /// How often it was seen to wait for something that does not show.
    waited: u32,
    /// It has been told of that it rests.
    settled: bool,
}

impl Daemon {
    /// Begins to observe.
    pub(crate) fn observe_start(&mut self, worker: WorkerId) {
        let Some(record) = self.workers.get(&worker) else {
            return;
        };
        let Some(pid) = Pid::from_raw(record.pid.0) else { return };
        let spec = &record.launch.spec;
        let waiter = Waiter::of(self.inodes(&record.launch));
        let patience = match waiter {
            Some(_) => PATIENCE,
            None => spec.restart.min_uptime.max(spec.ready.listen_timeout),
        };
        let direct = record.launch.spec.program.interpreter == Interpreter::None
            && !runs_a_script(&record.launch.spec.program.path);
        let observed = Observed {
            pid,
            direct,
            cpu: proc::cpu_nanos(pid).ok().flatten().unwrap_or(u64::MAX),
            since: Instant::now(),
            until: Instant::now() + patience,
            waiter,
        };
        self.starts.observed.insert(worker, observed);
        self.tick_starts();
    }

    /// Looks at each once.
    pub(crate) fn look_at_starts(&mut self) {
        self.starts.ticking = false;
        let now = Instant::now();
        let mut seen = Vec::new();
        self.starts
            .observed
            .retain(|&worker, observed| match observed.look(now) {
                Look::NotYet if now >= observed.until => false,
                Look::Up => {
                    seen.push(Event::Settled { worker });
                    false
                }
                Look::Listens => {
                    let missing = Vec::new();
                    seen.push(Event::Listening { worker, missing });
                    false
                }
                Look::Rests => {
                    seen.push(Event::Settled { worker });
                    true
                }
                Look::NotYet => true,
                Look::Gone => false,
            });
        for event in seen {
            self.send(Fact::Machine(event));
        }
        if self.operations.are_awaited() && !self.usages.are_fresh() {
            // Who starts something asks for the list next. Not at once: he is to be answered first.
            let facts = self.facts.clone();
            tokio::spawn(async move { facts.send(Fact::SampleUsages) });
        }
        self.tick_starts();
    }

    /// It has ended.
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
    /// It takes what comes in on what it has inherited.
    Listens,
    /// It rests, and may be seen to listen yet.
    Rests,
    NotYet,
    Gone,
}

impl Observed {
    fn look(&mut self, now: Instant) -> Look {
        if self.direct && self.waiter.is_none() {
            self.look_for_rest(now)
        } else if now - self.since < LISTENING_EVERY {
            Look::NotYet
        } else {
            self.since = now;
            self.look_for_waiting(now)
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

    fn look_for_waiting(&mut self, now: Instant) -> Look {
        let tree = self.tree();
        match &mut self.waiter {
            Some(waiter) => waiter.look(&tree, &mut self.cpu, now),
            None => self.look_for_socket(),
        }
    }

    fn tree(&self) -> Vec<Pid> {
        let below = tree::below(self.pid.as_raw_nonzero().get());
        let below = below.into_iter().filter_map(Pid::from_raw);
        std::iter::once(self.pid).chain(below).collect()
    }

    fn look_for_socket(&self) -> Look {
        let listens = self.tree().into_iter().any(|pid| proc::listens(pid).unwrap_or(false));
        if listens { Look::Up } else { Look::NotYet }
    }
}

impl Waiter {
    fn of(sockets: BTreeSet<u64>) -> Option<Self> {
        let now = Instant::now();
        (!sockets.is_empty()).then_some(Self {
            sockets,
            rests_since: now,
            waited: 0,
            settled: false,
        })
    }

    fn look(&mut self, tree: &[Pid], cpu: &mut u64, now: Instant) -> Look {
        let waits = |pid: &Pid| proc::waits_on(*pid, &self.sockets).unwrap_or(Waiting::No);
        match tree.iter().map(waits).max() {
            Some(Waiting::Yes) => return Look::Listens,
            Some(Waiting::Perhaps) => self.waited += 1,
            Some(Waiting::No) | None => {}
        }
        let used = tree.iter().filter_map(|pid| proc::cpu_nanos(*pid).ok().flatten());
        let used: u64 = used.fold(0, u64::saturating_add);
        if std::mem::replace(cpu, used) != used || !tree.iter().all(is_asleep) {
            self.rests_since = now;
        }
        let rests = self.waited >= OFTEN || now - self.rests_since >= LONG_REST;
        if rests && !self.settled {
            self.settled = true;
            return Look::Rests;
        }
        Look::NotYet
    }
}

/// Who waits for his turn, or for the disk, is not.
fn is_asleep(pid: &Pid) -> bool {
    let state = Stat::read(*pid).ok().flatten().map(|stat| stat.state);
    matches!(state, Some(State::Sleeping | State::Zombie) | None)
}

/// Whether a file that is executed directly begins with `#!` (execve(2)).
fn runs_a_script(path: &str) -> bool {
    use std::io::Read;
    let mut start = [0; 2];
    std::fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok() && &start == b"#!")
}
