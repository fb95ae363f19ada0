//! Profiles and inspections of workers, in virtual time.

use ostler_core::inspection::{Inspections, LEASE, Opened};
use ostler_core::profiling::{KEPT, Order, ProfileFailure, ProfileKind, ProfileSaid, Profiles};
use ostler_core::{Instant, WorkerId};
use std::collections::BTreeSet;
use std::time::Duration;

const WORKER: WorkerId = WorkerId::new(0, 1);
const CPU: ProfileKind = ProfileKind::Cpu { for_ms: 10_000 };
const START: Instant = Instant(1_000_000);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn name() -> String {
    "one".to_owned()
}

fn file() -> String {
    "/home/profiles/0".to_owned()
}

/// One that the worker has been asked for.
fn asked(kind: ProfileKind) -> Profiles {
    let mut profiles = Profiles::default();
    assert_eq!(profiles.begin("one", WORKER, kind, START), [Order::Place(name())]);
    assert_eq!(profiles.placed("one", Ok(file()), START), [Order::Ask(name())]);
    profiles
}

fn taking(kind: ProfileKind) -> Profiles {
    let mut profiles = asked(kind);
    assert_eq!(profiles.said("one", WORKER, ProfileSaid::Begun, START), []);
    profiles
}

fn failed(why: ProfileFailure) -> Vec<Order> {
    vec![Order::Answer(name(), Err(why)), Order::Remove(file())]
}

/// What a successor makes of what was written down.
fn successor(profiles: &Profiles) -> Profiles {
    let written = profiles.operations().map(|operation| {
        let record = profiles.get(operation).expect("it is there");
        let text = serde_json::to_string(record).expect("it can be written");
        (operation.to_owned(), serde_json::from_str(&text).expect("and read"))
    });
    Profiles::restore(written.collect::<Vec<_>>())
}

#[test]
fn a_profile_is_answered_when_it_is_written_and_its_file_goes_a_minute_later() {
    let mut profiles = taking(CPU);
    assert_eq!(profiles.of(WORKER), Some(("one", CPU)));
    let end = START + seconds(10);
    assert_eq!(profiles.due(end), []);
    let written = profiles.said("one", WORKER, ProfileSaid::Written(7), end);
    assert_eq!(written, [Order::Answer(name(), Ok(7))]);
    assert_eq!(profiles.of(WORKER), None, "another may be taken now");
    assert_eq!(profiles.said("one", WORKER, ProfileSaid::Written(7), end), [], "once");
    assert_eq!(profiles.next_deadline(), Some(end + KEPT));
    assert_eq!(profiles.due(end + KEPT), [Order::Remove(file())]);
    assert_eq!((profiles.get("one"), profiles.next_deadline()), (None, None));
}

#[test]
fn a_worker_that_does_not_begin_is_asked_every_second_and_then_given_up() {
    let mut profiles = asked(CPU);
    let mut asked = 0;
    let failure = (1..=10).find_map(|second| {
        let orders = profiles.due(START + seconds(second));
        if orders == [Order::Ask(name())] {
            asked += 1;
            return None;
        }
        Some((second, orders))
    });
    assert_eq!(failure, Some((10, failed(ProfileFailure::Silent(seconds(10))))));
    assert_eq!(asked, 9);
    assert_eq!(profiles.said("one", WORKER, ProfileSaid::Begun, START), [], "too late");
}

#[test]
fn whatever_goes_wrong_is_said_once_and_leaves_no_file() {
    let refused = ProfileSaid::Failed("ENOSPC".to_owned());
    let mut profiles = taking(ProfileKind::Heap);
    let orders = profiles.said("one", WORKER, refused, START);
    assert_eq!(orders, failed(ProfileFailure::Refused("ENOSPC".to_owned())));
    let mut profiles = taking(ProfileKind::Heap);
    assert_eq!(profiles.ended(WORKER), failed(ProfileFailure::Ended));
    assert_eq!(profiles.ended(WORKER), []);
    let mut profiles = taking(CPU);
    assert_eq!(profiles.due(START + seconds(69)), []);
    assert_eq!(
        profiles.due(START + seconds(70)),
        failed(ProfileFailure::Overdue(seconds(70)))
    );
    let mut profiles = Profiles::default();
    profiles.begin("one", WORKER, CPU, START);
    let orders = profiles.due(START + seconds(10));
    assert!(matches!(
        &orders[..],
        [Order::Answer(_, Err(ProfileFailure::NotPlaced(_)))]
    ));
    assert_eq!(
        profiles.placed("one", Ok(file()), START + seconds(11)),
        [Order::Remove(file())],
        "it came too late"
    );
}

#[test]
fn enough_is_enough_at_any_moment() {
    let mut profiles = Profiles::default();
    assert_eq!(profiles.enough(WORKER), None);
    profiles.begin("one", WORKER, CPU, START);
    assert_eq!(profiles.enough(WORKER), Some((name(), Vec::new())));
    let both = [Order::Ask(name()), Order::Enough(name())];
    assert_eq!(profiles.placed("one", Ok(file()), START), both);
    assert_eq!(profiles.due(START + seconds(1)), both);
    let mut profiles = taking(CPU);
    assert_eq!(profiles.enough(WORKER), Some((name(), vec![Order::Enough(name())])));
}

#[test]
fn only_a_heap_snapshot_has_its_worker_stand_still_and_only_while_it_may_be_at_it() {
    let standing = BTreeSet::from([WORKER]);
    assert!(taking(CPU).standing_still().is_empty());
    let mut profiles = Profiles::default();
    profiles.begin("one", WORKER, ProfileKind::Heap, START);
    assert!(profiles.standing_still().is_empty());
    assert_eq!(asked(ProfileKind::Heap).standing_still(), standing);
    let mut profiles = taking(ProfileKind::Heap);
    assert_eq!(profiles.standing_still(), standing);
    profiles.said("one", WORKER, ProfileSaid::Written(1), START);
    assert!(profiles.standing_still().is_empty());
}

#[test]
fn a_new_daemon_asks_again_waits_on_and_knows_who_has_ended() {
    let alive = BTreeSet::from([WORKER]);
    let mut placing = Profiles::default();
    placing.begin("one", WORKER, CPU, START);
    assert_eq!(successor(&placing).adopt(&alive, START), [Order::Place(name())]);
    assert_eq!(successor(&asked(CPU)).adopt(&alive, START), [Order::Ask(name())]);
    let mut profiles = successor(&taking(CPU));
    assert_eq!(profiles.adopt(&alive, START), []);
    assert_eq!(
        profiles.said("one", WORKER, ProfileSaid::Written(3), START),
        [Order::Answer(name(), Ok(3))]
    );
    assert_eq!(
        successor(&profiles).adopt(&BTreeSet::new(), START),
        [],
        "it is answered"
    );
    let gone = successor(&taking(CPU)).adopt(&BTreeSet::new(), START);
    assert_eq!(gone, failed(ProfileFailure::Ended));
    let mut enough = taking(CPU);
    enough.enough(WORKER);
    assert_eq!(successor(&enough).adopt(&alive, START), [Order::Enough(name())]);
}

#[test]
fn an_inspector_is_open_for_one_as_long_as_he_says_so() {
    let mut inspections = Inspections::default();
    let opened = Opened {
        url: "ws://127.0.0.1:1/x".to_owned(),
        own: true,
    };
    let theirs = Opened {
        own: false,
        ..opened.clone()
    };
    assert_eq!((opened.own_port(), theirs.own_port()), (Some(1), None));
    assert_eq!(inspections.want(WORKER, "me", START), Ok(None));
    assert_eq!(inspections.want(WORKER, "you", START), Err(None));
    assert!(!inspections.is_open(WORKER));
    assert!(!inspections.opened(WORKER, "you", opened.clone(), START));
    assert!(inspections.opened(WORKER, "me", opened.clone(), START));
    assert!(inspections.is_open(WORKER));
    assert_eq!(inspections.want(WORKER, "you", START), Err(Some(opened.clone())));
    let later = START + seconds(15);
    assert_eq!(inspections.want(WORKER, "me", later), Ok(Some(opened)));
    assert!(inspections.due(START + LEASE).is_empty(), "he has said so again");
    let due = inspections.due(later + LEASE);
    assert_eq!(due.len(), 1);
    assert!(!inspections.is_open(WORKER) && inspections.next_deadline().is_none());
    assert_eq!(inspections.want(WORKER, "you", later), Ok(None));
    assert!(inspections.end(WORKER, "me").is_none() && inspections.end(WORKER, "you").is_some());
}

#[test]
fn one_that_does_not_open_is_given_up_after_five_seconds() {
    let mut inspections = Inspections::default();
    assert_eq!(inspections.want(WORKER, "me", START), Ok(None));
    assert!(inspections.due(START + seconds(4)).is_empty());
    assert_eq!(inspections.due(START + seconds(5)).len(), 1);
}
