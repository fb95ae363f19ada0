//! What workers use: processor and memory of the whole tree, from one look at `/proc` for all of them.
//!
//! Nothing is sampled while nobody asks. A sample serves everybody who asks within [`FRESH`]; processor percentages are over
//! the time since the sample before (the process's whole life at first), as PM2 has it.

use ostler_core::WorkerId;
use ostler_sys::Pid;
use ostler_sys::proc::{ProcessTable, Stat};
use ostler_wire::control::Usage;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

/// How long a sample is good enough to be shown.
const FRESH: Duration = Duration::from_secs(1);

/// Every so many samples all processes are looked at, also those that were found to be strangers: a process that has got the id of one
/// since then is missed for so long at most.
const THOROUGH: u32 = 10;

/// The last sample.
#[derive(Debug, Default)]
pub struct Usages {
    taken: Option<Instant>,
    last: BTreeMap<WorkerId, Sample>,
    strangers: Strangers,
}

/// Processes that belong to none of the workers. None of them ever will, as long as the workers are the same: who a process belongs to is
/// settled when it begins. Most of a machine's processes are some, and need not be looked at again.
#[derive(Debug, Default)]
struct Strangers {
    /// In order.
    known: Vec<i32>,
    /// For how many samples they are taken for what they were found to be.
    trusted: u32,
}

impl Strangers {
    /// All processes but those known to be strangers. Workers are none, whatever their ids were before.
    fn others(&mut self, roots: &BTreeMap<i32, WorkerId>) -> io::Result<ProcessTable> {
        if self.trusted == 0 {
            self.known.clear();
            self.trusted = THOROUGH;
        }
        self.trusted -= 1;
        let before = std::mem::take(&mut self.known);
        ProcessTable::scan_where(|pid| {
            let pid = number(pid);
            let strange = before.binary_search(&pid).is_ok() && !roots.contains_key(&pid);
            if strange {
                self.known.push(pid);
            }
            !strange
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    cpu_millis: u64,
    usage: Usage,
}

impl Usages {
    /// Whether the last sample is good enough to be shown.
    pub fn are_fresh(&self) -> bool {
        self.taken.is_some_and(|taken| taken.elapsed() < FRESH)
    }

    /// What these workers use, and no others: main process and for how long it has been running.
    pub fn of(&mut self, workers: &[(WorkerId, i32, Duration)]) -> BTreeMap<WorkerId, Usage> {
        let now = Instant::now();
        let known = workers.iter().all(|(worker, _, _)| self.last.contains_key(worker));
        let strangers = &self.strangers.known;
        if workers.iter().any(|(_, pid, _)| strangers.binary_search(pid).is_ok()) {
            // It was there before it was known to be a worker, and so may be what it has started.
            self.strangers.trusted = 0;
        }
        if !(self.are_fresh() && known) {
            self.sample(workers, now);
        }
        let usage = |worker: &WorkerId| Some((*worker, self.last.get(worker)?.usage));
        workers.iter().filter_map(|(worker, _, _)| usage(worker)).collect()
    }

    /// Resident memory of one worker's tree, now.
    pub fn memory(pid: i32) -> u64 {
        let below = crate::tree::below(pid);
        let stats = below
            .into_iter()
            .chain([pid])
            .filter_map(|pid| Stat::read(Pid::from_raw(pid)?).ok()?);
        stats.map(|stat| stat.usage().resident_bytes).sum()
    }

    fn sample(&mut self, workers: &[(WorkerId, i32, Duration)], now: Instant) {
        let roots = workers.iter().map(|(worker, pid, _)| (*pid, *worker)).collect();
        let Ok(table) = self.strangers.others(&roots) else {
            return;
        };
        let totals = totals(&table, &roots, &mut self.strangers.known);
        let previous = std::mem::take(&mut self.last);
        for (worker, _, uptime) in workers {
            let Some(total) = totals.get(worker) else { continue };
            let before = previous.get(worker);
            let (spent, over) = before.map_or((total.cpu_millis, *uptime), |before| {
                (
                    total.cpu_millis.saturating_sub(before.cpu_millis),
                    now.duration_since(before.at),
                )
            });
            let usage = Usage {
                memory: total.resident_bytes,
                cpu: percent(spent, over),
            };
            self.last.insert(
                *worker,
                Sample {
                    at: now,
                    cpu_millis: total.cpu_millis,
                    usage,
                },
            );
        }
        self.taken = Some(now);
    }
}

/// Each process counts for the worker that is its nearest ancestor, or whose session it is in.
fn totals(
    table: &ProcessTable,
    roots: &BTreeMap<i32, WorkerId>,
    strangers: &mut Vec<i32>,
) -> BTreeMap<WorkerId, ostler_sys::proc::Usage> {
    let mut totals: BTreeMap<WorkerId, ostler_sys::proc::Usage> = BTreeMap::new();
    for stat in table.iter() {
        if let Some(worker) = owner(table, stat, roots) {
            let total = totals.entry(worker).or_default();
            total.resident_bytes += stat.usage().resident_bytes;
            total.cpu_millis += stat.usage().cpu_millis;
        } else {
            strangers.push(number(stat.pid));
        }
    }
    strangers.sort_unstable();
    totals
}

fn owner(table: &ProcessTable, stat: &Stat, roots: &BTreeMap<i32, WorkerId>) -> Option<WorkerId> {
    let mut at = stat;
    loop {
        if let Some(worker) = roots.get(&number(at.pid)) {
            return Some(*worker);
        }
        let parent = at
            .parent
            .filter(|parent| number(*parent) != 1)
            .and_then(|parent| table.get(parent));
        match parent {
            Some(parent) => at = parent,
            None => return roots.get(&stat.session).copied(),
        }
    }
}

fn number(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}

/// In percent of one processor, one decimal.
fn percent(spent_millis: u64, over: Duration) -> f64 {
    let over = over.as_secs_f64() * 1000.0;
    if over <= 0.0 {
        return 0.0;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of processor time are far below 2^52"
    )]
    let share = spent_millis as f64 / over * 1000.0;
    share.round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

    /// A shell that begins a child when told to.
    struct Tree {
        shell: Child,
        input: ChildStdin,
        output: BufReader<ChildStdout>,
        child: Option<i32>,
    }

    impl Tree {
        fn begin() -> Self {
            let script = "read line; sleep 60 >/dev/null & echo $!; wait";
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", script])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            let mut shell = command.spawn().expect("sh starts");
            let input = shell.stdin.take().expect("piped");
            let output = BufReader::new(shell.stdout.take().expect("piped"));
            Self {
                shell,
                input,
                output,
                child: None,
            }
        }

        fn pid(&self) -> i32 {
            i32::try_from(self.shell.id()).expect("a pid")
        }

        fn have_a_child(&mut self) {
            self.input.write_all(b"\n").expect("it listens");
            let mut line = String::new();
            self.output.read_line(&mut line).expect("it answers");
            self.child = Some(line.trim().parse().expect("a pid"));
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            for pid in self.child.into_iter().filter_map(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            let _ = self.shell.kill();
            let _ = self.shell.wait();
        }
    }

    /// Whether a process is looked at for the next sample. How much memory it has is another matter: the kernel counts a few pages
    /// too many or too few, and a shell has no more.
    fn is_looked_at(usages: &mut Usages, worker: WorkerId, root: i32, process: i32) -> bool {
        let roots = [(root, worker)].into();
        let table = usages.strangers.others(&roots).expect("/proc");
        totals(&table, &roots, &mut usages.strangers.known);
        let looked_at = Pid::from_raw(process).and_then(|pid| table.get(pid)).is_some();
        assert!(!looked_at || !usages.strangers.known.contains(&process));
        looked_at
    }

    fn sample(usages: &mut Usages, worker: WorkerId, root: i32) {
        usages.taken = None;
        usages.of(&[(worker, root, Duration::from_secs(1))]);
    }

    #[test]
    fn what_begins_after_a_sample_is_in_the_next_one() {
        let (mut tree, worker, mut usages) = (Tree::begin(), WorkerId::new(0, 1), Usages::default());
        sample(&mut usages, worker, tree.pid());
        tree.have_a_child();
        let child = tree.child.expect("it has one");
        assert!(is_looked_at(&mut usages, worker, tree.pid(), child));
        assert!(is_looked_at(&mut usages, worker, tree.pid(), tree.pid()));
    }

    #[test]
    fn what_began_before_its_worker_was_known_is_counted_once_it_is() {
        let (mut tree, worker, mut usages) = (Tree::begin(), WorkerId::new(0, 1), Usages::default());
        let other = Tree::begin();
        tree.have_a_child();
        let child = tree.child.expect("it has one");
        sample(&mut usages, WorkerId::new(1, 1), other.pid());
        assert!(usages.strangers.known.contains(&child));
        sample(&mut usages, worker, tree.pid());
        assert!(!usages.strangers.known.contains(&child));
        assert!(is_looked_at(&mut usages, worker, tree.pid(), child));
    }

    #[test]
    fn strangers_are_looked_at_again_after_a_while() {
        let (tree, other, worker) = (Tree::begin(), Tree::begin(), WorkerId::new(0, 1));
        let mut usages = Usages::default();
        sample(&mut usages, worker, tree.pid());
        assert!(!is_looked_at(&mut usages, worker, tree.pid(), other.pid()));
        // As if it had got the id of one that has ended.
        usages.strangers.known.push(tree.pid());
        usages.strangers.known.sort_unstable();
        let root = tree.pid();
        let table = usages.strangers.others(&[(root, worker)].into()).expect("/proc");
        assert!(
            Pid::from_raw(root).and_then(|pid| table.get(pid)).is_some(),
            "a worker is none in any case"
        );
        usages.strangers.known.push(root);
        usages.strangers.known.sort_unstable();
        for _ in 0..THOROUGH {
            sample(&mut usages, worker, root);
        }
        assert!(!usages.strangers.known.contains(&root));
        assert!(usages.strangers.known.contains(&other.pid()));
    }
}
