//! Which worker has which connections open, by what the primary sees and the kernel counts.

use crate::worker;
use ostler_core::WorkerId;
use ostler_core::balance::Ledger;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

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
