//! The companion's transition table: what every phase makes of every input, one line a cell, as in [`super::table`].

use super::companion::{Companion, Phase, Starting};
use super::ladder::{Ladder, Step};
use super::table::{NOW, PAST, asked, effect_name, inputs, ladder_name, name_of, slot, spec};
use super::{Context, Decision, Input, Run, Slot, SpecKey, State, Vitals};
use crate::history::{EndCause, Next};
use crate::ids::{Generation, Pid};
use crate::listen::{Address, Listen};
use crate::settings::Settings;
use crate::spec::{Mode, Spec};
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

const PID: Pid = Pid(8);

fn companion(phase: Phase) -> Companion {
    Companion {
        generation: Generation(4),
        spec: SpecKey(1),
        launched: Some(NOW),
        place: None,
        vitals: Vitals::default(),
        cause: asked(),
        phase,
    }
}

/// One of which only leftovers are there.
pub(super) fn swept() -> Companion {
    let ladder = Ladder::looking(PAST);
    companion(Phase::Sweeping { ladder })
}

fn ending(step: Step) -> Phase {
    Phase::Ending {
        pid: PID,
        ladder: Ladder { step, killed: false },
        why: EndCause::Told {
            cause: asked(),
            killed: false,
        },
        next: Next::Replaced,
    }
}

/// One of each phase. All deadlines have come.
fn phases() -> Vec<(&'static str, Phase)> {
    let starting = |missing: Option<Vec<String>>| {
        Phase::Starting(Starting {
            pid: PID,
            until: PAST,
            said_ready: false,
            settled: false,
            missing,
        })
    };
    let (again, until) = (PAST, PAST);
    vec![
        ("spawning", Phase::Spawning { until: PAST }),
        ("starting", starting(None)),
        ("starting, on another port", starting(Some(vec!["tcp 3000".into()]))),
        ("proving", Phase::Proving { pid: PID, until: PAST }),
        (
            "proving, not due",
            Phase::Proving {
                pid: PID,
                until: NOW.instant + Duration::from_secs(1),
            },
        ),
        ("abandoned", Phase::Abandoned { until: PAST }),
        ("draining", Phase::Draining { pid: PID, until: PAST }),
        ("ending", ending(Step::Asked { until })),
        ("ending, killed in vain", ending(Step::Killing { again, until })),
        ("sweeping", swept().phase),
        ("stuck", Phase::Stuck { pid: Some(PID) }),
        ("stuck leftovers", Phase::Stuck { pid: None }),
    ]
}

fn phase_name(slot: &Slot) -> String {
    let Some(companion) = &slot.companion else {
        return "alone".into();
    };
    let name = match &companion.phase {
        Phase::Spawning { .. } => "spawning".into(),
        Phase::Starting(starting) => format!("starting, missing {:?}", starting.missing),
        Phase::Proving { until, .. } => format!("proving {} ms", until.since(NOW.instant).as_millis()),
        Phase::Abandoned { .. } => "abandoned".into(),
        Phase::Draining { until, .. } => format!("draining {} ms", until.since(NOW.instant).as_millis()),
        Phase::Ending { ladder, next, .. } => format!("ending {next:?}, {}", ladder_name(ladder)),
        Phase::Sweeping { ladder } => format!("sweeping, {}", ladder_name(ladder)),
        Phase::Stuck { pid: Some(_) } => "stuck".into(),
        Phase::Stuck { pid: None } => "stuck leftovers".into(),
    };
    format!("{name} ({})", companion.generation)
}

fn cell(
    phase: &Phase,
    input: Input,
    spec: &Arc<Spec>,
    decide: impl Fn(&mut Slot, Input, &mut Context<'_>) -> Decision,
) -> String {
    let mut slot = slot(State::Online(Run { pid: Pid(7) }));
    slot.listens = true;
    slot.waiters.clear();
    slot.companion = Some(companion(phase.clone()));
    let before = slot.clone();
    let settings = Settings::new(jiff::tz::TimeZone::UTC);
    let (mut effects, mut verdicts, mut news) = (VecDeque::new(), Vec::new(), Vec::new());
    let mut cx = Context {
        now: NOW,
        settings: &settings,
        spec,
        other: Some(spec),
        effects: &mut effects,
        verdicts: &mut verdicts,
        news: &mut news,
    };
    if let Decision::Ignored(reason) = decide(&mut slot, input, &mut cx) {
        assert_eq!(slot, before, "what is ignored changes nothing");
        assert!(effects.is_empty() && news.is_empty(), "what is ignored orders nothing");
        return format!("ignored: {reason:?}");
    }
    let mut line = phase_name(&slot);
    if slot.generation != before.generation || slot.state != before.state {
        let _ = write!(line, " beside {} {}", name_of(&slot), slot.generation);
    }
    for effect in &effects {
        let _ = write!(line, "; {}", effect_name(effect));
    }
    for news in &news {
        let _ = write!(line, "; → {news:?}");
    }
    line
}

fn cluster_spec() -> Arc<Spec> {
    Arc::new(Spec {
        mode: Mode::Cluster,
        ..spec()
    })
}

fn activated_spec() -> Arc<Spec> {
    Arc::new(Spec {
        listen: vec![Listen {
            address: Address::Unix("/run/app.sock".into()),
            name: None,
            backlog: 511,
            mode: 0o666,
        }],
        ..spec()
    })
}

fn table_of_companions(spec: &Arc<Spec>) -> String {
    let mut table = String::new();
    for (name, phase) in phases() {
        let _ = writeln!(table, "\n{name}");
        for (input_name, input) in inputs() {
            let cell = cell(&phase, input, spec, Slot::on_companion);
            let _ = writeln!(table, "  {input_name:<20} → {cell}");
        }
    }
    table
}

#[test]
fn every_phase_of_a_companion_decides_on_every_input() {
    insta::assert_snapshot!(table_of_companions(&cluster_spec()));
}

#[test]
fn every_phase_of_a_companion_that_inherits_its_sockets_decides_on_every_input() {
    insta::assert_snapshot!(table_of_companions(&activated_spec()));
}

/// What the current worker is told, and what becomes of both.
#[test]
fn every_phase_of_a_companion_bears_what_happens_to_the_current_worker() {
    let mut table = String::new();
    for (name, phase) in phases() {
        let _ = writeln!(table, "\n{name}");
        for (input_name, input) in inputs() {
            let cell = cell(&phase, input, &cluster_spec(), Slot::on);
            let _ = writeln!(table, "  {input_name:<20} → {cell}");
        }
    }
    insta::assert_snapshot!(table);
}
