//! Which processes belong to an app.

use super::stat::{StartTime, Stat, Usage};
use super::table::ProcessTable;
use rustix::process::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// What makes a process belong to an app: where to start, and how to know those that broke away.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    /// The app's main process, alive or not.
    pub root: Pid,
    /// When it started: guards against another process with its number.
    pub root_start: StartTime,
    /// Our processes that orphans fall to (keeper and daemon). They never belong to an app themselves.
    pub subreapers: &'a [Pid],
    /// The environment entry (`OSTLER_WORKER=<value>`, see [`super::MARKER`]) that the app and all it starts carry.
    pub marker: &'a [u8],
}

impl Tree<'_> {
    /// The living members, deepest first, the root last. Members are the root; those in the session or the process
    /// group that the root leads or led; orphans that fell to a subreaper or to pid 1 and carry the marker; and all
    /// descendants of these. Zombies are left out.
    ///
    /// A session's or group's number is not given to a new process while a member lives, so a living process that
    /// has the root's number but another start time proves that none is left.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn members(&self, table: &ProcessTable) -> io::Result<Vec<Stat>> {
        let mut found = BTreeSet::new();
        let mut open = self.seeds(table)?;
        let children = children_by_parent(table);
        while let Some(pid) = open.pop() {
            if !self.subreapers.iter().any(|ours| raw(*ours) == pid) && found.insert(pid) {
                open.extend(children.get(&pid).into_iter().flatten());
            }
        }
        Ok(self.deepest_first(table, &found))
    }

    /// What all members use together.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn usage(&self, table: &ProcessTable) -> io::Result<Usage> {
        Ok(self.members(table)?.iter().map(Stat::usage).sum())
    }

    fn seeds(&self, table: &ProcessTable) -> io::Result<Vec<i32>> {
        let leader = raw(self.root);
        let reused = table
            .get(self.root)
            .is_some_and(|now| now.start_time != self.root_start);
        let mut seeds = Vec::new();
        for process in table.iter().filter(|process| !self.is_ours(process.pid)) {
            let led = process.pid == self.root || process.group == leader || process.session == leader;
            if (led && !reused) || self.is_marked_orphan(table, process)? {
                seeds.push(raw(process.pid));
            }
        }
        Ok(seeds)
    }

    fn is_ours(&self, pid: Pid) -> bool {
        self.subreapers.contains(&pid)
    }

    /// Whether it has lost its parent and carries the marker. Only orphans are looked at: a marked process with a
    /// living parent is either found through that parent, or was started by an app for somebody else. Nor is
    /// anything looked at that is older than the root.
    fn is_marked_orphan(&self, table: &ProcessTable, process: &Stat) -> io::Result<bool> {
        let orphan = process
            .parent
            .is_some_and(|parent| parent == Pid::INIT || self.is_ours(parent));
        let may_be = orphan && process.start_time >= self.root_start && !process.is_zombie();
        Ok(may_be && table.is_marked(process, self.marker)?)
    }

    fn deepest_first(&self, table: &ProcessTable, found: &BTreeSet<i32>) -> Vec<Stat> {
        let living = table
            .iter()
            .filter(|process| found.contains(&raw(process.pid)) && !process.is_zombie());
        let mut members: Vec<(u32, Stat)> = living
            .map(|process| (self.depth(table, found, process), *process))
            .collect();
        members.sort_by_key(|(depth, process)| std::cmp::Reverse((*depth, raw(process.pid))));
        members.into_iter().map(|(_, process)| process).collect()
    }

    /// Steps up to the root, which has depth 0; whoever's line ends elsewhere counts as the root's child there.
    fn depth(&self, table: &ProcessTable, found: &BTreeSet<i32>, process: &Stat) -> u32 {
        let mut depth = u32::from(process.pid != self.root);
        let mut at = process;
        // A table read while processes come and go could show a circle: no line is longer than the table.
        for _ in 0..found.len() {
            let parent = at
                .parent
                .filter(|parent| found.contains(&raw(*parent)) && at.pid != self.root);
            let Some(parent) = parent.and_then(|parent| table.get(parent)) else {
                break;
            };
            depth += u32::from(parent.pid != self.root);
            at = parent;
        }
        depth
    }
}

fn children_by_parent(table: &ProcessTable) -> BTreeMap<i32, Vec<i32>> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for process in table.iter() {
        if let Some(parent) = process.parent {
            children.entry(raw(parent)).or_default().push(raw(process.pid));
        }
    }
    children
}

fn raw(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}

#[cfg(test)]
mod tests {
    use super::super::stat::State;
    use super::*;

    fn pid(number: i32) -> Pid {
        Pid::from_raw(number).expect("a positive number")
    }

    fn process(number: i32, parent: i32, session: i32, start: u64) -> Stat {
        Stat {
            pid: pid(number),
            parent: Pid::from_raw(parent),
            group: session,
            session,
            state: State::Sleeping,
            threads: 1,
            start_time: StartTime(start),
            cpu_ticks: 1,
            resident_pages: 1,
            environment_end: 1,
            exit_code: 0,
        }
    }

    // Numbers above the kernel's highest pid (2^22): their /proc/<pid>/environ never exists.
    const ROOT: i32 = 5_000_100;

    fn members(processes: Vec<Stat>, root_start: u64) -> Vec<i32> {
        let subreapers = [pid(5_000_002)];
        let tree = Tree {
            root: pid(ROOT),
            root_start: StartTime(root_start),
            subreapers: &subreapers,
            marker: b"M=1",
        };
        let members = tree.members(&ProcessTable::from(processes)).expect("no /proc needed");
        members.iter().map(|member| raw(member.pid)).collect()
    }

    #[test]
    fn descendants_come_before_their_parents_and_the_root_comes_last() {
        let daemon = process(5_000_002, 1, 5_000_002, 1);
        let (root, shell) = (process(ROOT, 5_000_002, ROOT, 9), process(5_000_101, ROOT, ROOT, 9));
        let (node, other) = (
            process(5_000_050, 5_000_101, 5_000_050, 9),
            process(5_000_300, 5_000_002, 5_000_300, 9),
        );
        assert_eq!(
            members(vec![daemon, root, shell, node, other], 9),
            [5_000_050, 5_000_101, ROOT]
        );
    }

    #[test]
    fn the_session_of_a_root_that_has_ended_still_belongs_to_it() {
        let left = process(5_000_101, 5_000_002, ROOT, 9);
        assert_eq!(members(vec![left], 9), [5_000_101]);
    }

    #[test]
    fn a_process_that_got_the_roots_number_later_is_not_touched_nor_is_its_session() {
        let stranger = process(ROOT, 1, ROOT, 77);
        let child = process(5_000_101, ROOT, ROOT, 78);
        assert_eq!(members(vec![stranger, child], 9), [0_i32; 0]);
    }

    #[test]
    fn our_own_processes_and_zombies_are_no_members() {
        let daemon = process(5_000_002, ROOT, ROOT, 1);
        let dead = Stat {
            state: State::Zombie,
            ..process(5_000_101, ROOT, ROOT, 9)
        };
        assert_eq!(members(vec![daemon, dead, process(ROOT, 1, ROOT, 9)], 9), [ROOT]);
    }

    #[test]
    fn what_our_own_processes_started_is_not_an_apps_though_they_descend_from_it() {
        let (root, daemon) = (process(ROOT, 1, ROOT, 9), process(5_000_002, ROOT, 5_000_002, 10));
        let another_app = process(5_000_200, 5_000_002, 5_000_200, 11);
        assert_eq!(members(vec![root, daemon, another_app], 9), [ROOT]);
    }

    #[test]
    fn a_circle_in_a_torn_table_does_not_hang() {
        let (one, two) = (
            process(5_000_101, 5_000_102, ROOT, 9),
            process(5_000_102, 5_000_101, ROOT, 9),
        );
        assert_eq!(members(vec![one, two], 9).len(), 2);
    }
}
