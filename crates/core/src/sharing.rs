//! How much of the processors the workers of a cluster have beside other programs.
//!
//! Called by the daemon. Where no control group says so, the kernel gives each *session* an equal share of the processors that it wants
//! (sched(7), *The autogroup feature*). Each worker leads a session, so that a cluster of many would have many shares, and one that shares a machine with its
//! clients or its database would take from those that it waits for. So all workers of a cluster together weigh what one session weighs, as those of Node's own
//! `cluster` do, which are in one; and as a service of systemd or a container does, whatever number of processes it has.

/// What each step of niceness makes of a weight (sched(7); the kernel's `sched_prio_to_weight` has it rounded).
const STEP: f64 = 1.25;
/// The last step there is.
const LAST: i32 = 19;

/// The niceness of the session of one of so many workers that weigh one session together.
pub fn niceness(workers: u32) -> i32 {
    let steps = f64::from(workers.max(1)).log(STEP);
    #[expect(clippy::cast_possible_truncation, reason = "at most 100: the logarithm of a u32")]
    let steps = steps.round() as i32;
    steps.clamp(0, LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's `sched_prio_to_weight`, from 0 on (`kernel/sched/core.c`).
    const WEIGHTS: [u32; 20] = [
        1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
    ];

    #[test]
    fn workers_weigh_one_session_together_within_an_eighth() {
        for workers in 1..=64 {
            let niceness = usize::try_from(niceness(workers)).expect("not negative");
            let together = f64::from(WEIGHTS[niceness] * workers) / 1024.0;
            assert!((0.875..=1.14).contains(&together), "{workers} workers: {together}");
        }
    }

    #[test]
    fn one_is_not_nice_and_none_is_nicer_than_can_be() {
        assert_eq!([0, 1, 2, 4, 8, 10_000, u32::MAX].map(niceness), [0, 0, 3, 6, 9, 19, 19]);
    }
}
