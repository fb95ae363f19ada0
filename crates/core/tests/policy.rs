//! PM2's restart rule against a model written from its description, with random lives of processes.

mod support;

use ostler_core::{ExitStatus, RestartLimit, Status};
use proptest::prelude::*;
use support::programs::{Program, pm2_spec};
use support::{World, ms, secs};

/// How long a launch takes in the virtual world, ms.
const BOOT: u64 = 5;

/// When each launch is ordered, and whether the app is given up in the end. All in ms.
fn model(lives: &[u64], max_restarts: u64, min_uptime: u64, delay: u64, backoff: u64) -> (Vec<u64>, bool) {
    let (mut launches, mut unstable, mut last_delay) = (vec![0], 0, 0);
    for life in lives {
        let exit = launches[launches.len() - 1] + BOOT + life;
        if exit < min_uptime * max_restarts && *life < min_uptime {
            unstable += 1;
        }
        if unstable >= max_restarts {
            return (launches, true);
        }
        last_delay = match (backoff, last_delay) {
            (0, _) => delay,
            (base, 0) => base,
            (_, last) => (last * 3 / 2).min(15_000),
        };
        launches.push(exit + last_delay);
    }
    (launches, false)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn launches_come_when_the_description_of_pm2_says(
        lives in prop::collection::vec(prop_oneof![0..200_u64, 0..3000_u64], 1..25),
        max_restarts in 1..20_u32,
        min_uptime in 100..2000_u64,
        delay in prop_oneof![Just(0), 1..3000_u64],
        backoff in prop_oneof![Just(0), 1..300_u64],
    ) {
        let mut spec = pm2_spec("app");
        spec.restart.limit = RestartLimit::Unstable { max_restarts };
        spec.restart.min_uptime = ms(min_uptime);
        spec.restart.delay = (delay > 0).then(|| ms(delay));
        spec.restart.backoff = (backoff > 0).then(|| ms(backoff));
        let mut programs: Vec<Program> =
            lives.iter().map(|life| Program::ending(ms(*life), ExitStatus::Code(1))).collect();
        programs.push(Program::server());
        let mut world = World::with_twin(None);
        world.script("app", programs);
        world.start(spec);
        world.run(secs(2000));
        let (launches, errored) = model(&lives, u64::from(max_restarts), min_uptime, delay, backoff);
        prop_assert_eq!(world.launches(0), launches.clone());
        prop_assert_eq!(world.status(0), if errored { Status::Errored } else { Status::Online });
        prop_assert_eq!(world.view(0).restarts as usize, launches.len() - 1);
    }
}
