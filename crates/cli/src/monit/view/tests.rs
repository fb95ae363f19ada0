use super::*;
use crate::logs::format::Stream;
use crate::monit::keys::Key;
use crate::monit::log_pane::LogLine;
use crate::monit::model::Input;
use crate::monit::request::Report;
use crate::monit::samples::{metrics, worker};
use crate::monit::series::POINTS;
use ostler_core::history::{Cause, EndCause, Entry, Next, What};
use ostler_core::{AppId, Awaited, ExitStatus, Generation, Origin, Pid, RollView, SlotId, Step, TurnView, WallTime};
use ostler_wire::control::Reloads;
use ostler_wire::metrics::{Chart, ChartPoint, Measure};
use ratatui_core::style::{Color, Modifier};
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

fn give(dashboard: &mut Dashboard, input: Input) {
    let _effects = dashboard.update(input);
}

fn press(dashboard: &mut Dashboard, keys: &str) {
    keys.chars().for_each(|key| give(dashboard, Input::Key(Key::Char(key))));
}

fn log(id: u32, stream: Stream, text: &str) -> LogLine {
    LogLine::new(Some(SlotId(id)), stream, text.as_bytes())
}

fn dashboard(columns: u16, lines: u16, colour: bool) -> Dashboard {
    let mut dashboard = Dashboard::new((columns, lines), colour);
    give(&mut dashboard, Input::Metrics(Box::new(metrics())));
    give(&mut dashboard, Input::Charts(charts()));
    let output = vec![
        log(0, Stream::Out, "GET /health 200 in 2 ms"),
        log(
            1,
            Stream::Error,
            "\x1b[31mError: connect ECONNREFUSED\x1b[0m 127.0.0.1:6379",
        ),
        log(1, Stream::Out, "客戶 東京 logged in \x1b[2J\x1b]0;title\x07— twice"),
        log(2, Stream::Out, &format!("a long line {}end", "of words ".repeat(12))),
    ];
    give(&mut dashboard, Input::LogLines(output));
    dashboard
}

fn charts() -> Vec<Chart> {
    let measures = [
        (Measure::Cpu, 40.0),
        (Measure::Memory, 6e7),
        (Measure::Requests, 250.0),
        (Measure::LoopDelay, 12.0),
    ];
    let chart = |id, (measure, scale): (Measure, f32)| {
        let value = |at: usize| scale * ((at * 7 % 20) as f32 / 20.0);
        let point = |at: usize| ChartPoint {
            ago_ms: ((POINTS - 1 - at) * 10_000) as u64,
            span_ms: 10_000,
            mean: value(at),
            largest: value(at),
        };
        Chart {
            id: SlotId(id),
            measure,
            points: (20..POINTS).map(point).collect(),
        }
    };
    measures
        .into_iter()
        .flat_map(|measure| [0, 1].map(|id| chart(id, measure)))
        .collect()
}

fn history() -> Vec<Entry> {
    let by = |verb: &str| Origin::Client {
        user: "ann".into(),
        pid: Pid(99),
        verb: verb.into(),
    };
    let whats = [
        What::Started {
            pid: Pid(4700),
            cause: Cause::Asked(by("start")),
        },
        What::Ended {
            status: ExitStatus::Code(1),
            uptime: Duration::from_millis(350),
            cause: EndCause::Itself,
            next: Next::Restart,
        },
        What::Started {
            pid: Pid(4701),
            cause: Cause::Restart,
        },
    ];
    let entry = |(at, what): (i64, What)| Entry {
        at: WallTime(1_795_248_168_129 + at * 1000),
        app: "api".into(),
        slot: SlotId(0),
        instance: 0,
        generation: Generation(1),
        what,
    };
    (0..).zip(whats).map(entry).collect()
}

fn reloads() -> Reloads {
    let turn = |slot: u32, step| TurnView {
        slot: SlotId(slot),
        name: "api".into(),
        instance: slot,
        step,
        new_pid: (step != Step::Waiting).then_some(Pid(4800 + slot as i32)),
        old_pid: (step != Step::Done).then_some(Pid(4700 + slot as i32)),
        awaits: vec![Awaited::Listening],
        left_ms: (step == Step::Draining || step == Step::Starting).then_some(2500),
    };
    let turns = vec![
        turn(0, Step::Done),
        turn(1, Step::Draining),
        turn(2, Step::Starting),
        turn(3, Step::Waiting),
    ];
    Reloads {
        reloads: vec![RollView {
            app: AppId(0),
            undoing: false,
            turns,
        }],
        connections: [(SlotId(1), 12)].into(),
    }
}

/// The characters, line by line.
fn text(dashboard: &Dashboard) -> String {
    let cells = draw(dashboard);
    let mut lines = String::new();
    for line in 0..cells.area.height {
        let (mut row, mut column) = (String::new(), 0);
        while column < cells.area.width {
            let symbol = cells[(column, line)].symbol();
            row.push_str(symbol);
            column += symbol.width().max(1) as u16;
        }
        lines.push_str(row.trim_end());
        lines.push('\n');
    }
    lines
}

#[test]
fn at_80_by_24() {
    insta::assert_snapshot!(text(&dashboard(80, 24, true)));
}

#[test]
fn at_120_by_40_with_a_reload_under_way() {
    let mut dashboard = dashboard(120, 40, true);
    give(&mut dashboard, Input::Reloads(Box::new(reloads())));
    insta::assert_snapshot!(text(&dashboard));
}

#[test]
fn at_40_by_10_what_matters_most_is_left() {
    insta::assert_snapshot!(text(&dashboard(40, 10, true)));
}

#[test]
fn at_39_by_9_it_says_so() {
    insta::assert_snapshot!(text(&dashboard(39, 9, true)));
}

#[test]
fn the_history_with_causes() {
    let mut dashboard = dashboard(80, 24, true);
    press(&mut dashboard, "2");
    give(&mut dashboard, Input::History(SlotId(0), history()));
    insta::assert_snapshot!(text(&dashboard));
}

#[test]
fn the_charts_of_ten_minutes() {
    let mut dashboard = dashboard(80, 30, true);
    press(&mut dashboard, "3");
    insta::assert_snapshot!(text(&dashboard));
}

#[test]
fn what_an_app_measures_itself_stands_above_the_charts() {
    let mut dashboard = dashboard(80, 24, true);
    press(&mut dashboard, "jjjjj3");
    assert!(text(&dashboard).contains(" queue: 12 jobs\n"), "{}", text(&dashboard));
}

#[test]
fn a_question_before_anything_is_done() {
    let mut dashboard = dashboard(80, 24, true);
    press(&mut dashboard, "r");
    insta::assert_snapshot!("question", text(&dashboard));
    press(&mut dashboard, "ni6");
    insta::assert_snapshot!("instances", text(&dashboard));
}

#[test]
fn the_help_fits_the_usual_terminal() {
    let mut dashboard = dashboard(80, 24, true);
    press(&mut dashboard, "?");
    insta::assert_snapshot!(text(&dashboard));
}

#[test]
fn a_failure_with_its_lines() {
    let mut dashboard = dashboard(80, 24, true);
    dashboard.dialog = Some(Dialog::Report(Report {
        lines: vec![
            "error: api (0) exited with code 1 after 35 ms; it is being started again".into(),
            "last lines of /home/ann/.ostler/logs/api-error.log:".into(),
            format!("  Error: Cannot find module '{}'", "/srv/a-rather-long-path".repeat(4)),
            "hint: `ostler logs api --lines 100` shows more".into(),
        ],
        failed: true,
    }));
    insta::assert_snapshot!(text(&dashboard));
}

#[test]
fn a_daemon_that_is_gone_and_one_that_has_nothing() {
    let mut gone = dashboard(80, 24, true);
    give(&mut gone, Input::Lost("no daemon is running".into()));
    assert!(text(&gone).starts_with("ostler  waiting for the daemon: no daemon is running\n"));
    let mut new = Dashboard::new((80, 24), true);
    assert!(text(&new).contains("asking the daemon"));
    give(&mut new, Input::Metrics(Box::default()));
    assert!(text(&new).contains("no apps; `ostler start app.js` starts one"));
    give(&mut new, Input::Lost("no daemon is running".into()));
    assert!(text(&new).contains("this page goes on by itself"));
}

#[test]
fn a_search_marks_what_it_finds() {
    let mut dashboard = dashboard(80, 24, true);
    press(&mut dashboard, "/econn");
    assert!(
        text(&dashboard).contains("/econn  Enter looks for it"),
        "{}",
        text(&dashboard)
    );
    give(&mut dashboard, Input::Key(Key::Enter));
    let cells = draw(&dashboard);
    let marked = cells
        .content()
        .iter()
        .filter(|cell| cell.modifier.contains(Modifier::REVERSED | Modifier::BOLD));
    let marked: String = marked.map(ratatui_core::buffer::Cell::symbol).collect();
    assert_eq!(marked, "ECONN");
    assert!(text(&dashboard).contains("/econn  paused, 2 below"));
}

/// Light or dark: nothing but the terminal's own colours on its own background, never one that may be the background's.
#[test]
fn no_colour_of_ours_depends_on_the_background() {
    let mut dashboard = dashboard(120, 40, true);
    give(&mut dashboard, Input::Reloads(Box::new(reloads())));
    for pane in ["1", "2", "3", "?"] {
        press(&mut dashboard, pane);
        for cell in draw(&dashboard).content() {
            assert_eq!(cell.bg, Color::Reset, "{cell:?}");
            let safe = !matches!(
                cell.fg,
                Color::White | Color::Black | Color::Gray | Color::Rgb(..) | Color::Indexed(_)
            );
            assert!(safe, "{cell:?}");
        }
    }
}

#[test]
fn without_colours_there_are_none_and_the_words_are_the_same() {
    let (plain, coloured) = (dashboard(80, 24, false), dashboard(80, 24, true));
    assert_eq!(text(&plain), text(&coloured));
    let cells = draw(&plain);
    assert!(
        cells
            .content()
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
    assert!(
        cells
            .content()
            .iter()
            .any(|cell| cell.modifier.contains(Modifier::REVERSED)),
        "the selection is seen"
    );
    assert!(draw(&coloured).content().iter().any(|cell| cell.fg == Color::Red));
}

#[test]
fn names_of_any_kind_do_not_break_the_table() {
    let mut metrics = metrics();
    metrics.workers.push(worker(40, "客戶服務客戶服務客戶服務客戶服務"));
    metrics.workers.push(worker(41, "evil\x1b[2J\nname"));
    for columns in [40, 60, 80, 100, 200] {
        let mut dashboard = Dashboard::new((columns, 40), true);
        give(&mut dashboard, Input::Metrics(Box::new(metrics.clone())));
        let text = text(&dashboard);
        let rows: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("客戶") || line.contains("evil"))
            .collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert!(
            rows.iter()
                .all(|row| row.contains("online") && row.width() <= usize::from(columns)),
            "{text}"
        );
    }
}

#[test]
fn drawing_thousands_of_lines_costs_what_is_seen() {
    let mut dashboard = dashboard(80, 24, true);
    for number in 0..5000 {
        give(
            &mut dashboard,
            Input::LogLines(vec![log(0, Stream::Out, &format!("line {number} {}", "x".repeat(500)))]),
        );
    }
    let cells = draw(&dashboard);
    assert_eq!(cells.area.height, 24);
    // A screen of lines is decoded, not all: 200 pictures take far less than decoding five thousand lines 200 times would.
    let begin = std::time::Instant::now();
    (0..200).for_each(|_| drop(draw(&dashboard)));
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
}
