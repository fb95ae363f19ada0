//! How long to wait before trying again. Pure: chance is a parameter.

use crate::connection::random_bits;
use std::time::Duration;

/// Before the second try, without jitter.
const FIRST: Duration = Duration::from_secs(1);
/// The longest that doubling comes to.
const LONGEST: Duration = Duration::from_secs(30);

/// How long to wait after so many tries in vain (from 1), if the other side does not say it. Doubles each time; `chance`, from 0 to 1, makes it a
/// half to the whole of that, so that those who failed together do not come back together.
pub fn delay(tries: u32, after: Option<Duration>, chance: f64) -> Duration {
    let chance = chance.clamp(0.0, 1.0);
    match after {
        // Whoever says a time means that time or later.
        Some(after) => after + after.mul_f64(chance / 10.0),
        None => {
            let doubled = FIRST.saturating_mul(1 << (tries.clamp(1, 16) - 1));
            doubled.min(LONGEST).mul_f64((1.0 + chance) / 2.0)
        }
    }
}

/// A number from 0 to 1.
pub fn chance() -> f64 {
    let [a, b, c, d, ..] = random_bits().to_le_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_a_bound_and_is_never_the_same_for_all() {
        let range = |tries| (delay(tries, None, 0.0), delay(tries, None, 1.0));
        let seconds = Duration::from_secs_f64;
        assert_eq!(range(1), (seconds(0.5), seconds(1.0)));
        assert_eq!(range(2), (seconds(1.0), seconds(2.0)));
        assert_eq!(range(5), (seconds(8.0), seconds(16.0)));
        assert_eq!(range(6), (seconds(15.0), seconds(30.0)));
        assert_eq!(range(u32::MAX), (seconds(15.0), seconds(30.0)));
    }

    #[test]
    fn it_is_never_shorter_than_what_was_said() {
        for chance in [0.0, 0.5, 1.0] {
            let delay = delay(9, Some(Duration::from_secs(10)), chance);
            assert!((10.0..=11.0).contains(&delay.as_secs_f64()), "{delay:?}");
        }
        assert_eq!(delay(1, Some(Duration::ZERO), 1.0), Duration::ZERO);
    }

    #[test]
    fn chance_is_from_0_to_1() {
        for _ in 0..100 {
            assert!((0.0..=1.0).contains(&chance()));
        }
    }
}
