//! Everything about one process as tables, row by row what PM2's `describe` shows. Pure.

use crate::printer::{BAD, GOOD, HEADER, NEUTRAL, WARNING, paint};
use crate::table::{self, Cell};
use crate::units;
use crate::verdicts::ended;
use ostler_core::{Interpreter, Mode, Probe, SlotView, Status, WallTime};
use ostler_wire::control::Process;
use ostler_wire::metrics::{CustomMetric, NodeMetrics};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// PM2's word for what is not there.
const MISSING: &str = "N/A";

/// The tables. `environment` is the caller's, to show where the process differs from it.
pub fn text(process: &Process, environment: &BTreeMap<String, String>, now: WallTime, colour: bool) -> String {
    let (view, spec) = (&process.view, &process.view.spec);
    let title = format!(" Describing process with id {} - name {} ", view.id, spec.name);
    let mut text = format!("{}\n", paint(colour, HEADER.invert(), &title));
    text.push_str(&table::draw_pairs(&rows(process, now), colour));
    let mut measures = process.node.as_ref().map(measured).unwrap_or_default();
    measures.extend(
        process
            .custom
            .iter()
            .map(|(name, metric)| (name.as_str(), custom(metric))),
    );
    if !measures.is_empty() {
        text.push_str(&format!("{}\n", paint(colour, HEADER.invert(), " Code metrics value ")));
        text.push_str(&table::draw_pairs(&measures, colour));
    }
    if !process.actions.is_empty() {
        text.push_str(&format!("{}\n", paint(colour, HEADER.invert(), " Actions available ")));
        let call = |name: &str| Cell::plain(format!("ostler trigger {} {name}", view.id));
        let actions = process
            .actions
            .iter()
            .map(|action| (action.name.as_str(), call(&action.name)));
        text.push_str(&table::draw_pairs(&actions.collect::<Vec<_>>(), colour));
    }
    let differing = differing_variables(process, environment);
    if !differing.is_empty() {
        let title = " Divergent env variables from local env ";
        text.push_str(&format!("{}\n", paint(colour, HEADER.invert(), title)));
        let pairs: Vec<(&str, Cell<'_>)> = differing
            .iter()
            .map(|(name, value)| (*name, Cell::plain(*value)))
            .collect();
        text.push_str(&table::draw_pairs(&pairs, colour));
    }
    text.push_str(&format!(
        "\n `ostler logs {name}` shows its output, `ostler why {name}` its history, `ostler env {id}` its environment\n\n",
        name = spec.name,
        id = view.id,
    ));
    text
}

/// What a program of Node says of itself.
fn measured(node: &NodeMetrics) -> Vec<(&'static str, Cell<'_>)> {
    let ms = |ms: f64| format!("{ms:.1} ms");
    let percent = |percent: Option<f64>| percent.map(|percent| format!("{percent:.1} %"));
    let delay = node.loop_delay;
    let http = node.http;
    let heap = format!("{} of {}", units::memory(node.heap), units::memory(node.heap_limit));
    let rows = [
        ("heap", Some(heap)),
        ("garbage collection", percent(node.gc)),
        ("event loop utilisation", percent(node.loop_utilisation)),
        ("event loop delay", delay.map(|delay| ms(delay.mean))),
        ("event loop delay p99", delay.map(|delay| ms(delay.p99))),
        (
            "HTTP requests",
            http.map(|http| format!("{:.1} a second", http.requests)),
        ),
        ("HTTP requests in flight", Some(node.in_flight.to_string())),
        ("HTTP latency p50", http.and_then(|http| http.p50_ms).map(ms)),
        ("HTTP latency p95", http.and_then(|http| http.p95_ms).map(ms)),
        ("active handles", Some(node.active_handles.to_string())),
        ("active requests", Some(node.active_requests.to_string())),
    ];
    let cell = |value: Option<String>| Cell::plain(value.map_or(Cow::Borrowed(MISSING), Cow::Owned));
    rows.into_iter().map(|(name, value)| (name, cell(value))).collect()
}

/// What the app measures itself.
fn custom(metric: &CustomMetric) -> Cell<'_> {
    let value = match &metric.value {
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    Cell::plain(match &metric.unit {
        Some(unit) => format!("{value} {unit}"),
        None => value,
    })
}

fn rows(process: &Process, now: WallTime) -> Vec<(&'static str, Cell<'_>)> {
    let (view, spec) = (&process.view, &process.view.spec);
    let program = &spec.program;
    let interpreter = match &program.interpreter {
        Interpreter::None => "none",
        Interpreter::Program(program) => program,
    };
    let mut rows = vec![
        ("status", status(view.status)),
        ("name", Cell::plain(&spec.name)),
        ("namespace", Cell::plain(&spec.namespace)),
        ("version", or_missing(process.version.as_deref())),
        ("restarts", Cell::plain(view.restarts.to_string())),
    ];
    rows.extend(
        spec.memory_limit
            .map(|limit| ("max memory restart", Cell::plain(units::memory(limit)))),
    );
    rows.extend(
        spec.memory_kill
            .map(|limit| ("max memory kill", Cell::plain(units::memory(limit)))),
    );
    rows.extend(spec.cron.as_ref().map(|pattern| ("cron restart", Cell::plain(pattern))));
    rows.push(("uptime", Cell::plain(uptime(view, now))));
    rows.extend(
        process
            .combined_log
            .as_ref()
            .map(|path| ("entire log path", Cell::plain(path))),
    );
    rows.extend([
        ("script path", Cell::plain(&program.path)),
        ("script args", words(&program.args)),
        ("error log path", Cell::plain(&process.error_log)),
        ("out log path", Cell::plain(&process.out_log)),
        ("pid path", Cell::plain(&process.pid_file)),
        ("interpreter", Cell::plain(interpreter)),
        ("interpreter args", words(&program.interpreter_args)),
        ("script id", Cell::plain(view.id.to_string())),
        ("exec cwd", Cell::plain(&program.cwd)),
        ("exec mode", Cell::plain(mode(spec.mode))),
        ("node.js version", or_missing(process.node_version.as_deref())),
        ("node env", or_missing(variable(process, "NODE_ENV"))),
        (
            "watch & reload",
            if view.watching {
                Cell::styled("✔", GOOD)
            } else {
                Cell::styled("✘", BAD)
            },
        ),
        ("unstable restarts", Cell::plain(view.unstable_restarts.to_string())),
        ("created at", or_missing(view.created_at.map(units::iso))),
    ]);
    rows.extend(used(process));
    if let Some(connections) = process.connections {
        rows.push(("connections taken", number(connections.accepted)));
        let gave_back = connections.refused.filter(|refused| *refused > 0);
        rows.extend(gave_back.map(|refused| ("connections given back", number(Some(refused)))));
        rows.push(("connections open", number(connections.active)));
    }
    rows.extend(health(view));
    rows.extend(process.said.as_deref().map(|text| ("says", Cell::plain(text))));
    rows.extend(view.last_exit.map(|status| ("last exit", Cell::plain(ended(status)))));
    let dropped = process.dropped_log_bytes;
    rows.extend((dropped > 0).then(|| ("log bytes lost", Cell::styled(units::memory(dropped), BAD))));
    rows
}

/// What its process tree uses.
fn used(process: &Process) -> Vec<(&'static str, Cell<'static>)> {
    let mut rows = Vec::new();
    if let Some(usage) = process.usage {
        rows.push(("cpu", Cell::plain(format!("{} %", usage.cpu))));
        rows.push(("memory", Cell::plain(units::memory(usage.memory))));
    }
    if let Some(footprint) = process.footprint {
        let share = footprint.proportional_memory.map(units::memory);
        rows.push(("memory by share", or_missing(share)));
        rows.push(("processes", number(Some(footprint.processes))));
        rows.push(("threads", number(Some(footprint.threads))));
        rows.push(("open descriptors", number(footprint.descriptors)));
    }
    rows
}

/// What each declared probe says.
fn health(view: &SlotView) -> Vec<(&'static str, Cell<'static>)> {
    let (probes, health) = (&view.spec.probes, &view.health);
    let asked = [
        (
            "health",
            probes.health.as_ref(),
            health.healthy,
            ["healthy", "unhealthy"],
        ),
        ("ready", probes.ready.as_ref(), health.ready, ["ready", "not ready"]),
    ];
    let row = |(name, probe, says, [good, bad]): (_, Option<&Probe>, Option<bool>, [&'static str; 2])| {
        probe?;
        let cell = match (says, &health.why) {
            (Some(true), _) => Cell::styled(good, GOOD),
            (Some(false), Some(why)) => Cell::styled(format!("{bad}: {why}"), BAD),
            (Some(false), None) => Cell::styled(bad, BAD),
            (None, _) => Cell::plain("—"),
        };
        Some((name, cell))
    };
    asked.into_iter().filter_map(row).collect()
}

fn status(status: Status) -> Cell<'static> {
    let style = match status {
        Status::Online => GOOD,
        Status::Launching => NEUTRAL,
        Status::Stopping | Status::WaitingRestart => WARNING,
        Status::Stopped | Status::Errored => BAD,
    };
    Cell::styled(status.as_str(), style.bold())
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Fork => "fork_mode",
        Mode::Cluster => "cluster_mode",
    }
}

fn uptime(view: &SlotView, now: WallTime) -> String {
    match (view.status, view.launched_at) {
        (Status::Online, Some(launched)) => units::uptime(u64::try_from(now.0 - launched.0).unwrap_or(0)),
        (Status::Online, None)
        | (Status::Launching | Status::Stopping | Status::Stopped | Status::Errored | Status::WaitingRestart, _) => {
            "0".to_owned()
        }
    }
}

fn words(words: &[String]) -> Cell<'static> {
    or_missing((!words.is_empty()).then(|| words.join(" ")))
}

fn or_missing<'a>(text: Option<impl Into<Cow<'a, str>>>) -> Cell<'a> {
    text.map_or(Cell::plain(MISSING), Cell::plain)
}

/// A number that may be unknown.
fn number(number: Option<u64>) -> Cell<'static> {
    number.map_or(Cell::plain("—"), |number| Cell::plain(number.to_string()))
}

fn variable<'a>(process: &'a Process, name: &str) -> Option<&'a str> {
    let environment = &process.view.spec.environment;
    environment
        .declared
        .get(name)
        .or_else(|| environment.inherited.get(name))
        .map(String::as_str)
}

/// Variables that both have with different values.
fn differing_variables<'a>(process: &'a Process, local: &BTreeMap<String, String>) -> Vec<(&'a str, &'a str)> {
    let environment = &process.view.spec.environment;
    let names = environment.inherited.keys().chain(environment.declared.keys());
    let mut differing: Vec<(&str, &str)> = names
        .filter_map(|name| {
            let (own, local) = (variable(process, name)?, local.get(name)?);
            (own != local).then_some((name.as_str(), own))
        })
        .collect();
    differing.sort_unstable();
    differing.dedup();
    differing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{AT, process};
    use ostler_wire::metrics::{HttpRates, LoopDelay};

    #[test]
    fn a_process_is_described_row_by_row() {
        let local = [
            ("PATH", "/usr/local/bin"),
            ("NODE_ENV", "production"),
            ("HOME", "/root"),
        ];
        let local = local.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let now = WallTime(AT.0 + 65_000);
        let node = NodeMetrics {
            age_ms: 800,
            loop_delay: Some(LoopDelay {
                mean: 0.54,
                p50: 0.25,
                p99: 4.0,
                max: 12.0,
            }),
            loop_utilisation: Some(25.04),
            gc: Some(1.0),
            heap: 9_000_000,
            heap_limit: 4_000_000_000,
            active_handles: 3,
            active_requests: 0,
            in_flight: 1,
            http: Some(HttpRates {
                requests: 120.25,
                p50_ms: Some(1.5),
                ..HttpRates::default()
            }),
        };
        let process = Process {
            node: Some(node),
            ..process(0, "api")
        };
        insta::assert_snapshot!("describe", text(&process, &local, now, false));
    }
}
