//! What a worker has counted since it began, and what that is a second.

use super::histogram::{BUCKETS, Histogram};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Classes of HTTP status: 1xx to 5xx.
pub const CLASSES: usize = 5;
/// How many numbers of 64 bits a tally is.
pub const WORDS: usize = CLASSES + 1 + BUCKETS + 1 + 3;
/// Sums of time are kept in units of so many a millisecond.
const MICROS: f64 = 1000.0;

/// Counters of one worker, or of several together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// HTTP requests answered, by class of status.
    pub answered: [u64; CLASSES],
    /// HTTP requests whose connection closed before they were answered.
    pub aborted: u64,
    /// How long answers took, from the request's head to the answer's end.
    pub latency: Histogram,
    /// Pauses of the garbage collector: how many, in ms together.
    pub gc_pauses: u64,
    /// See `gc_pauses`.
    pub gc_ms: f64,
    /// How long the event loop had something to do, ms.
    pub loop_active_ms: f64,
}

/// What a tally has grown by, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// HTTP requests.
    pub http: HttpRates,
    /// Share of the time in which the garbage collector held everything up, 0 to 1.
    pub gc: f64,
    /// Share of the time in which the event loop had something to do, 0 to 1.
    pub loop_utilisation: f64,
}

/// HTTP requests a second, and how long their answers took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HttpRates {
    /// Answered.
    pub requests: f64,
    /// Of these, answered with 5xx.
    pub errors: f64,
    /// Given up: their connection closed before they were answered.
    pub aborted: f64,
    /// Half were answered within so many ms; none where nothing was answered.
    pub p50_ms: Option<f64>,
    /// 95 of 100.
    pub p95_ms: Option<f64>,
    /// 99 of 100.
    pub p99_ms: Option<f64>,
}

impl Tally {
    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.answered.iter_mut().zip(other.answered) {
            *count = count.saturating_add(more);
        }
        self.aborted = self.aborted.saturating_add(other.aborted);
        self.latency.merge(&other.latency);
        self.gc_pauses = self.gc_pauses.saturating_add(other.gc_pauses);
        self.gc_ms += other.gc_ms;
        self.loop_active_ms += other.loop_active_ms;
    }

    /// What it has grown by a second since `earlier`, a tally of the same worker.
    #[expect(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
    pub fn rates(&self, earlier: &Self, over: Duration) -> Rates {
        let seconds = over.as_secs_f64();
        if seconds <= 0.0 {
            return Rates::default();
        }
        let grown = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let share = |now: f64, before: f64| ((now - before) / 1000.0 / seconds).clamp(0.0, 1.0);
        let requests = self.answered.iter().zip(earlier.answered);
        let latency = self.latency.since(&earlier.latency);
        let http = HttpRates {
            requests: requests.map(|(now, before)| grown(*now, before)).sum(),
            errors: grown(self.answered[CLASSES - 1], earlier.answered[CLASSES - 1]),
            aborted: grown(self.aborted, earlier.aborted),
            p50_ms: latency.quantile_ms(0.5),
            p95_ms: latency.quantile_ms(0.95),
            p99_ms: latency.quantile_ms(0.99),
        };
        Rates {
            http,
            gc: share(self.gc_ms, earlier.gc_ms),
            loop_utilisation: share(self.loop_active_ms, earlier.loop_active_ms),
        }
    }

    /// As numbers, for memory that outlives us.
    pub fn to_words(&self) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        let counts = self
            .answered
            .iter()
            .chain([&self.aborted])
            .chain(self.latency.counts())
            .copied();
        let sums = [
            micros(self.latency.sum_ms()),
            self.gc_pauses,
            micros(self.gc_ms),
            micros(self.loop_active_ms),
        ];
        for (word, value) in words.iter_mut().zip(counts.chain(sums)) {
            *word = value;
        }
        words
    }

    /// From what [`to_words`](Self::to_words) gave.
    pub fn from_words(words: &[u64; WORDS]) -> Self {
        let mut rest = words.iter().copied();
        let mut next = || rest.next().unwrap_or_default();
        let answered = std::array::from_fn(|_| next());
        let aborted = next();
        let counts: [u64; BUCKETS] = std::array::from_fn(|_| next());
        let latency = Histogram::new(counts, millis(next()));
        let (gc_pauses, gc_ms, loop_active_ms) = (next(), millis(next()), millis(next()));
        Self {
            answered,
            aborted,
            latency,
            gc_pauses,
            gc_ms,
            loop_active_ms,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sums of time are no negative numbers, and far below 2^64"
)]
fn micros(ms: f64) -> u64 {
    (ms.max(0.0) * MICROS).round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "sums of time are far below 2^52 µs")]
fn millis(micros: u64) -> f64 {
    micros as f64 / MICROS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(requests: u64, slow: u64) -> Tally {
        let mut tally = Tally {
            answered: [0, requests, 0, 0, slow],
            aborted: 3,
            gc_pauses: 7,
            gc_ms: 12.5,
            ..Tally::default()
        };
        for _ in 0..requests {
            tally.latency.add(Duration::from_millis(3));
        }
        for _ in 0..slow {
            tally.latency.add(Duration::from_secs(2));
        }
        tally.loop_active_ms = 500.0;
        tally
    }

    #[test]
    fn it_comes_back_from_its_words() {
        let tally = tally(40, 2);
        assert_eq!(Tally::from_words(&tally.to_words()), tally);
    }

    #[test]
    fn rates_are_of_what_came_meanwhile() {
        let (before, mut now) = (tally(100, 0), tally(100, 0));
        now.merge(&tally(18, 2));
        let rates = now.rates(&before, Duration::from_secs(2));
        assert_eq!(
            (rates.http.requests, rates.http.errors, rates.http.aborted),
            (10.0, 1.0, 1.5)
        );
        assert_eq!(rates.loop_utilisation, 0.25);
        assert!(
            rates.http.p50_ms.is_some_and(|p50| (2.0..4.0).contains(&p50)),
            "{rates:?}"
        );
        assert!(
            rates.http.p99_ms.is_some_and(|p99| (1024.0..2048.0).contains(&p99)),
            "{rates:?}"
        );
        let idle = now.rates(&now, Duration::from_secs(2));
        assert_eq!((idle.http.requests, idle.http.p50_ms), (0.0, None));
    }
}
