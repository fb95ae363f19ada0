//! The choice of one connection, for any workers.

use crate::{idle, turn, worker};
use ostler_core::balance::{Candidate, Candidates, Client, STICKY_WINDOW, Shares, WINDOW};
use ostler_core::{Balance, Generation, WorkerId};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How many connections more may wait for one that is behind.
const CREDIT: u64 = 8;

const MODES: [Balance; 3] = [Balance::RoundRobin, Balance::LeastConnections, Balance::Sticky];

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

fn found(candidates: &[Candidate], chosen: WorkerId) -> Candidate {
    *candidates.iter().find(|one| one.worker == chosen).expect("one of them")
}

fn choose(balance: Balance, client: Option<Client>, turn: Option<WorkerId>, all: &[Candidate]) -> Option<WorkerId> {
    let (lead, all) = (Shares::default().lead(), all.to_vec());
    Candidates { balance, lead, all }.choose(client, turn)
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
    fn who_is_behind_has_more_room(behind in 1..60_u64, untaken in 0..100_usize) {
        let one = Candidate { behind, untaken, ..idle(0) };
        prop_assert_eq!(one.is_free(Balance::RoundRobin), untaken < WINDOW + behind.min(CREDIT) as usize);
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
