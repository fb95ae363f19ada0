//! What was measured: charts of the last ten minutes, the line of small ones, and what an app measures itself.

use super::layout::Layout;
use super::theme::Tone;
use super::{Canvas, millis, percent, rate};
use crate::monit::model::Dashboard;
use crate::monit::series::{self, POINTS, Series};
use crate::terminal_text::plain;
use crate::units;
use ostler_wire::metrics::Measure;
use unicode_width::UnicodeWidthStr;

/// What there are charts of: title, and the value that fills the height when all are smaller.
const CHARTS: [(Measure, &str, f32); 6] = [
    (Measure::Cpu, "cpu", 10.0),
    (Measure::Memory, "mem", 1_048_576.0),
    (Measure::Requests, "req/s", 1.0),
    (Measure::LoopDelay, "loop", 5.0),
    (Measure::Latency, "p95", 5.0),
    (Measure::Connections, "conn", 1.0),
];

/// Columns before a chart: its title and its latest value.
const CAPTION: u16 = 16;

/// The small charts above the pane, of these there is room for.
const STRIP: usize = 4;

fn value(measure: Measure, value: f32) -> String {
    match measure {
        Measure::Cpu | Measure::LoopUtilisation => percent(f64::from(value)),
        Measure::Memory | Measure::Heap => units::memory(value as u64),
        Measure::LoopDelay | Measure::Latency => millis(f64::from(value)),
        Measure::Requests => rate(f64::from(value)),
        Measure::Connections => format!("{value:.0}"),
    }
}

fn latest(series: &Series) -> Option<f32> {
    // The last point may have begun a moment ago.
    series[POINTS - 1].or(series[POINTS - 2])
}

pub fn strip(canvas: &mut Canvas<'_>, dashboard: &Dashboard, line: u16) {
    let each = canvas.width() / STRIP as u16;
    for (at, (measure, title, least)) in CHARTS.into_iter().take(STRIP).enumerate() {
        let begin = at as u16 * each + 1;
        let next = canvas.put(begin, line, title, Tone::Faint) + 1;
        let series = dashboard.charts.get(&measure);
        let now = series
            .and_then(latest)
            .map_or_else(|| "—".to_owned(), |now| value(measure, now));
        // Room for `1023.9mb` and a column between two charts.
        let columns = (begin + each).saturating_sub(next + 9).min(20);
        let drawn = series.map(|series| series::blocks(series, usize::from(columns), 1, least));
        let next = match &drawn {
            Some(rows) => canvas.put(next, line, &rows[0], Tone::Chart) + 1,
            None => next,
        };
        canvas.put(next, line, &now, Tone::Plain);
    }
}

pub fn draw(canvas: &mut Canvas<'_>, dashboard: &Dashboard, layout: &Layout) {
    let (mut first, mut lines) = layout.pane;
    let own = own_metrics(dashboard, usize::from(canvas.width()) - 2);
    for text in own.iter().take(usize::from(lines / 3)) {
        canvas.put(1, first, text, Tone::Plain);
        (first, lines) = (first + 1, lines - 1);
    }
    let measured = CHARTS
        .iter()
        .filter(|(measure, ..)| dashboard.charts.contains_key(measure));
    let measured: Vec<_> = measured.take(usize::from(lines.saturating_sub(1)).max(1)).collect();
    if measured.is_empty() {
        if own.is_empty() {
            canvas.put(1, first, "nothing has been measured yet", Tone::Faint);
        }
        return;
    }
    let columns = (canvas.width() - CAPTION - 1).min(POINTS as u16);
    let height = ((lines - 1) / measured.len() as u16).clamp(1, 4);
    for (line, (measure, title, least)) in (first..).step_by(usize::from(height)).zip(&measured) {
        let series = &dashboard.charts[measure];
        let now = latest(series).map_or_else(|| "—".to_owned(), |now| value(*measure, now));
        canvas.put(1, line, title, Tone::Title);
        canvas.put_right(CAPTION - 1, line, &now, Tone::Plain);
        if height > 1 {
            let most = series.iter().flatten().copied().fold(0.0, f32::max);
            canvas.put_right(
                CAPTION - 1,
                line + 1,
                &format!("≤ {}", value(*measure, most)),
                Tone::Faint,
            );
        }
        let drawn = series::blocks(series, usize::from(columns), usize::from(height), *least);
        for (at, row) in (line..).zip(&drawn) {
            canvas.put(CAPTION, at, row, Tone::Chart);
        }
    }
    let axis = first + lines - 1;
    let minutes = columns / 6;
    canvas.put(CAPTION, axis, &format!("{minutes} min ago"), Tone::Faint);
    canvas.put_right(CAPTION + columns, axis, "now", Tone::Faint);
}

/// What the worker that is selected measures itself, as lines of at most so many columns. Of several there is no sum that would be
/// right for all.
fn own_metrics(dashboard: &Dashboard, columns: usize) -> Vec<String> {
    let Some([only]) = dashboard.row().map(|row| row.slots.as_slice()) else {
        return Vec::new();
    };
    let worker = dashboard.metrics.workers.iter().find(|worker| worker.row.id == *only);
    let mut lines: Vec<String> = Vec::new();
    for (name, metric) in worker.iter().flat_map(|worker| &worker.custom) {
        let value = match &metric.value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let unit = metric
            .unit
            .as_deref()
            .map_or_else(String::new, |unit| format!(" {unit}"));
        let said = plain(&format!("{name}: {value}{unit}"));
        match lines.last_mut() {
            Some(line) if line.width() + 3 + said.width() <= columns => *line = format!("{line}   {said}"),
            Some(_) | None => lines.push(said),
        }
    }
    lines
}
