//! Sums that do not depend on the order in which they were added up.
//!
//! To Prometheus a counter that is less than before began anew, and all of it is counted again. Sums of floating point numbers differ in
//! their last digit by their order, and what belongs to a worker changes its place in the sum when the worker ends.

use serde::{Deserialize, Serialize};
use std::ops::Add;

/// A number with twice the digits of an `f64` (T. J. Dekker, "A floating-point technique for extending the available precision", 1971). Sums of
/// numbers up to some 2^50 times as large as the smallest are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exact {
    /// The number as near as an `f64` has it.
    pub value: f64,
    /// What it has more.
    #[serde(default, skip_serializing_if = "is_nothing")]
    rest: f64,
}

fn is_nothing(rest: &f64) -> bool {
    *rest == 0.0
}

impl From<f64> for Exact {
    fn from(value: f64) -> Self {
        Self { value, rest: 0.0 }
    }
}

impl Add for Exact {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (high, error) = sum_and_error(self.value, other.value);
        if !high.is_finite() {
            return high.into();
        }
        let (low, last) = sum_and_error(self.rest, other.rest);
        let (high, error) = sum_and_error(high, error + low);
        let (value, rest) = sum_and_error(high, error + last);
        Self { value, rest }
    }
}

/// What two have together, rounded, and what that is short of (D. E. Knuth, The Art of Computer Programming, volume 2, 4.2.2).
fn sum_and_error(one: f64, other: f64) -> (f64, f64) {
    let sum = one + other;
    let of_other = sum - one;
    let of_one = sum - of_other;
    (sum, (one - of_one) + (other - of_other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn added(amounts: &[f64]) -> Exact {
        (amounts.iter()).fold(Exact::default(), |sum, amount| sum + (*amount).into())
    }

    #[test]
    fn what_is_too_large_is_infinite_and_what_is_no_number_stays_none() {
        assert_eq!(added(&[f64::MAX, f64::MAX, 1.0]).value, f64::INFINITY);
        assert!(added(&[f64::NAN, 1.0]).value.is_nan());
    }

    proptest! {
        #[test]
        fn the_order_does_not_matter(amounts in prop::collection::vec(1e-5..1e8_f64, 1..50), by in any::<prop::sample::Index>()) {
            let (sum, mut other) = (added(&amounts), amounts);
            let by = by.index(other.len());
            other.rotate_left(by);
            prop_assert_eq!(sum, added(&other));
            other.reverse();
            prop_assert_eq!(sum, added(&other));
            let (some, others) = other.split_at(by);
            prop_assert_eq!(sum, added(some) + added(others));
        }
    }
}
