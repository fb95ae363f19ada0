//! How connections are shared over time, and who waits for whom.

use crate::{idle, turn, worker};
use ostler_core::balance::{Candidate, Candidates, PATIENCE, Shares, WINDOW};
use ostler_core::{Balance, WorkerId};
use proptest::prelude::*;
use std::time::Duration;

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
}
