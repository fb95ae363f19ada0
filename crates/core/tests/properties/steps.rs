//! A step of a history, done to the world.

use crate::histories::{Op, app};
use crate::model::{Model, Wanted};
use crate::support::{self, World, ms};
use ostler_core::{Event, ExitStatus, Pid, Request, SlotId, Spec, WallTime, WorkerId};

fn known(world: &World, slots: &[u32]) -> Vec<SlotId> {
    slots
        .iter()
        .map(|slot| SlotId(*slot))
        .filter(|slot| world.machine.slot(*slot).is_some())
        .collect()
}

pub fn apply(op: &Op, world: &mut World, model: &mut Model) {
    match op {
        Op::Start { kind, instances } => {
            world.start(Spec {
                instances: *instances,
                ..app(*kind)
            });
        }
        Op::Restart(slots) => {
            model.set(world, known(world, slots), Wanted::Up);
            world.restart(slots);
        }
        Op::RestartTogether { slots, times } => {
            for _ in 0..*times {
                model.set(world, known(world, slots), Wanted::Up);
                world.restart(slots);
            }
        }
        Op::Respecify { slots, kind } => respecify(world, model, slots, *kind),
        Op::Reload { slots, parallel } => {
            model.set(world, known(world, slots), Wanted::Up);
            let ticket = world.reload_with(slots, &[], *parallel);
            model.reloads.insert(ticket);
        }
        Op::ReloadWith {
            slots,
            kind,
            only_changed,
        } => {
            let slots = known(world, slots);
            model.set(world, slots.clone(), Wanted::Up);
            let specs: Vec<Spec> = slots.iter().map(|slot| renamed(world, *slot, *kind)).collect();
            let slots: Vec<u32> = slots.iter().map(|slot| slot.0).collect();
            let ticket = match only_changed {
                true => world.reload_changed(&slots, &specs),
                false => world.reload_with(&slots, &specs, 1),
            };
            model.reloads.insert(ticket);
        }
        Op::Stop(slots) => {
            model.set(world, known(world, slots), Wanted::Down);
            world.stop(slots);
        }
        Op::Delete(slots) => {
            model.set(world, known(world, slots), Wanted::Gone);
            world.delete(slots);
        }
        Op::Reset(slot) => drop(world.request(Request::Reset {
            slots: support::ids(&[*slot]),
        })),
        Op::Scale { slot, instances } => scale(world, model, SlotId(*slot), *instances),
        Op::Signal(slot) => drop(world.request(Request::Signal {
            slots: support::ids(&[*slot]),
            signal: 12,
        })),
        Op::Run(millis) => world.run(ms(*millis)),
        Op::Crash { slot, status } => crash(world, *slot, *status),
        Op::CrashCompanion { slot, status } => crash_companion(world, *slot, *status),
        Op::Stale { slot, generation, kind } => stale(world, *slot, *generation, *kind),
        Op::FileChanged(slot) => world.feed(Event::FileChanged {
            slot: SlotId(*slot),
            path: "/srv/x".into(),
        }),
        Op::ClockStepped(by) => {
            world.now.wall = WallTime(world.now.wall.0 + by);
            world.feed(Event::ClockStepped);
        }
        Op::Spurious => spurious(world),
        Op::NewDaemon { compacted } => world.twin.as_mut().expect("a twin").replace(*compacted),
    }
    model.check_launches(world);
    model.adopt(world);
}

fn respecify(world: &mut World, model: &mut Model, slots: &[u32], kind: usize) {
    let slots = known(world, slots);
    model.set(world, slots.clone(), Wanted::Up);
    let specs = slots.iter().map(|slot| renamed(world, *slot, kind).into());
    let specs = specs.collect();
    world.request(Request::Restart { slots, specs });
}

/// The name stays, or numbers could collide; the number of instances stays, scaling has an operation of its own.
fn renamed(world: &World, slot: SlotId, kind: usize) -> Spec {
    let old = world.machine.slot(slot).expect("known").spec;
    Spec {
        name: old.name.clone(),
        instances: old.instances,
        ..app(kind)
    }
}

fn scale(world: &mut World, model: &mut Model, slot: SlotId, instances: u32) {
    if let Some(view) = world.machine.slot(slot) {
        let mut app: Vec<_> = world.machine.slots().filter(|other| other.app == view.app).collect();
        app.sort_by_key(|slot| (slot.instance, slot.id));
        model.set(
            world,
            app.iter().skip(instances as usize).map(|slot| slot.id),
            Wanted::Gone,
        );
    }
    world.request(Request::Scale { slot, instances });
}

fn crash(world: &mut World, slot: u32, status: ExitStatus) {
    let running = world.machine.slot(SlotId(slot)).is_some_and(|view| view.pid.is_some());
    if running {
        let worker = world.worker(slot);
        world.kill(worker, status);
    }
}

/// A worker beside the current one ends.
fn crash_companion(world: &mut World, slot: u32, status: ExitStatus) {
    let current = world.machine.slot(SlotId(slot)).map(|view| view.generation);
    let other = world
        .processes
        .iter()
        .find(|(worker, process)| {
            worker.slot == SlotId(slot) && Some(worker.generation) != current && process.main && process.reported
        })
        .map(|(worker, _)| *worker);
    if let Some(worker) = other.filter(|_| current.is_some()) {
        world.kill(worker, status);
    }
}

/// News of another generation than the current one changes nothing.
fn stale(world: &mut World, slot: u32, generation: u32, kind: usize) {
    let worker = WorkerId::new(slot, generation);
    // What is true of a worker of now is no old news.
    let is_current = world.machine.workers().any(|known| known == worker);
    if is_current || world.processes.contains_key(&worker) {
        return;
    }
    let before: Vec<_> = world.machine.slots().collect();
    world.feed(match kind {
        0 => Event::Spawned {
            worker,
            pid: Pid(9),
            place: None,
        },
        1 => Event::Exited {
            worker,
            status: ExitStatus::Code(0),
            oom_killed: false,
        },
        2 => Event::TreeGone { worker },
        3 => Event::ReadyMessage { worker },
        4 => Event::Settled { worker },
        5 => Event::StoppingMessage { worker },
        _ => Event::MemorySample {
            worker,
            bytes: u64::MAX,
        },
    });
    assert_eq!(before, world.machine.slots().collect::<Vec<_>>());
}

/// A timeout that is called before its time changes nothing.
fn spurious(world: &mut World) {
    let early = world.machine.next_deadline().is_none_or(|at| at > world.now.instant);
    let (effects, next) = (world.log.len(), world.machine.next_deadline());
    world.tick();
    if early {
        assert_eq!((effects, next), (world.log.len(), world.machine.next_deadline()));
    }
}
