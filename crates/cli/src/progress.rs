//! Shows how far a reload is while it runs: on a terminal a few lines that are drawn anew, elsewhere a line for each step that
//! matters, with `--json` an object a line on standard output. Used by every command that may reload.

use crate::client::{CallError, Client};
use crate::intent::Intent;
use crate::printer::Printer;
use crate::session::Session;
use crate::units;
use ostler_core::{Awaited, Pid, SlotId, Step, TurnView};
use ostler_wire::control::{Action, Answer, Reloads};
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(100);
/// As many slots are drawn at once; of more only those under way are.
const MOST_LINES: usize = 12;

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Not at all: what the command does takes no time worth it.
    #[default]
    None,
    /// In words, on standard error.
    Text,
    /// As objects, on standard output; the answer too.
    Json,
}

/// Has something done, and shows how far it is meanwhile as the intent says.
pub async fn operate(
    session: &Session,
    client: &mut Client,
    action: Action,
    intent: &Intent,
) -> Result<Answer, CallError> {
    let mut operation = pin!(client.operate(&session.verb, action));
    if intent.progress == Progress::None {
        return operation.await;
    }
    let mut shown = Shown::new(&session.printer, intent.progress);
    let mut beside = None;
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut operation => break answer,
            () = sleep(INTERVAL) => {}
        }
        if beside.is_none() {
            // A daemon that is being replaced is looked for again; the operation itself waits for it, too.
            beside = session.daemon().await.ok();
        }
        if let Some(client) = &mut beside {
            match client.get("/v1/reloads").await {
                Ok(reloads) => shown.update(&reloads),
                Err(_) => beside = None,
            }
        }
    };
    shown.clear();
    if let (Progress::Json, Ok(Answer::Slots(outcome))) = (intent.progress, &answer) {
        let told = session.printer.data(format!("{}\n", json!({ "outcome": outcome })));
        // A reader who has left wants to know nothing more; the exit code tells what became of it.
        drop(told);
    }
    answer
}

/// What has been shown so far.
struct Shown<'a> {
    printer: &'a Printer,
    form: Progress,
    /// The last that was said of each slot.
    said: BTreeMap<SlotId, String>,
    /// How many lines stand on the terminal.
    drawn: usize,
}

impl<'a> Shown<'a> {
    fn new(printer: &'a Printer, form: Progress) -> Self {
        Self {
            printer,
            form,
            said: BTreeMap::new(),
            drawn: 0,
        }
    }

    fn update(&mut self, reloads: &Reloads) {
        let turns: Vec<(bool, &TurnView)> = reloads
            .reloads
            .iter()
            .flat_map(|roll| roll.turns.iter().map(|turn| (roll.undoing, turn)))
            .collect();
        let left = |turn: &TurnView| reloads.connections.get(&turn.slot).copied();
        if self.form == Progress::Json {
            turns
                .iter()
                .for_each(|(undoing, turn)| self.tell(*undoing, turn, left(turn)));
        } else if self.printer.draws() {
            self.draw(&turns, left);
        } else {
            turns
                .iter()
                .for_each(|(undoing, turn)| self.say(*undoing, turn, left(turn)));
        }
    }

    /// An object for each change.
    fn tell(&mut self, undoing: bool, turn: &TurnView, connections: Option<u32>) {
        let mut object = json!(turn);
        object["undoing"] = json!(undoing);
        object["connections"] = json!(connections.filter(|_| turn.step == Step::Draining));
        let mut without_time = object.clone();
        without_time["left_ms"] = json!(null);
        if self.said.insert(turn.slot, without_time.to_string()) != Some(without_time.to_string()) {
            let _told: io::Result<()> = self.printer.data(format!("{}\n", json!({ "progress": object })));
        }
    }

    /// A line for each step that matters to somebody who reads it later.
    fn say(&mut self, undoing: bool, turn: &TurnView, connections: Option<u32>) {
        let matters = match turn.step {
            Step::Starting | Step::Draining | Step::Done => true,
            Step::Waiting | Step::Launching | Step::Proving | Step::Ending => false,
        };
        let step = format!("{undoing} {:?} {:?}", turn.step, turn.new_pid);
        if matters && self.said.get(&turn.slot) != Some(&step) {
            self.said.insert(turn.slot, step);
            self.printer.say(&line(undoing, turn, connections));
        }
    }

    fn draw(&mut self, turns: &[(bool, &TurnView)], left: impl Fn(&TurnView) -> Option<u32>) {
        let under_way = |turn: &TurnView| !matches!(turn.step, Step::Waiting | Step::Done);
        let all = turns.len() <= MOST_LINES;
        let shown = turns.iter().filter(|(_, turn)| all || under_way(turn));
        let mut lines: Vec<String> = shown
            .take(MOST_LINES)
            .map(|(undoing, turn)| line(*undoing, turn, left(turn)))
            .collect();
        if !all {
            let done = turns.iter().filter(|(_, turn)| turn.step == Step::Done).count();
            lines.push(format!("{done} of {} are replaced", turns.len()));
        }
        let width = self.printer.error_width().unwrap_or(80);
        let lines = lines.iter().map(|line| line.chars().take(width).collect::<String>());
        let text: String = lines.map(|line| format!("\x1b[2K{line}\n")).collect();
        let count = text.lines().count();
        self.printer.draw(&format!("{}{text}\x1b[J", up(self.drawn)));
        self.drawn = count;
    }

    fn clear(&mut self) {
        if self.drawn > 0 {
            self.printer.draw(&format!("{}\x1b[J", up(self.drawn)));
            self.drawn = 0;
        }
    }
}

/// Moves to the first of so many lines (ECMA-48, CUU).
fn up(lines: usize) -> String {
    match lines {
        0 => String::new(),
        lines => format!("\x1b[{lines}A\r"),
    }
}

/// How far a reload is in one slot, in words. `connections` is how many the worker that goes has left, if they were counted.
pub fn line(undoing: bool, turn: &TurnView, connections: Option<u32>) -> String {
    let new = pid(turn.new_pid);
    let what = match turn.step {
        Step::Waiting => "waits for its turn".to_owned(),
        Step::Launching => "launches a new worker".to_owned(),
        Step::Starting => format!("{new} has yet to {}{}", awaited(&turn.awaits), left(turn)),
        Step::Proving => format!("{new} is ready and has to stay up{}", left(turn)),
        Step::Draining => {
            let has = match connections {
                Some(1) => "1 connection".to_owned(),
                Some(count) => format!("{count} connections"),
                None => "its connections".to_owned(),
            };
            format!("{new} serves, {} finishes {has}{}", pid(turn.old_pid), left(turn))
        }
        Step::Ending => match turn.old_pid {
            Some(_) => format!("{new} serves, {} ends{}", pid(turn.old_pid), left(turn)),
            None => format!("{new} serves, what its predecessor has left behind ends{}", left(turn)),
        },
        Step::Done => format!("{new} serves"),
    };
    let back = if undoing { "putting back: " } else { "" };
    format!("{} ({}): {back}{what}", turn.name, turn.slot)
}

fn pid(pid: Option<Pid>) -> String {
    pid.map_or_else(|| "the new worker".to_owned(), |pid| format!("pid {pid}"))
}

fn awaited(awaits: &[Awaited]) -> String {
    let words: Vec<String> = awaits
        .iter()
        .map(|awaited| match awaited {
            Awaited::Ready => "say `ready`".to_owned(),
            Awaited::Probe => "pass its probe".to_owned(),
            Awaited::Listening => "listen".to_owned(),
            Awaited::ListeningAt(address) => format!("listen on {address}"),
        })
        .collect();
    match words.is_empty() {
        true => "become ready".to_owned(),
        false => words.join(" and "),
    }
}

fn left(turn: &TurnView) -> String {
    let left = turn.left_ms.map(Duration::from_millis);
    left.map_or_else(String::new, |left| format!(" ({} left)", units::span(left)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::captured;
    use ostler_core::{AppId, RollView};

    fn turn(slot: u32, step: Step) -> TurnView {
        TurnView {
            slot: SlotId(slot),
            name: "api".into(),
            instance: slot,
            step,
            new_pid: Some(Pid(431)).filter(|_| step != Step::Waiting && step != Step::Launching),
            old_pid: Some(Pid(420)).filter(|_| step != Step::Done),
            awaits: match step {
                Step::Starting => vec![Awaited::Ready, Awaited::ListeningAt("tcp 0.0.0.0:3000".into())],
                _ => vec![],
            },
            left_ms: Some(2500).filter(|_| !matches!(step, Step::Waiting | Step::Done)),
        }
    }

    fn reloads(turns: &[TurnView]) -> Reloads {
        Reloads {
            reloads: vec![RollView {
                app: AppId(0),
                undoing: false,
                turns: turns.to_vec(),
            }],
            connections: [(SlotId(0), 12)].into(),
        }
    }

    #[test]
    fn each_step_says_who_serves_and_what_is_waited_for() {
        let steps = [
            Step::Waiting,
            Step::Launching,
            Step::Starting,
            Step::Proving,
            Step::Draining,
            Step::Ending,
            Step::Done,
        ];
        let lines: Vec<String> = steps
            .iter()
            .map(|step| line(false, &turn(0, *step), Some(12)))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn where_nothing_is_drawn_each_step_that_matters_is_one_line() {
        let (printer, captured) = captured::printer(false, false);
        let mut shown = Shown::new(&printer, Progress::Text);
        for step in [
            Step::Launching,
            Step::Starting,
            Step::Starting,
            Step::Proving,
            Step::Draining,
            Step::Draining,
        ] {
            shown.update(&reloads(&[turn(0, step), turn(1, Step::Waiting)]));
        }
        shown.update(&reloads(&[turn(0, Step::Done), turn(1, Step::Launching)]));
        shown.clear();
        insta::assert_snapshot!(captured.error());
    }

    #[test]
    fn objects_are_told_when_something_but_the_time_changes() {
        let (printer, captured) = captured::printer(false, false);
        let mut shown = Shown::new(&printer, Progress::Json);
        let later = TurnView {
            left_ms: Some(2000),
            ..turn(0, Step::Draining)
        };
        shown.update(&reloads(&[turn(0, Step::Draining)]));
        shown.update(&reloads(&[later]));
        shown.update(&reloads(&[turn(0, Step::Done)]));
        let told: Vec<serde_json::Value> = captured
            .out()
            .lines()
            .map(|line| serde_json::from_str(line).expect("an object a line"))
            .collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0]["progress"]["step"], "draining");
        assert_eq!(told[0]["progress"]["connections"], 12);
        assert_eq!(told[1]["progress"]["connections"], json!(null));
        assert_eq!(captured.error(), "");
    }
}
