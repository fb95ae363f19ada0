//! Who gets a connection, for random workers and random lives of them.

use ostler_core::balance::{Candidate, Candidates, Client, Ledger, PATIENCE, STICKY_WINDOW, Shares, WINDOW};
use ostler_core::{Balance, Generation, WorkerId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// How many connections more may wait for one that is behind.
const CREDIT: u64 = 8;

const MODES: [Balance; 3] = [Balance::RoundRobin, Balance::LeastConnections, Balance::Sticky];

fn worker(slot: u32) -> WorkerId {
    WorkerId::new(slot, 1)
}

fn idle(slot: u32) -> Candidate {
    Candidate {
        worker: worker(slot),
        instance: slot,
        in_rotation: true,
        rests: false,
        stalls: false,
        is_awaited: false,
        is_writable: true,
        untaken: 0,
        behind: 0,
        open: Some(0),
    }
}

fn candidate(slot: u32) -> impl Strategy<Value = Candidate> {
    let yes = prop::bool::weighted(0.8);
    let no = prop::bool::weighted(0.2);
    let open = prop::option::weighted(0.9, 0..20_u64);
    (
        yes,
        no,
        no,
        yes,
        0..2 * STICKY_WINDOW,
        0..WINDOW + 2,
        (any::<bool>(), 0..60_u64),
        open,
    )
        .prop_map(
            move |(in_rotation, rests, stalls, is_writable, many, few, (is_many, behind), open)| Candidate {
                in_rotation,
                rests,
                stalls,
                is_writable,
                untaken: if is_many { many } else { few },
                behind,
                open,
                ..idle(slot)
            },
        )
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    (0..8_u32).prop_flat_map(|count| (0..count).map(candidate).collect::<Vec<_>>())
}

fn client() -> impl Strategy<Value = Client> {
    any::<[u8; 16]>().prop_map(|bytes| Client::at(IpAddr::from(bytes)))
}

fn turn() -> impl Strategy<Value = Option<WorkerId>> {
    prop::option::of((0..8_u32).prop_map(worker))
}

fn found(candidates: &[Candidate], chosen: WorkerId) -> Candidate {
    *candidates.iter().find(|one| one.worker == chosen).expect("one of them")
}

fn choose(balance: Balance, client: Option<Client>, turn: Option<WorkerId>, all: &[Candidate]) -> Option<WorkerId> {
    let (lead, all) = (Shares::default().lead(), all.to_vec());
    Candidates { balance, lead, all }.choose(client, turn)
}

/// Workers, and what they were given and have.
struct World {
    balance: Balance,
    workers: Vec<Candidate>,
    given: Vec<usize>,
    shares: Shares,
    turn: Option<WorkerId>,
    /// For how long those that have something to take have taken nothing.
    silent: Duration,
    held_up_by: Option<WorkerId>,
}

impl World {
    fn new(workers: usize, turn: Option<WorkerId>) -> Self {
        Self {
            balance: Balance::RoundRobin,
            workers: (0..).take(workers).map(idle).collect(),
            given: vec![0; workers],
            shares: Shares::default(),
            turn,
            silent: PATIENCE,
            held_up_by: None,
        }
    }

    fn join(&mut self) {
        self.workers.push(idle(u32::try_from(self.workers.len()).expect("few")));
        self.given.push(0);
    }

    /// A connection comes; whether anybody gets it.
    fn offer(&mut self) -> bool {
        let shares = &self.shares;
        let candidates = self.workers.iter().map(|one| Candidate {
            behind: shares.behind(one.worker),
            is_awaited: one.untaken > 0 && shares.waits_for(one.worker, self.silent),
            ..*one
        });
        let candidates = Candidates {
            balance: self.balance,
            lead: shares.lead(),
            all: candidates.collect(),
        };
        let chosen = candidates.choose(None, self.turn);
        let has_room = candidates.all.iter().any(|one| one.is_free(self.balance));
        assert_eq!(chosen.is_some(), candidates.is_any_free());
        self.held_up_by = candidates.held_up_by();
        assert_eq!(self.held_up_by.is_some(), has_room && chosen.is_none());
        let Some(chosen) = chosen else { return false };
        self.turn = Some(chosen);
        self.shares.give(chosen);
        let index = chosen.slot.0 as usize;
        self.workers[index].untaken += 1;
        self.workers[index].open = self.workers[index].open.map(|open| open + 1);
        self.given[index] += 1;
        true
    }

    fn give(&mut self) {
        assert!(self.offer(), "somebody is free");
    }

    fn take_all(&mut self) {
        self.workers.iter_mut().for_each(|one| one.untaken = 0);
    }

    fn take_all_but(&mut self, late: usize) {
        let others = self.workers.iter_mut().enumerate().filter(|(index, _)| *index != late);
        others.for_each(|(_, one)| one.untaken = 0);
    }

    fn apart(&self) -> usize {
        self.given.iter().max().unwrap_or(&0) - self.given.iter().min().unwrap_or(&0)
    }
}

proptest! {
    #[test]
    fn whoever_is_chosen_is_in_rotation_and_has_room(
        candidates in candidates(), client in prop::option::of(client()), turn in turn(),
    ) {
        for mode in MODES {
            if let Some(chosen) = choose(mode, client, turn, &candidates) {
                let one = found(&candidates, chosen);
                let window = match mode {
                    Balance::Sticky => STICKY_WINDOW,
                    _ => WINDOW + one.behind.min(CREDIT) as usize,
                };
                prop_assert!(one.in_rotation && !one.rests && one.is_writable && one.untaken < window, "{mode:?} {one:?}");
            }
        }
    }

    #[test]
    fn a_connection_waits_only_if_nobody_is_free(candidates in candidates(), turn in turn()) {
        for mode in MODES {
            let chosen = choose(mode, None, turn, &candidates);
            prop_assert_eq!(chosen.is_some(), candidates.iter().any(|one| one.is_free(mode)));
        }
    }

    #[test]
    fn one_by_one_they_go_round(workers in 1..9_usize, connections in 1..200_usize, turn in turn()) {
        let mut world = World::new(workers, turn);
        for _ in 0..connections {
            world.give();
            world.take_all();
        }
        prop_assert!(world.apart() <= 1);
    }

    #[test]
    fn who_was_late_catches_up(workers in 2..9_usize, late in 0..9_usize, missed in 1..40_usize) {
        let mut world = World::new(workers, None);
        for _ in 0..missed {
            world.give();
            world.take_all_but(late % workers);
        }
        for _ in 0..workers * missed {
            world.take_all();
            world.give();
        }
        prop_assert!(world.apart() <= 1, "{:?}", world.given);
    }

    #[test]
    fn who_is_behind_has_more_room(behind in 1..60_u64, untaken in 0..100_usize) {
        let one = Candidate { behind, untaken, ..idle(0) };
        prop_assert_eq!(one.is_free(Balance::RoundRobin), untaken < WINDOW + behind.min(CREDIT) as usize);
    }

    #[test]
    fn nobody_gets_far_ahead_of_one_that_is_about_to_take(
        workers in 2..9_usize, takers in prop::collection::vec(0..9_usize, 1..400), least in any::<bool>(),
    ) {
        let mut world = World::new(workers, None);
        world.balance = if least { Balance::LeastConnections } else { Balance::RoundRobin };
        world.silent = PATIENCE / 2;
        for taker in takers {
            while world.offer() {}
            world.workers[taker % workers].untaken = 0;
            let most = world.given.iter().max().copied().unwrap_or(0);
            prop_assert!(world.apart() <= (most / 8).max(8), "{:?}", world.given);
        }
    }

    #[test]
    fn who_takes_nothing_for_too_long_holds_up_nobody(workers in 2..9_usize, late in 0..9_usize, more in 0..100_u32) {
        let mut world = World::new(workers, None);
        world.silent = PATIENCE + Duration::from_millis(1) * more;
        for _ in 0..1000 {
            world.give();
            world.take_all_but(late % workers);
        }
    }

    #[test]
    fn who_is_slower_holds_up_others_only_so_long_until_it_has_caught_up(workers in 2..9_usize, late in 0..9_usize) {
        let late = late % workers;
        let mut world = World::new(workers, None);
        world.silent = PATIENCE / 2;
        for _ in 0..2 {
            let mut held_up = Duration::ZERO;
            loop {
                // Without anybody who is waited for it goes on and on.
                (0..workers * 100).find(|_| {
                    world.take_all_but(late);
                    !world.offer()
                });
                let Some(by) = world.held_up_by else { break };
                prop_assert_eq!(by, worker(u32::try_from(late).expect("few")));
                world.shares.held_up(by, PATIENCE / 5);
                held_up += PATIENCE / 5;
                world.workers[late].untaken -= 1;
            }
            prop_assert!(held_up >= PATIENCE && held_up <= 10 * PATIENCE, "{held_up:?}");
            while world.shares.behind(worker(u32::try_from(late).expect("few"))) > 0 {
                world.take_all();
                world.give();
            }
        }
    }

    #[test]
    fn after_a_lull_nobody_makes_up_for_a_burst(workers in 2..9_usize, missed in 1..200_usize, lull in 0..10_u64) {
        let mut world = World::new(workers, None);
        for _ in 0..missed {
            world.give();
            world.take_all_but(0);
        }
        world.take_all();
        let before = world.shares.behind(worker(0));
        world.shares.lull(Duration::from_millis(lull));
        prop_assert_eq!(world.shares.behind(worker(0)), if lull < 5 { before } else { 0 });
    }

    #[test]
    fn who_was_hung_for_long_is_not_flooded(workers in 2..9_usize, late in 0..9_usize) {
        let mut world = World::new(workers, None);
        for _ in 0..2000 {
            world.give();
            world.take_all_but(late % workers);
        }
        world.take_all();
        let before = world.given[late % workers];
        for _ in 0..workers * 1000 {
            world.give();
            world.take_all();
        }
        let more = world.given[late % workers] - before;
        prop_assert!((1000..=1000 + 256).contains(&more), "{more}");
    }

    #[test]
    fn a_newcomer_gets_its_share_and_no_more(workers in 1..8_usize, before in 0..500_usize) {
        let mut world = World::new(workers, None);
        for _ in 0..before {
            world.give();
            world.take_all();
        }
        world.join();
        for _ in 0..(workers + 1) * 10 {
            world.give();
            world.take_all();
        }
        prop_assert!((9..=11).contains(&world.given[workers]), "{:?}", world.given);
    }

    #[test]
    fn nobody_waits_for_a_newcomer_that_takes_what_it_is_given(workers in 1..8_usize, before in 100..500_usize) {
        let mut world = World::new(workers, None);
        world.balance = Balance::LeastConnections;
        for _ in 0..before {
            world.give();
            world.take_all();
        }
        world.join();
        world.silent = PATIENCE / 2;
        for _ in 0..20 {
            while world.offer() {}
            prop_assert_eq!(world.held_up_by, None);
            world.take_all();
        }
        prop_assert!(world.given[workers] >= 20 * WINDOW, "{:?}", world.given);
    }

    #[test]
    fn the_least_has_no_more_than_any_free_one(candidates in candidates(), turn in turn()) {
        let Some(chosen) = choose(Balance::LeastConnections, None, turn, &candidates) else { return Ok(()) };
        let own = found(&candidates, chosen).open.unwrap_or(0);
        let free = candidates.iter().filter(|one| one.is_free(Balance::LeastConnections));
        prop_assert!(free.clone().all(|one| own <= one.open.unwrap_or(0)));
    }

    #[test]
    fn of_equally_many_connections_the_next_in_turn_gets_one(workers in 2..9_u32, open in 0..9_u64) {
        let candidates: Vec<Candidate> = (0..workers).map(|slot| Candidate { open: Some(open), ..idle(slot) }).collect();
        let mut turn = None;
        let order: Vec<u32> = (0..2 * workers).map(|_| {
            turn = choose(Balance::LeastConnections, None, turn, &candidates);
            turn.map_or(u32::MAX, |worker| worker.slot.0)
        }).collect();
        prop_assert_eq!(order, (0..workers).chain(0..workers).collect::<Vec<_>>());
    }

    #[test]
    fn a_client_moves_only_if_its_worker_goes(workers in 2..9_u32, gone in 0..9_u32, client in client(), load in 0..STICKY_WINDOW) {
        let mut all: Vec<Candidate> = (0..workers).map(idle).collect();
        let before = choose(Balance::Sticky, Some(client), None, &all).expect("all are free");
        let gone = gone % workers;
        all[gone as usize].in_rotation = false;
        let without = choose(Balance::Sticky, Some(client), None, &all).expect("one is left");
        prop_assert_eq!(without == before, before != worker(gone));
        all[gone as usize] = Candidate {
            worker: WorkerId { generation: Generation(2), ..worker(gone) },
            untaken: load,
            ..idle(gone)
        };
        let after = choose(Balance::Sticky, Some(client), Some(worker(gone)), &all).expect("all are free");
        prop_assert_eq!(after.slot, before.slot, "back when it is");
    }

    #[test]
    fn a_client_of_a_full_worker_waits_and_one_of_a_stalled_worker_does_not(workers in 2..9_u32, client in client()) {
        let mut all: Vec<Candidate> = (0..workers).map(idle).collect();
        let own = choose(Balance::Sticky, Some(client), None, &all).expect("all are free");
        let index = own.slot.0 as usize;
        all[index].untaken = STICKY_WINDOW;
        prop_assert_eq!(choose(Balance::Sticky, Some(client), None, &all), None);
        all[index].stalls = true;
        let other = choose(Balance::Sticky, Some(client), None, &all);
        prop_assert!(other.is_some_and(|other| other != own));
    }

    #[test]
    fn clients_are_spread_evenly(workers in 2..9_u32, seed in any::<u32>()) {
        let all: Vec<Candidate> = (0..workers).map(idle).collect();
        let mut counts = BTreeMap::new();
        // Neighbours, as the clients of one network are.
        for host in 0..4000_u32 {
            let client = Client::at(IpAddr::from(seed.wrapping_add(host).to_be_bytes()));
            let chosen = choose(Balance::Sticky, Some(client), None, &all);
            *counts.entry(chosen).or_insert(0_u32) += 1;
        }
        let fair = 4000 / workers;
        prop_assert!(counts.values().all(|count| count.abs_diff(fair) < fair / 3), "{counts:?}");
    }
}

#[test]
fn an_address_is_the_same_client_through_any_socket_and_within_its_subnet() {
    let at = |text: &str| Client::at(text.parse().expect("an address"));
    assert_eq!(at("192.0.2.7"), at("::ffff:192.0.2.7"));
    assert_ne!(at("192.0.2.7"), at("192.0.2.8"));
    assert_eq!(at("2001:db8:1:2::7"), at("2001:db8:1:2:a:b:c:d"));
    assert_ne!(at("2001:db8:1:2::7"), at("2001:db8:1:3::7"));
}

/// What happens to connections.
#[derive(Clone, Debug)]
enum Step {
    Give(u32),
    GiveBack(usize),
    Close(usize),
    Accept(u32),
    Leave(u32),
    Count { late: Vec<u32>, closed: Vec<usize> },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4_u32).prop_map(Step::Give),
        1 => any::<usize>().prop_map(Step::GiveBack),
        3 => any::<usize>().prop_map(Step::Close),
        1 => (0..4_u32).prop_map(Step::Accept),
        1 => (0..4_u32).prop_map(Step::Leave),
        2 => (prop::collection::vec(0..4_u32, 0..4), prop::collection::vec(any::<usize>(), 0..3))
            .prop_map(|(late, closed)| Step::Count { late, closed }),
    ]
}

proptest! {
    /// The world knows every connection; the ledger is told what the primary sees, and the kernel's counts.
    #[test]
    fn after_a_count_the_ledger_has_what_is_open(steps in prop::collection::vec(step(), 1..60)) {
        let (mut ledger, mut world, mut next) = (Ledger::default(), BTreeMap::<u64, WorkerId>::new(), 1_u64);
        let nth = |world: &BTreeMap<u64, WorkerId>, index: usize| {
            world.keys().nth(index.checked_rem(world.len()).unwrap_or(0)).copied()
        };
        for step in steps {
            match step {
                Step::Give(slot) => {
                    ledger.give(next, worker(slot));
                    world.insert(next, worker(slot));
                    next += 1;
                }
                Step::GiveBack(index) => if let Some(inode) = nth(&world, index) {
                    ledger.strike(inode);
                    world.remove(&inode);
                },
                Step::Close(index) => if let Some(inode) = nth(&world, index) {
                    world.remove(&inode);
                },
                Step::Accept(slot) => {
                    world.insert(next, worker(slot));
                    next += 1;
                }
                Step::Leave(slot) => {
                    ledger.forget(worker(slot));
                    world.retain(|_, held| *held != worker(slot));
                }
                Step::Count { late, closed } => {
                    let number = ledger.begin();
                    let open: BTreeSet<u64> = world.keys().copied().collect();
                    for slot in late {
                        ledger.give(next, worker(slot));
                        world.insert(next, worker(slot));
                        next += 1;
                    }
                    let unknown = ledger.settle(number, &open);
                    ledger.claim(&unknown, &world.clone());
                    for slot in 0..4 {
                        let held = world.values().filter(|held| **held == worker(slot)).count() as u64;
                        prop_assert_eq!(ledger.open(worker(slot)), held);
                    }
                    for index in closed {
                        if let Some(inode) = nth(&world, index) {
                            world.remove(&inode);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_nobody_holds_is_asked_for_a_few_times_only() {
    let mut ledger = Ledger::default();
    let open = BTreeSet::from([7]);
    let asked: Vec<bool> = (0..5)
        .map(|_| {
            let number = ledger.begin();
            let unknown = ledger.settle(number, &open);
            ledger.claim(&unknown, &BTreeMap::new());
            !unknown.is_empty()
        })
        .collect();
    assert_eq!(asked, [true, true, true, false, false]);
}

#[test]
fn it_asks_to_be_counted_before_it_grows_without_bounds() {
    let mut ledger = Ledger::default();
    let mut inode = 0;
    for _ in 0..3 {
        while !ledger.is_full() {
            ledger.give(inode, worker(0));
            inode += 1;
            assert!(inode < 20_000, "it never does");
        }
        let number = ledger.begin();
        ledger.settle(number, &BTreeSet::new());
        assert!(!ledger.is_full());
    }
}
