//! An hour of numbers in little memory: the last ten minutes by 10 s, the hour by minutes, of each the mean and the largest.

use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How many points there are of either kind.
const POINTS: usize = 60;
/// What a point stands for, ms.
const FINE: u64 = 10_000;
/// See [`FINE`].
const COARSE: u64 = 60_000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Processor time, in percent of one processor.
    Cpu,
    /// Resident memory, bytes.
    Memory,
    /// Delay of the event loop, ms, 99 of 100 below.
    LoopDelay,
    /// Share of the time in which the event loop had something to do, percent.
    LoopUtilisation,
    /// Heap in use, bytes.
    Heap,
    /// HTTP requests a second.
    Requests,
    /// How long answers took, ms, 95 of 100 below.
    Latency,
    /// Open connections.
    Connections,
}

/// A point of a chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When its time began.
    pub at: Instant,
    /// For how long it stands.
    pub span: Duration,
    /// The mean.
    pub mean: f32,
    /// The largest.
    pub largest: f32,
}

/// All that is kept of one slot. What was never measured takes no room.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    rings: BTreeMap<Measure, [Ring; 2]>,
}

/// Points of one span. Where nothing was measured is a point without samples.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ring {
    /// The number of the newest point: its time divided by the span.
    newest: u64,
    points: VecDeque<Bin>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bin {
    sum: f32,
    largest: f32,
    samples: u16,
}

impl Series {
    /// Takes a sample. What is older than the newest one is left out.
    pub fn record(&mut self, now: Instant, measure: Measure, value: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "a chart needs no more digits")]
        let value = value as f32;
        let rings = self.rings.entry(measure).or_default();
        for (ring, span) in rings.iter_mut().zip([FINE, COARSE]) {
            ring.record(now.0 / span, value);
        }
    }

    /// What was measured, in order of time: minutes first, then the last ten minutes by 10 s. Gaps are left out.
    pub fn points(&self, measure: Measure) -> Vec<Point> {
        let Some([fine, coarse]) = self.rings.get(&measure) else {
            return Vec::new();
        };
        let fine: Vec<Point> = fine.points(FINE).collect();
        let begin = fine.first().map(|point| point.at);
        let older = coarse.points(COARSE);
        let older = older.filter(|point| begin.is_none_or(|begin| point.at + point.span <= begin));
        older.chain(fine.iter().copied()).collect()
    }

    /// What has something to show.
    pub fn measures(&self) -> impl Iterator<Item = Measure> {
        self.rings.keys().copied()
    }
}

impl Ring {
    fn record(&mut self, number: u64, value: f32) {
        if self.points.is_empty() || number > self.newest {
            let gap = if self.points.is_empty() {
                0
            } else {
                (number - self.newest - 1).min(POINTS as u64)
            };
            for _ in 0..gap {
                self.push(Bin::default());
            }
            self.push(Bin::default());
            self.newest = number;
        }
        if number == self.newest
            && let Some(bin) = self.points.back_mut()
        {
            bin.largest = if bin.samples == 0 {
                value
            } else {
                bin.largest.max(value)
            };
            bin.sum += value;
            bin.samples = bin.samples.saturating_add(1);
        }
    }

    fn push(&mut self, bin: Bin) {
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back(bin);
    }

    fn points(&self, span: u64) -> impl Iterator<Item = Point> {
        let first = (self.newest + 1).saturating_sub(self.points.len() as u64);
        let numbered = (first..).zip(&self.points).filter(|(_, bin)| bin.samples > 0);
        numbered.map(move |(number, bin)| Point {
            at: Instant(number * span),
            span: Duration::from_millis(span),
            mean: bin.sum / f32::from(bin.samples),
            largest: bin.largest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gap_is_a_gap() {
        let mut series = Series::default();
        series.record(Instant(1_000_000), Measure::Cpu, 10.0);
        series.record(Instant(1_004_000), Measure::Cpu, 30.0);
        series.record(Instant(1_031_000), Measure::Cpu, 5.0);
        let points = series.points(Measure::Cpu);
        let told: Vec<_> = points
            .iter()
            .map(|point| (point.at.0, point.mean, point.largest))
            .collect();
        assert_eq!(told, [(1_000_000, 20.0, 30.0), (1_030_000, 5.0, 5.0)]);
        assert_eq!(series.points(Measure::Heap), []);
    }

    proptest! {
        /// Against a plain list of all samples.
        #[test]
        fn it_says_what_a_list_of_all_samples_says(
            steps in prop::collection::vec((0..200_000_u64, 0..1000_u16), 1..300),
        ) {
            let mut series = Series::default();
            let mut samples = Vec::new();
            let mut now = 5_000_000;
            for (later, value) in steps {
                now += later;
                series.record(Instant(now), Measure::Memory, f64::from(value));
                samples.push((now, f32::from(value)));
            }
            let points = series.points(Measure::Memory);
            prop_assert!(points.is_sorted_by(|one, other| one.at + one.span <= other.at), "in order, none twice");
            for point in &points {
                let end = point.at + point.span;
                let within = samples.iter().filter(|(at, _)| (point.at.0..end.0).contains(at)).map(|(_, value)| *value);
                let within: Vec<f32> = within.collect();
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let mean = within.iter().sum::<f32>() / within.len() as f32;
                prop_assert!((point.mean - mean).abs() < 0.01, "{point:?} {mean}");
                prop_assert_eq!(point.largest, within.iter().copied().fold(0.0, f32::max));
            }
            // Nothing of the last ten minutes is missing.
            let newest = now / FINE;
            let recent: std::collections::BTreeSet<u64> =
                samples.iter().map(|(at, _)| at / FINE).filter(|number| number + POINTS as u64 > newest).collect();
            let fine: std::collections::BTreeSet<u64> =
                points.iter().filter(|point| point.span == Duration::from_millis(FINE)).map(|point| point.at.0 / FINE).collect();
            prop_assert_eq!(fine, recent);
        }
    }
}
