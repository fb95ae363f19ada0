//! `Effect::ObserveStart`: is a worker that was just launched up?
//!
//! A program that is executed directly counts as up once it has come to rest: asleep, and without having used the processor for
//! a few milliseconds. A program with a run time to boot (Node, Python, a shell) may rest at any moment of its start, so it has to show more: a
//! listening socket. Either way, whoever lives for `min_uptime` is up; that is the machine's own deadline.
//!
//! Who inherits its sockets has them listening before it has done anything. It has to wait on one of them: by `epoll` or `accept`,
//! which shows (then it *listens*), or in some way that does not: by `select` or `poll`, or resting for a while with all it has started.

use crate::reactor::Daemon;
use crate::tree;
use ostler_core::{Event, Interpreter, WorkerId};
use ostler_sys::Pid;
use ostler_sys::proc::{self, ListeningSockets, Stat, State, Waiting};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a program must have rested to count as up. What cannot start says so and exits in less; who waits for longer
/// waits for somebody else.
const REST: Duration = Duration::from_millis(2);
/// When it is looked at first: most have loaded what they need by then, and begin to rest.
const FIRST_LOOK: Duration = Duration::from_millis(1);
/// When it is looked at again as long as it has not come to rest.
const NEXT_LOOK: Duration = Duration::from_millis(1);
/// How much longer it is until the next look for each that is observed: five times what a look takes.
const EACH: Duration = Duration::from_micros(40);
/// How often to look for a listening socket.
const LISTENING_EVERY: Duration = Duration::from_millis(10);
/// As [`EACH`]: a link is read for each descriptor of each process.
const EACH_LISTENING: Duration = Duration::from_micros(200);
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
    /// When somebody is to be looked at next.
    next: Option<Instant>,
}

impl Starts {
    /// When somebody is to be looked at next.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether somebody is to be looked at now.
    pub fn are_due(&self) -> bool {
        self.next.is_some_and(|next| next <= Instant::now())
    }
}

#[derive(Debug)]
struct Observed {
    pid: Pid,
    direct: bool,
    /// Until when it is looked at: the machine has decided by then, and many a program never listens or never rests.
    until: Instant,
    /// When it is looked at next.
    next: Instant,
    /// It has been looked at.
    seen: bool,
    /// The processor time it had used at the last look, ns; none as long as it has not been seen to rest.
    cpu: Option<u64>,
    /// Since when that has been so, as far as is known.
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
        let now = Instant::now();
        let mut observed = Observed {
            pid,
            direct,
            cpu: None,
            since: now,
            until: now + patience,
            next: now,
            seen: false,
            waiter,
        };
        observed.next = now
            + match observed.shows_by_resting() {
                true => FIRST_LOOK,
                false => LISTENING_EVERY,
            };
        self.starts.next = self.starts.next.into_iter().chain([observed.next]).min();
        self.starts.observed.insert(worker, observed);
    }

    /// Looks at each whose time has come.
    pub(crate) fn look_at_starts(&mut self) {
        let now = Instant::now();
        let count = u32::try_from(self.starts.observed.len()).unwrap_or(u32::MAX);
        let (listening, mut seen) = (ListeningSockets::default(), Vec::new());
        self.starts.observed.retain(|&worker, observed| {
            if now < observed.next {
                return true;
            }
            observed.seen = true;
            let look = observed.look(&listening, now);
            observed.next = now + observed.pause(count);
            match look {
                Look::NotYet => now < observed.until,
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
                Look::Gone => false,
            }
        });
        self.starts.next = self.starts.observed.values().map(|observed| observed.next).min();
        for event in seen {
            self.tell(event);
        }
    }

    /// Takes a sample for the list, which who starts something asks for next, while there is nothing to do but to see that all rest.
    pub(crate) fn sample_while_waiting(&mut self) {
        let mut observed = self.starts.observed.values().peekable();
        let waits = observed.peek().is_some() && observed.all(|observed| observed.seen && observed.shows_by_resting());
        let all_run = || !self.workers.values().any(|record| record.launching);
        if waits && self.operations.are_awaited() && !self.usages.are_fresh() && all_run() {
            self.sample_usages();
        }
    }

    /// It has ended.
    pub(crate) fn stop_observing(&mut self, worker: WorkerId) {
        self.starts.observed.remove(&worker);
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
    /// How long it is from one look to the next, where so many are observed.
    fn pause(&self, count: u32) -> Duration {
        let (least, each) = match (self.shows_by_resting(), self.cpu) {
            (true, None) => (NEXT_LOOK, EACH),
            (true, Some(_)) => (REST, EACH),
            (false, _) => (LISTENING_EVERY, EACH_LISTENING),
        };
        least.max(each.saturating_mul(count))
    }

    fn shows_by_resting(&self) -> bool {
        self.direct && self.waiter.is_none()
    }

    fn look(&mut self, listening: &ListeningSockets, now: Instant) -> Look {
        if self.shows_by_resting() {
            self.look_for_rest(now)
        } else {
            self.look_for_waiting(listening, now)
        }
    }

    fn look_for_rest(&mut self, now: Instant) -> Look {
        let Ok(Some(cpu)) = proc::cpu_nanos(self.pid) else {
            return Look::Gone;
        };
        if self.cpu == Some(cpu) {
            return if now - self.since < REST {
                Look::NotYet
            } else {
                Look::Up
            };
        }
        // Who uses no processor may also be waiting for his turn, or for the disk: it has to have been asleep when it was looked at before.
        self.since = now;
        self.cpu = match Stat::read(self.pid) {
            Ok(Some(stat)) if stat.state == State::Sleeping => Some(cpu),
            Ok(Some(_)) => None,
            Ok(None) | Err(_) => return Look::Gone,
        };
        Look::NotYet
    }

    fn look_for_waiting(&mut self, listening: &ListeningSockets, now: Instant) -> Look {
        let tree = self.tree();
        match &mut self.waiter {
            Some(waiter) => waiter.look(&tree, &mut self.cpu, now),
            None => self.look_for_socket(listening),
        }
    }

    fn tree(&self) -> Vec<Pid> {
        let below = tree::below(self.pid.as_raw_nonzero().get());
        let below = below.into_iter().filter_map(Pid::from_raw);
        std::iter::once(self.pid).chain(below).collect()
    }

    fn look_for_socket(&self, listening: &ListeningSockets) -> Look {
        let listens = |pid: Pid| listening.are_held_by(pid).unwrap_or(false);
        if self.tree().into_iter().any(listens) {
            Look::Up
        } else {
            Look::NotYet
        }
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

    fn look(&mut self, tree: &[Pid], cpu: &mut Option<u64>, now: Instant) -> Look {
        let waits = |pid: &Pid| proc::waits_on(*pid, &self.sockets).unwrap_or(Waiting::No);
        match tree.iter().map(waits).max() {
            Some(Waiting::Yes) => return Look::Listens,
            Some(Waiting::Perhaps) => self.waited += 1,
            Some(Waiting::No) | None => {}
        }
        let used = tree.iter().filter_map(|pid| proc::cpu_nanos(*pid).ok().flatten());
        let used: u64 = used.fold(0, u64::saturating_add);
        if cpu.replace(used) != Some(used) || !tree.iter().all(is_asleep) {
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
