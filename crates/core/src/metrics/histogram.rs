//! Durations, counted in buckets whose bounds double.
//!
//! They add up over workers and over time, which exact quantiles do not, and a quantile read off them is right to within its bucket:
//! enough for a chart, and for the question whether something got slow.

use std::time::Duration;

/// How many buckets there are: up to 0.25 ms, 0.5 ms, and so on to 35 minutes, and one for the rest.
pub const BUCKETS: usize = 25;
/// The upper bound of the first bucket, ms.
const FIRST_MS: f64 = 0.25;

/// How many durations fell into each bucket, and their sum.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum_ms: f64,
}

impl Histogram {
    /// From its parts.
    pub fn new(counts: [u64; BUCKETS], sum_ms: f64) -> Self {
        Self { counts, sum_ms }
    }

    /// How many there are in each bucket.
    pub fn counts(&self) -> &[u64; BUCKETS] {
        &self.counts
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, ms.
    pub fn sum_ms(&self) -> f64 {
        self.sum_ms
    }

    /// The upper bound of a bucket in ms; none for the last.
    pub fn bound_ms(bucket: usize) -> Option<f64> {
        let power = i32::try_from(bucket).ok()?;
        (bucket + 1 < BUCKETS).then(|| FIRST_MS * 2_f64.powi(power))
    }

    /// Counts one.
    pub fn add(&mut self, duration: Duration) {
        let ms = duration.as_secs_f64() * 1000.0;
        let bucket = (0..BUCKETS).find(|bucket| Self::bound_ms(*bucket).is_none_or(|bound| ms <= bound));
        self.counts[bucket.unwrap_or(BUCKETS - 1)] += 1;
        self.sum_ms += ms;
    }

    /// Counts what another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.sum_ms += other.sum_ms;
    }

    /// What was counted since `earlier`, of the same counter.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        let sum_ms = (self.sum_ms - earlier.sum_ms).max(0.0);
        Self { counts, sum_ms }
    }

    /// Below which duration such a share of them is, in ms: interpolated within its bucket. `None` where there are none. What is beyond
    /// the last bound counts as that bound.
    #[expect(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let rank = share.clamp(0.0, 1.0) * total as f64;
        let mut below = 0.0;
        let mut lower = 0.0;
        for (bucket, count) in self.counts.iter().enumerate() {
            let Some(upper) = Self::bound_ms(bucket) else { break };
            let count = *count as f64;
            if count > 0.0 && below + count >= rank {
                return Some(lower + (upper - lower) * ((rank - below) / count).clamp(0.0, 1.0));
            }
            below += count;
            lower = upper;
        }
        Some(lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(durations: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for micros in durations {
            histogram.add(Duration::from_micros(*micros));
        }
        histogram
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Histogram::default().quantile_ms(0.5), None);
    }

    #[test]
    fn a_bucket_ends_with_its_bound() {
        assert_eq!(of(&[250]).counts()[0], 1);
        assert_eq!(of(&[251]).counts()[1], 1);
        assert_eq!(of(&[u64::MAX / 2000]).counts()[BUCKETS - 1], 1);
        assert_eq!(Histogram::bound_ms(2), Some(1.0));
        assert_eq!(Histogram::bound_ms(BUCKETS - 1), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_the_bucket_of_the_real_one(
            mut durations in prop::collection::vec(0..40_000_000_u64, 1..200),
            share in 0.0..=1.0_f64,
        ) {
            let told = of(&durations).quantile_ms(share).expect("some");
            durations.sort_unstable();
            let last = durations.len() - 1;
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let rank = ((share * durations.len() as f64).ceil() as usize).saturating_sub(1).min(last);
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let real = durations[rank] as f64 / 1000.0;
            prop_assert!(told <= (2.0 * real).max(FIRST_MS) + 1e-9 && told >= real / 2.0 - FIRST_MS, "{told} for {real}");
        }

        #[test]
        fn what_came_since_is_what_was_merged(
            first in prop::collection::vec(0..9_000_000_u64, 0..50),
            second in prop::collection::vec(0..9_000_000_u64, 0..50),
        ) {
            let (first, second) = (of(&first), of(&second));
            let mut both = first.clone();
            both.merge(&second);
            let meanwhile = both.since(&first);
            prop_assert_eq!(meanwhile.counts(), second.counts());
            prop_assert_eq!(both.count(), first.count() + second.count());
        }
    }
}
