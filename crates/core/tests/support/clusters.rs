//! Apps in cluster mode, and whether somebody serves at each moment.

use super::programs::cluster;
use super::{World, ms};

/// An app that is up, with so many workers.
pub fn up(instances: u32) -> World {
    let mut world = World::new();
    let start = world.start(cluster("app", instances));
    let _ = world.reply(start);
    assert_eq!(world.serving(&slots(instances)), instances as usize);
    world
}

pub fn slots(count: u32) -> Vec<u32> {
    (0..count).collect()
}

pub fn generations(world: &World, instances: u32) -> Vec<u32> {
    slots(instances)
        .iter()
        .map(|slot| world.view(*slot).generation.0)
        .collect()
}

/// Lets time pass, and sees to it that somebody serves at each moment.
pub fn run_served(world: &mut World, instances: u32, millis: u64) {
    for _ in 0..millis {
        world.run(ms(1));
        assert!(
            world.serving(&slots(instances)) >= instances as usize,
            "{:?}",
            world.now
        );
    }
}
