//! The transition table: what every state makes of every input, one line a cell, compared with the accepted table.
//! A change of any rule shows as a changed line.

use super::ladder::{Ladder, Step};
use super::{
    Context, Decision, Input, Intent, Order, Run, SPAWN_TIMEOUT, Slot, Spawning, State, Stopping, Stuck, Sweeping,
    Then, Why,
};
use crate::effect::{Effect, Scope};
use crate::event::{ExitStatus, Origin, SpawnError};
use crate::history::{Cause, What};
use crate::ids::{AppId, Generation, Pid, SlotId, Ticket};
use crate::settings::Settings;
use crate::slot::SpecKey;
use crate::spec::Spec;
use crate::time::{Instant, Now, WallTime};
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

pub(super) const NOW: Now = Now {
    instant: Instant(100_000),
    wall: WallTime(0),
};
pub(super) const PAST: Instant = Instant(99_000);
const RUN: Run = Run { pid: Pid(7) };

fn by() -> Origin {
    Origin::Daemon { reason: "test".into() }
}

pub(super) fn asked() -> Cause {
    Cause::Asked(by())
}

fn order() -> Order {
    Order::new(Cause::Restart, true)
}

fn intents() -> Vec<(&'static str, Intent)> {
    vec![
        ("stop", Intent::Stop { by: by() }),
        ("delete", Intent::Delete { by: by() }),
        ("restart", Intent::Restart(Order::new(asked(), true))),
        ("judge", Intent::Judge),
        ("leave", Intent::Leave),
    ]
}

fn steps() -> Vec<(&'static str, Step)> {
    let (again, until) = (PAST, PAST);
    vec![
        ("looking", Step::Looking { until }),
        ("asked", Step::Asked { until }),
        (
            "killing",
            Step::Killing {
                again,
                until: NOW.instant + Duration::from_secs(1),
            },
        ),
        ("killed in vain", Step::Killing { again, until }),
    ]
}

/// One of each state, and of each variety that decides differently. All deadlines have come.
fn states() -> Vec<(String, State)> {
    let spawning = |intent| {
        State::Spawning(Spawning {
            until: PAST,
            order: order(),
            intent,
        })
    };
    let mut states = vec![
        ("stopped".into(), State::Down { errored: false }),
        ("errored".into(), State::Down { errored: true }),
        (
            "waiting".into(),
            State::Waiting {
                until: PAST,
                order: order(),
            },
        ),
        (
            "waiting, not due".into(),
            State::Waiting {
                until: NOW.instant + SPAWN_TIMEOUT,
                order: order(),
            },
        ),
        ("spawning".into(), spawning(None)),
    ];
    for (name, intent) in intents() {
        states.push((format!("spawning, to {name}"), spawning(Some(intent))));
    }
    states.push(("launching".into(), State::Launching { run: RUN, until: PAST }));
    states.push(("online".into(), State::Online(RUN)));
    for (name, intent) in intents() {
        let ladder = Ladder {
            step: Step::Asked { until: PAST },
            killed: false,
        };
        let stopping = Stopping {
            run: RUN,
            why: intent.why(),
            intent,
            ladder,
        };
        states.push((format!("stopping to {name}"), State::Stopping(stopping)));
    }
    let retiring = Intent::Delete { by: by() };
    let draining = Stopping {
        run: RUN,
        why: retiring.why(),
        intent: retiring,
        ladder: Ladder {
            step: Step::Draining { until: PAST },
            killed: false,
        },
    };
    states.push(("stopping, draining".into(), State::Stopping(draining)));
    for (name, step) in steps().split_off(2) {
        let ladder = Ladder { step, killed: true };
        let stopping = Stopping {
            run: RUN,
            why: Why::NeverReady,
            intent: Intent::Stop { by: by() },
            ladder,
        };
        states.push((format!("stopping, {name}"), State::Stopping(stopping)));
    }
    let thens = [
        (
            "launch",
            Then::Launch {
                at: PAST,
                order: order(),
            },
        ),
        (
            "wait",
            Then::Launch {
                at: NOW.instant + SPAWN_TIMEOUT,
                order: order(),
            },
        ),
        ("rest", Then::Rest { errored: false }),
        ("give up", Then::Rest { errored: true }),
        ("stop", Then::Stop),
        ("delete", Then::Delete { by: by() }),
    ];
    for (name, then) in thens {
        let ladder = Ladder {
            step: Step::Looking { until: PAST },
            killed: false,
        };
        states.push((
            format!("sweeping to {name}"),
            State::Sweeping(Sweeping { then, ladder }),
        ));
    }
    for (name, step) in steps().split_off(1) {
        let ladder = Ladder { step, killed: false };
        states.push((
            format!("sweeping, {name}"),
            State::Sweeping(Sweeping {
                then: Then::Stop,
                ladder,
            }),
        ));
    }
    let stuck = |main, then| State::Stuck(Stuck { main, then });
    states.push((
        "stuck, to delete".into(),
        stuck(Some((RUN, Why::Told(asked()))), Then::Delete { by: by() }),
    ));
    states.push(("stuck leftovers, to stop".into(), stuck(None, Then::Stop)));
    states.push((
        "stuck leftovers, to give up".into(),
        stuck(None, Then::Rest { errored: true }),
    ));
    let leaving = |then| State::Leaving { then, killed: false };
    states.push(("leaving to stop".into(), leaving(Then::Stop)));
    states.push(("leaving to delete".into(), leaving(Then::Delete { by: by() })));
    states
}

pub(super) fn inputs() -> Vec<(&'static str, Input)> {
    let error = |transient| SpawnError {
        message: "no".into(),
        transient,
    };
    vec![
        (
            "Spawned",
            Input::Spawned {
                pid: Pid(7),
                place: None,
            },
        ),
        ("SpawnFailed, passing", Input::SpawnFailed { error: error(true) }),
        ("SpawnFailed, lasting", Input::SpawnFailed { error: error(false) }),
        (
            "Exited",
            Input::Exited {
                status: ExitStatus::Code(1),
                oom_killed: false,
            },
        ),
        ("TreeGone", Input::TreeGone),
        ("Ready", Input::Ready),
        ("Stopping", Input::Stopping),
        ("Settled", Input::Settled),
        ("Listening", Input::Listening { missing: Vec::new() }),
        ("Drained", Input::Drained),
        ("Memory over limit", Input::Memory { bytes: 101 }),
        ("Memory within limit", Input::Memory { bytes: 100 }),
        ("Restart, asked", Input::Restart { cause: asked() }),
        (
            "Restart, automatic",
            Input::Restart {
                cause: Cause::FileChanged { path: "x".into() },
            },
        ),
        ("Stop", Input::Stop { by: by() }),
        ("Delete", Input::Delete { by: by() }),
        ("Retire", Input::Retire { by: by() }),
        ("Deadline", Input::Deadline),
    ]
}

pub(super) fn slot(state: State) -> Slot {
    let mut slot = Slot::new(SlotId(0), AppId(0), 0, SpecKey(0));
    slot.generation = Generation(3);
    slot.ledger.created = Some(NOW);
    slot.ledger.launched = Some(Now {
        instant: Instant(40_000),
        ..NOW
    });
    slot.waiters = vec![Ticket(1), Ticket(2)];
    if matches!(state, State::Leaving { .. }) {
        slot.companion = Some(super::companion_table::swept());
    }
    slot.state = state;
    slot
}

pub(super) fn name_of(slot: &Slot) -> String {
    let detail = match &slot.state {
        State::Waiting { until, .. } => format!(" {} ms", until.since(NOW.instant).as_millis()),
        State::Spawning(Spawning {
            intent: Some(intent), ..
        }) => format!(", to {}", intent_name(intent)),
        State::Stopping(Stopping { intent, ladder, .. }) => {
            format!(" to {}, {}", intent_name(intent), ladder_name(ladder))
        }
        State::Sweeping(Sweeping { then, ladder }) => format!(" to {}, {}", then_name(then), ladder_name(ladder)),
        State::Stuck(Stuck { main: None, then }) => format!(" leftovers, to {}", then_name(then)),
        State::Leaving { then, killed: _ } => format!(" to {}", then_name(then)),
        State::Down { .. }
        | State::Spawning(Spawning { intent: None, .. })
        | State::Launching { .. }
        | State::Online(_)
        | State::Stuck(Stuck { main: Some(_), .. }) => String::new(),
    };
    let word = match &slot.state {
        State::Down { errored: false } => "stopped",
        State::Down { errored: true } => "errored",
        State::Waiting { .. } => "waiting",
        State::Spawning(_) => "spawning",
        State::Launching { .. } => "launching",
        State::Online(_) => "online",
        State::Stopping(_) => "stopping",
        State::Sweeping(_) => "sweeping",
        State::Stuck(_) => "stuck",
        State::Leaving { .. } => "leaving",
    };
    format!("{word}{detail}")
}

fn intent_name(intent: &Intent) -> &'static str {
    match intent {
        Intent::Stop { .. } => "stop",
        Intent::Delete { .. } => "delete",
        Intent::Restart(Order { counts: true, .. }) => "restart",
        Intent::Restart(Order { counts: false, .. }) => "start",
        Intent::Judge => "judge",
        Intent::Leave => "leave",
    }
}

fn then_name(then: &Then) -> &'static str {
    match then {
        Then::Launch { at, .. } if *at > NOW.instant => "wait",
        Then::Launch {
            order: Order { counts: true, .. },
            ..
        } => "restart",
        Then::Launch {
            order: Order { counts: false, .. },
            ..
        } => "start",
        Then::Rest { errored: false } => "rest",
        Then::Rest { errored: true } => "give up",
        Then::Stop => "stop",
        Then::Delete { .. } => "delete",
    }
}

pub(super) fn ladder_name(ladder: &Ladder) -> &'static str {
    match ladder.step {
        Step::Draining { .. } => "draining",
        Step::Looking { .. } => "looking",
        Step::Asked { .. } => "asked",
        Step::Killing { .. } => "killing",
    }
}

pub(super) fn effect_name(effect: &Effect) -> String {
    match effect {
        Effect::Spawn(launch) => format!("spawn {}", launch.worker),
        Effect::ObserveStart { .. } => "observe".into(),
        Effect::Signal {
            signal,
            scope: Scope::Main,
            ..
        } => format!("signal {signal} main"),
        Effect::Signal {
            signal,
            scope: Scope::Tree,
            ..
        } => format!("signal {signal} tree"),
        Effect::SendShutdown { .. } => "shutdown message".into(),
        Effect::Sweep { .. } => "sweep".into(),
        Effect::Watch { .. } => "watch".into(),
        Effect::Unwatch { .. } => "unwatch".into(),
        Effect::SampleMemory { .. } => "sample".into(),
        Effect::Reply { .. } => "reply".into(),
        Effect::Record(entry) => format!("record {}", what_name(&entry.what)),
        Effect::Publish(notice) => format!("publish {:?}", notice.kind),
        Effect::Forget { .. } => "forget".into(),
        Effect::Probe { kind, .. } => format!("probe {}", kind.as_str()),
        Effect::Admit { worker } => format!("admit {worker}"),
        Effect::Withdraw { worker } => format!("withdraw {worker}"),
        Effect::Drain { worker } => format!("drain {worker}"),
        Effect::Unlisten { .. } => "unlisten".into(),
        Effect::KeepListeners { .. } => "keep listeners".into(),
        Effect::Weigh { .. } => "weigh".into(),
        Effect::Exit { code } => format!("exit {code}"),
    }
}

fn what_name(what: &What) -> &'static str {
    match what {
        What::Started { .. } => "started",
        What::StartFailed { .. } => "start failed",
        What::ListenFailed { .. } => "listen failed",
        What::Probed { .. } => "probed",
        What::Ended { .. } => "ended",
        What::Stopped { .. } => "stopped",
        What::Deleted { .. } => "deleted",
    }
}

fn cell(state: &State, input: Input, spec: &Arc<Spec>) -> String {
    let mut slot = slot(state.clone());
    let settings = Settings::new(jiff::tz::TimeZone::UTC);
    let (mut effects, mut verdicts, mut news) = (VecDeque::new(), Vec::new(), Vec::new());
    let mut cx = Context {
        now: NOW,
        settings: &settings,
        spec,
        other: None,
        effects: &mut effects,
        verdicts: &mut verdicts,
        news: &mut news,
    };
    let decision = slot.on(input, &mut cx);
    let mut line = match decision {
        Decision::Took => name_of(&slot),
        Decision::Forget => "gone".into(),
        Decision::Ignored(reason) => {
            assert_eq!(&slot.state, state, "what is ignored changes nothing");
            assert!(
                effects.is_empty() && verdicts.is_empty(),
                "what is ignored orders nothing"
            );
            return format!("ignored: {reason:?}");
        }
    };
    for effect in &effects {
        let _ = write!(line, "; {}", effect_name(effect));
    }
    if let Some((_, verdict)) = verdicts.first() {
        let _ = write!(line, "; → {verdict:?}");
        let both = [Ticket(1), Ticket(2)].map(|ticket| (ticket, verdict.clone()));
        assert_eq!(verdicts, both, "all who wait get the same verdict");
    }
    assert_eq!(
        verdicts.is_empty(),
        slot.is_awaited(),
        "who waits is answered or waits on"
    );
    line
}

fn table(spec: &Arc<Spec>) -> String {
    let mut table = String::new();
    for (state_name, state) in states() {
        let _ = writeln!(table, "\n{state_name} (aim: {:?})", slot(state.clone()).aim());
        for (input_name, input) in inputs() {
            let _ = writeln!(table, "  {input_name:<20} → {}", cell(&state, input, spec));
        }
    }
    table
}

pub(super) fn spec() -> Spec {
    let json = serde_json::json!({
        "name": "app", "namespace": "default",
        "program": { "path": "/a", "interpreter": "none", "interpreter_args": [], "args": [], "cwd": "/" },
        "mode": "fork", "instances": 1,
        "environment": {
            "inherited": {}, "files": [], "declared": {}, "instance_var": "", "increment_var": null, "unique_id": ""
        },
        "user": null,
        "logs": {
            "out": "discard", "error": "discard", "combined": null, "merged": false, "format": "raw",
            "date_format": null, "disabled": false, "rotation": null
        },
        "restart": {
            "auto": true, "stop_exit_codes": [], "limit": { "unstable": { "max_restarts": 16 } }, "delay": null,
            "backoff": null, "min_uptime": { "secs": 1, "nanos": 0 }
        },
        "stop": { "signal": 2, "kill_timeout": { "secs": 1, "nanos": 600_000_000 }, "tree": true, "message": false },
        "ready": { "wait_ready": false, "listen_timeout": { "secs": 3, "nanos": 0 }, "on_timeout": "fail" },
        "cron": null, "watch": null, "memory_limit": 100, "autostart": true, "pid_file": "", "username": "",
        "attributes": {}
    });
    serde_json::from_value(json).expect("a spec")
}

#[test]
fn every_state_decides_on_every_input() {
    insta::assert_snapshot!(table(&Arc::new(spec())));
}

#[test]
fn without_treekill_nothing_is_swept() {
    let mut spec = spec();
    spec.stop.tree = false;
    let sweeps = table(&Arc::new(spec))
        .lines()
        .filter(|line| line.contains("; sweep"))
        .count();
    assert_eq!(sweeps, 0);
}
