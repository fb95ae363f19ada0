//! `direct`: each worker has a queue of its own and accepts from it; which queues get new connections.

/// The queue from which connections are given to whoever is free.
pub const COMMON: u32 = 0;

/// The numbers of the queues that new connections go to: those whose workers are in rotation. The common one if there are none (what comes waits
/// there until somebody is), or if workers are in rotation that have no queue. `own` tells of the others, in order, whether their workers
/// are in rotation.
pub fn steered(own: impl Iterator<Item = bool>, others_in_rotation: bool) -> Vec<u32> {
    let numbered = (COMMON + 1..).zip(own);
    let mut chosen: Vec<u32> = numbered
        .filter_map(|(number, in_rotation)| in_rotation.then_some(number))
        .collect();
    if chosen.is_empty() || others_in_rotation {
        chosen.insert(0, COMMON);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::steered;

    #[test]
    fn connections_go_to_workers_in_rotation_and_wait_for_one_otherwise() {
        let cases = [
            (vec![], false, vec![0]),
            (vec![false, false], false, vec![0]),
            (vec![true, false, true], false, vec![1, 3]),
            (vec![true, true], true, vec![0, 1, 2]),
        ];
        for (own, others, expected) in cases {
            assert_eq!(steered(own.clone().into_iter(), others), expected, "{own:?} {others}");
        }
    }
}
