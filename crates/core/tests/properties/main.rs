//! Random histories: requests, crashes, file changes, clock steps and changes of daemon in any order. The world checks with
//! every effect what must never happen; here it is compared with what a person who knows only the requests expects.

mod histories;
mod model;
mod steps;
#[path = "../support/mod.rs"]
mod support;

use histories::{End, KINDS, end, meanwhile, op, program};
use model::{Model, Wanted};
use ostler_core::{Event, Request, SlotId, Status, Verdict};
use proptest::prelude::*;
use std::collections::BTreeSet;
use steps::apply;
use support::twin::Twin;
use support::{World, secs};

/// After all has come to rest, each slot is where the last request wanted it, or says why not.
fn check_rest(world: &World, model: &Model) {
    assert_eq!(world.asked.len(), world.replies.len(), "every ticket gets its reply");
    for view in world.machine.slots() {
        let done = !view.spec.restart.auto || !view.spec.restart.stop_exit_codes.is_empty();
        let fine = match (model.wanted[&view.id], view.status) {
            (Wanted::Up, Status::Stopped) => done,
            (Wanted::Up, Status::Online | Status::Launching | Status::WaitingRestart | Status::Errored) => true,
            // A crash loop, just at the leftovers of its last crash.
            (Wanted::Up, Status::Stopping) => true,
            (Wanted::Down, Status::Stopped) => true,
            (Wanted::Down, _) if view.spec.cron.is_some() => true,
            (Wanted::Down | Wanted::Gone, Status::Errored) => true,
            (Wanted::Down | Wanted::Gone, _) => false,
        };
        assert!(
            fine,
            "slot {} is to be {:?} but is {:?}",
            view.id, model.wanted[&view.id], view.status
        );
    }
}

/// Errored after a stop or delete is right only for what could not be killed, and then the request was told so.
fn check_unkillable(world: &World, model: &Model) {
    let told = world.replies.values().flat_map(|outcome| &outcome.slots);
    let told: BTreeSet<SlotId> = told
        .filter(|slot| matches!(slot.verdict, Verdict::Failed(_)))
        .map(|slot| slot.slot)
        .collect();
    // What cron started after the stop may well have failed since.
    let errored = world
        .machine
        .slots()
        .filter(|view| view.status == Status::Errored && view.spec.cron.is_none());
    for view in errored {
        if model.wanted[&view.id] != Wanted::Up {
            assert!(
                told.contains(&view.id),
                "slot {} is errored and nobody was told",
                view.id
            );
        }
    }
}

/// An app has the sockets that its workers were given as long as one of them is meant to be up, and none after that.
fn check_sockets(world: &World) {
    let views: Vec<_> = world.machine.slots().collect();
    for (app, open) in &world.open {
        let slots = || views.iter().filter(|view| view.app == *app);
        for view in slots().filter(|view| view.status == Status::Online) {
            assert!(view.spec.listen.iter().all(|listen| open.contains(&listen.address)));
        }
        let stuck = slots().any(|view| view.status == Status::Errored);
        if slots().all(|view| view.status == Status::Stopped) && !stuck {
            assert!(open.is_empty(), "nothing of {app:?} is up, but {open:?} are open");
        }
    }
}

fn check_numbers(world: &World) {
    let mut seen = BTreeSet::new();
    for view in world.machine.slots() {
        assert!(
            seen.insert((view.spec.name.clone(), view.instance)),
            "an instance number is given out twice"
        );
    }
}

/// Everything is to end: by `Shutdown` what is there stays in the list, by `WindDown` it does not.
fn begin_end(end: &End, world: &mut World, model: &mut Model) {
    let (request, wanted) = match end {
        End::Shutdown => (Request::Shutdown, Wanted::Down),
        End::WindDown { within, .. } => {
            let within = within.map(secs);
            (Request::WindDown { within }, Wanted::Gone)
        }
    };
    let staying = model.wanted.iter().filter(|(_, wanted)| **wanted != Wanted::Gone);
    let staying: Vec<SlotId> = staying.map(|(slot, _)| *slot).collect();
    model.set(world, staying, wanted);
    world.request(request);
}

proptest! {
    // A failure is to be told before the test is ended as hung.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_machine_keeps_its_promises(
        programs in prop::collection::vec(prop::collection::vec(program(), 1..4), KINDS),
        ops in prop::collection::vec(op(), 1..60),
        end in prop::option::of((end(), prop::collection::vec(meanwhile(), 0..8))),
    ) {
        let mut world = World::with_twin(Some(Twin::restored_on_demand()));
        for (kind, programs) in programs.into_iter().enumerate() {
            world.script(&format!("app-{kind}"), programs);
        }
        let mut model = Model::default();
        for op in &ops {
            apply(op, &mut world, &mut model);
            check_numbers(&world);
        }
        if let Some((end, meanwhile)) = &end {
            begin_end(end, &mut world, &mut model);
            for op in meanwhile {
                apply(op, &mut world, &mut model);
            }
            if let End::WindDown { hurries: true, .. } = end {
                world.feed(Event::Hurry);
            }
        }
        // Some that say that they are ending have to be told to in the end, one launch after the other.
        world.run(secs(300));
        model.check_launches(&world);
        model.adopt(&world);
        check_rest(&world, &model);
        check_sockets(&world);
        check_unkillable(&world, &model);
        model.check_overtaken(&world);
        prop_assert_eq!(world.exited.is_some(), end.is_some());
    }
}
