//! Charts of several workers become one line each: the last ten minutes by ten seconds. Pure.

use ostler_core::SlotId;
use ostler_wire::metrics::{Chart, Measure};
use std::collections::BTreeMap;

/// So many points are ten minutes.
pub const POINTS: usize = 60;

/// For so long one point stands, ms.
const SPAN: u64 = 10_000;

/// The last ten minutes, oldest first; nothing where nothing was measured.
pub type Series = [Option<f32>; POINTS];

/// What of these slots was measured, added up, or the largest where a sum would mean nothing.
pub fn of(charts: &[Chart], slots: &[SlotId]) -> BTreeMap<Measure, Series> {
    let mut all: BTreeMap<Measure, Series> = BTreeMap::new();
    for chart in charts.iter().filter(|chart| slots.contains(&chart.id)) {
        let series = all.entry(chart.measure).or_insert([None; POINTS]);
        for point in chart.points.iter().filter(|point| point.span_ms <= SPAN) {
            let back = usize::try_from(point.ago_ms / SPAN).unwrap_or(POINTS);
            if let Some(place) = POINTS.checked_sub(back + 1) {
                series[place] = Some(joined(chart.measure, series[place], point.mean));
            }
        }
    }
    all
}

fn joined(measure: Measure, one: Option<f32>, other: f32) -> f32 {
    match (measure, one) {
        (_, None) => other,
        (Measure::LoopDelay | Measure::LoopUtilisation | Measure::Latency, Some(one)) => one.max(other),
        (Measure::Cpu | Measure::Memory | Measure::Heap | Measure::Requests | Measure::Connections, Some(one)) => {
            one + other
        }
    }
}

/// The line as blocks of eight heights, `rows` lines from the top, so many of the latest points as there are columns. The largest
/// value, or `least` if that is larger, fills all.
pub fn blocks(series: &Series, columns: usize, rows: usize, least: f32) -> Vec<String> {
    const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let latest = &series[POINTS - columns.min(POINTS)..];
    let top = latest.iter().flatten().copied().fold(least, f32::max);
    let eighths = |value: f32| (value / top * (rows * 8) as f32).round() as usize;
    let height = |value: &Option<f32>| value.map_or(0, |value| eighths(value.max(0.0)).max(1));
    let line = |row: usize| {
        let below = (rows - 1 - row) * 8;
        latest
            .iter()
            .map(|value| HEIGHTS[height(value).saturating_sub(below).min(8)])
            .collect()
    };
    (0..rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_wire::metrics::ChartPoint;

    fn chart(id: u32, measure: Measure, points: &[(u64, f32)]) -> Chart {
        let point = |&(ago_ms, mean): &(u64, f32)| ChartPoint {
            ago_ms,
            span_ms: 10_000,
            mean,
            largest: mean,
        };
        Chart {
            id: SlotId(id),
            measure,
            points: points.iter().map(point).collect(),
        }
    }

    #[test]
    fn workers_of_an_app_add_up_but_for_delays() {
        let mut charts = vec![
            chart(0, Measure::Cpu, &[(4_000, 10.0), (14_000, 1.0)]),
            chart(1, Measure::Cpu, &[(4_000, 5.0)]),
            chart(2, Measure::Cpu, &[(4_000, 100.0)]),
            chart(0, Measure::LoopDelay, &[(4_000, 3.0)]),
            chart(1, Measure::LoopDelay, &[(4_000, 8.0), (700_000, 1.0)]),
        ];
        charts[0].points.push(ChartPoint {
            ago_ms: 30_000,
            span_ms: 60_000,
            mean: 77.0,
            largest: 77.0,
        });
        let series = of(&charts, &[SlotId(0), SlotId(1)]);
        let cpu = series[&Measure::Cpu];
        assert_eq!(cpu[POINTS - 3..], [None, Some(1.0), Some(15.0)]);
        assert_eq!(series[&Measure::LoopDelay][POINTS - 1], Some(8.0));
        assert_eq!(cpu.iter().flatten().count(), 2);
    }

    #[test]
    fn the_largest_fills_the_height_and_gaps_stay_gaps() {
        let mut series = [None; POINTS];
        series[POINTS - 4..].copy_from_slice(&[Some(0.0), None, Some(8.0), Some(16.0)]);
        assert_eq!(blocks(&series, 4, 1, 0.1), ["▁ ▄█"]);
        assert_eq!(blocks(&series, 4, 2, 0.1), ["   █", "▁ ██"]);
        assert_eq!(blocks(&series, 2, 1, 32.0), ["▂▄"]);
        assert_eq!(
            blocks(&[Some(0.0); POINTS], 2, 1, 0.0)[0],
            "▁▁",
            "no division by zero is seen"
        );
        assert_eq!(blocks(&series, 99, 1, 0.1)[0].chars().count(), POINTS);
    }
}
