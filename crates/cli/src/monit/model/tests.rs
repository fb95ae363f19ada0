use super::*;
use crate::logs::format::Stream;
use crate::monit::request::Deed;
use crate::monit::samples::{metrics, serving, worker};
use ostler_core::Status;

fn dashboard() -> Dashboard {
    let mut dashboard = Dashboard::new((80, 24), true);
    let _first = dashboard.update(Input::Metrics(Box::new(metrics())));
    dashboard
}

fn press(dashboard: &mut Dashboard, keys: &str) -> Vec<Effect> {
    keys.chars()
        .flat_map(|key| {
            let key = match key {
                '\n' => Key::Enter,
                '\x1b' => Key::Escape,
                key => Key::Char(key),
            };
            dashboard.update(Input::Key(key))
        })
        .collect()
}

fn carried(effects: &[Effect]) -> Vec<(Deed, String)> {
    let request = |effect: &Effect| match effect {
        Effect::Carry(request) => Some((request.deed, request.words.join(" "))),
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

fn line(id: u32, text: &str) -> LogLine {
    LogLine::new(Some(SlotId(id)), Stream::Out, text.as_bytes())
}

#[test]
fn the_output_and_charts_of_what_is_selected_are_wanted() {
    let mut dashboard = Dashboard::new((80, 24), true);
    let effects = dashboard.update(Input::Metrics(Box::new(metrics())));
    let all = [0, 1, 2, 3].map(SlotId).to_vec();
    let charts = |selector: &str| Effect::Ask(Question::Charts(selector.into()));
    assert_eq!(effects, [Effect::Follow(all), charts("api")]);
    assert_eq!(
        press(&mut dashboard, "j"),
        [Effect::Follow(vec![SlotId(0)]), charts("0")]
    );
    assert_eq!(
        dashboard.update(Input::Metrics(Box::new(metrics()))),
        [],
        "it is the same"
    );
}

#[test]
fn a_selection_survives_another_order_and_the_end_of_what_it_was_on() {
    let mut dashboard = dashboard();
    press(&mut dashboard, "jj");
    assert_eq!(dashboard.row().map(|row| row.slots.clone()), Some(vec![SlotId(1)]));
    press(&mut dashboard, "o");
    assert_eq!(
        (dashboard.at, dashboard.row().map(|row| row.slots.clone())),
        (3, Some(vec![SlotId(1)]))
    );
    let mut fewer = metrics();
    fewer.workers.remove(1);
    let effects = dashboard.update(Input::Metrics(Box::new(fewer)));
    assert!(
        matches!(&effects[0], Effect::Follow(slots) if slots.len() == 3),
        "its app is left: {effects:?}"
    );
    let mut nothing = metrics();
    nothing.workers.clear();
    let _effects = dashboard.update(Input::Metrics(Box::new(nothing)));
    assert_eq!(dashboard.row(), None);
    assert_eq!(press(&mut dashboard, "rRsi \njk/x\n"), []);
    let _back = dashboard.update(Input::Metrics(Box::new(metrics())));
    assert_eq!(dashboard.at, 0);
}

#[test]
fn nothing_is_done_without_a_yes() {
    let mut dashboard = dashboard();
    assert_eq!(carried(&press(&mut dashboard, "R")), []);
    assert_eq!(press(&mut dashboard, "q"), [], "that is a no, and nothing else");
    assert_eq!(carried(&press(&mut dashboard, "s\x1by")), []);
    assert_eq!(
        carried(&press(&mut dashboard, "stty -a\n")),
        [],
        "what was meant for a shell is no yes"
    );
    assert_eq!(
        carried(&press(&mut dashboard, "Ry")),
        [(Deed::Restart, "0 1 2 3".into())]
    );
    assert_eq!(carried(&press(&mut dashboard, "jjr\n")), [(Deed::Reload, "1".into())]);
    assert_eq!(carried(&press(&mut dashboard, "sy")), [(Deed::Stop, "1".into())]);
    assert_eq!(dashboard.running.len(), 3);
    let pasted = dashboard.update(Input::Key(Key::Paste("sy".into())));
    assert_eq!(carried(&pasted), []);
}

#[test]
fn a_number_of_instances_is_typed() {
    let mut dashboard = dashboard();
    let mut scaled = |keys: &str| carried(&press(&mut dashboard, keys));
    let to = |count| [(Deed::Scale(count), "0".to_owned())];
    assert_eq!(scaled("i6\n"), to(6));
    assert_eq!(scaled("+\n"), to(5));
    assert_eq!(scaled("++-+\n"), to(6));
    assert_eq!(scaled("-12\n"), to(12), "a digit takes the place of what was proposed");
    assert_eq!(scaled("jj-\n"), to(3), "it is the app that has instances");
    assert_eq!(scaled("i\n"), [], "nothing was typed");
    assert_eq!(scaled("0\n"), [], "none is no number of instances");
    assert_eq!(scaled("\x1b\n"), []);
    assert_eq!(
        scaled("-a > file3\n"),
        [],
        "what was meant for a shell leaves all as it is"
    );
}

#[test]
fn what_became_of_a_request_is_said() {
    let mut dashboard = dashboard();
    let effects = press(&mut dashboard, "Ry");
    let Some(Effect::Carry(request)) = effects.first().cloned() else {
        panic!("{effects:?}")
    };
    let report = |lines: &[&str], failed| Report {
        lines: lines.iter().map(ToString::to_string).collect(),
        failed,
    };
    let _asked = dashboard.update(Input::Done(
        request.clone(),
        report(&["restarted api (0-3), 4 instances"], false),
    ));
    assert_eq!(
        dashboard.notice,
        Some(("restarted api (0-3), 4 instances".into(), false))
    );
    assert_eq!(dashboard.running, []);
    let failure = report(&["error: api (0) exited with code 1", "last lines of the log"], true);
    let _asked = dashboard.update(Input::Done(request, failure.clone()));
    assert_eq!(dashboard.dialog, Some(Dialog::Report(failure)));
    assert_eq!(
        press(&mut dashboard, "q"),
        [],
        "any key closes it and does nothing else"
    );
    assert_eq!(press(&mut dashboard, "q"), [Effect::Quit]);
}

#[test]
fn the_history_is_asked_for_while_it_is_looked_at_and_something_happens() {
    let mut dashboard = dashboard();
    let of = |id| Effect::Ask(Question::History(SlotId(id)));
    assert_eq!(press(&mut dashboard, "2"), [of(0)]);
    assert_eq!(dashboard.update(Input::Metrics(Box::new(metrics()))), []);
    let mut restarted = metrics();
    restarted.workers[0].row.restarts = 1;
    assert_eq!(dashboard.update(Input::Metrics(Box::new(restarted))), [of(0)]);
    assert!(press(&mut dashboard, "j").contains(&of(0)));
    press(&mut dashboard, "1");
    let mut again = metrics();
    again.workers[0].row.restarts = 2;
    assert!(
        !dashboard.update(Input::Metrics(Box::new(again))).contains(&of(0)),
        "nobody looks"
    );
}

#[test]
fn a_worker_has_its_own_history_and_late_answers_are_dropped() {
    let mut dashboard = dashboard();
    let entry = |slot: u32| Entry {
        at: crate::samples::AT,
        app: "api".into(),
        slot: SlotId(slot),
        instance: slot,
        generation: ostler_core::Generation(1),
        what: ostler_core::history::What::ListenFailed { error: "taken".into() },
    };
    let entries = vec![entry(0), entry(1), entry(7)];
    let _none = dashboard.update(Input::History(SlotId(0), entries.clone()));
    assert_eq!(dashboard.history.len(), 3, "those of slots that it no longer has, too");
    press(&mut dashboard, "jj");
    assert_eq!(dashboard.history, []);
    let _none = dashboard.update(Input::History(SlotId(0), entries.clone()));
    assert_eq!(dashboard.history, [], "the answer is about what was selected before");
    let _none = dashboard.update(Input::History(SlotId(1), entries));
    assert_eq!(dashboard.history, [entry(1)]);
}

#[test]
fn output_of_what_was_selected_before_is_dropped() {
    let mut dashboard = dashboard();
    press(&mut dashboard, "j");
    let _none = dashboard.update(Input::LogLines(vec![line(4, "late")]));
    assert_eq!(dashboard.log.len(), 0);
    let _none = dashboard.update(Input::LogLines(vec![line(0, "one"), line(0, "two")]));
    assert_eq!(dashboard.log.len(), 2);
    let _none = dashboard.update(Input::LogBegins(vec![SlotId(0)]));
    assert_eq!(dashboard.log.len(), 0, "it begins anew");
}

#[test]
fn a_lost_daemon_is_waited_for_with_what_was_known() {
    let mut dashboard = dashboard();
    let _none = dashboard.update(Input::Lost("no daemon is running".into()));
    assert_eq!(dashboard.rows.len(), 7);
    assert_eq!(dashboard.link, Link::Lost("no daemon is running".into()));
    let _none = dashboard.update(Input::Metrics(Box::new(metrics())));
    assert_eq!(dashboard.link, Link::Up);
}

#[test]
fn only_what_changes_is_drawn() {
    let mut dashboard = dashboard();
    assert!(dashboard.take_changed());
    let _none = dashboard.update(Input::Metrics(Box::new(metrics())));
    let _none = dashboard.update(Input::Reloads(Box::default()));
    assert!(!dashboard.take_changed(), "nothing is new");
    let mut other = metrics();
    other.workers[5].row.status = Status::Errored;
    let _none = dashboard.update(Input::Metrics(Box::new(other)));
    assert!(dashboard.take_changed());
}

#[test]
fn a_click_selects_a_row_and_the_wheel_scrolls() {
    let mut dashboard = dashboard();
    press(&mut dashboard, "m");
    let _none = dashboard.update(Input::Key(Key::Click { column: 3, row: 4 }));
    assert_eq!(dashboard.at, 2);
    let _none = dashboard.update(Input::Key(Key::Click { column: 3, row: 23 }));
    assert_eq!(dashboard.at, 2, "there is no row");
    for number in 0..50 {
        let _none = dashboard.update(Input::LogLines(vec![line(1, &number.to_string())]));
    }
    let _none = dashboard.update(Input::Key(Key::Wheel { down: false }));
    assert_eq!(dashboard.log.below(), Some(3));
}

#[test]
fn hundreds_of_workers_are_no_trouble() {
    let mut dashboard = Dashboard::new((80, 24), true);
    let mut many = metrics();
    many.workers = (0..500)
        .map(|id| serving(id, "big", 1.0))
        .chain([worker(900, "small")])
        .collect();
    let _first = dashboard.update(Input::Metrics(Box::new(many)));
    let _none = press(&mut dashboard, &"j".repeat(600));
    assert_eq!(dashboard.row().map(|row| row.name.clone()), Some("small".into()));
    let _picture = crate::monit::view::draw(&dashboard);
    press(&mut dashboard, "kk ");
    assert_eq!(dashboard.rows.len(), 2);
}
