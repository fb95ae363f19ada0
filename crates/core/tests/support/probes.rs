//! Apps with probes, and what is seen of them.

use super::World;
use super::programs::{cluster, probe};
use ostler_core::{Effect, Generation, SlotId, Spec, WorkerId};

pub const FOR_EVER: u64 = u32::MAX as u64;

pub fn worker(slot: u32, generation: u32) -> WorkerId {
    WorkerId {
        slot: SlotId(slot),
        generation: Generation(generation),
    }
}

pub fn with_health(instances: u32) -> Spec {
    let mut spec = cluster("app", instances);
    spec.probes.health = Some(probe());
    spec
}

pub fn with_ready(instances: u32) -> Spec {
    let mut spec = cluster("app", instances);
    spec.probes.ready = Some(probe());
    spec
}

pub fn in_rotation(world: &World) -> Vec<WorkerId> {
    let all = world.processes.keys().copied();
    all.filter(|worker| world.is_in_rotation(*worker)).collect()
}

pub fn launches(world: &World) -> Vec<(u64, WorkerId)> {
    let spawned = world.log.iter().filter_map(|(at, effect)| match effect {
        Effect::Spawn(launch) => Some((*at, launch.worker)),
        _ => None,
    });
    spawned.collect()
}

pub fn at_of(world: &World, wanted: impl Fn(&Effect) -> bool) -> Option<u64> {
    let found = world.log.iter().find(|(_, effect)| wanted(effect));
    found.map(|(at, _)| *at)
}

pub fn withdrawn(world: &World, worker: WorkerId) -> Option<u64> {
    at_of(world, |effect| *effect == Effect::Withdraw { worker })
}
