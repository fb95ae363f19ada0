//! What may happen to the machine, in any order: apps that differ in every rule, programs that do all that programs do.

use crate::support::programs::{self, Leftovers, Program, Reaction, Sick, listen, spec};
use crate::support::{ms, secs};
use ostler_core::{ExitStatus, Mode, OnReadyTimeout, Probe, ProbeKind, Spec, WatchSpec};
use proptest::prelude::*;

/// Something that happens to the machine.
#[derive(Clone, Debug)]
pub enum Op {
    Start {
        kind: usize,
        instances: u32,
    },
    Restart(Vec<u32>),
    RestartTogether {
        slots: Vec<u32>,
        times: usize,
    },
    Respecify {
        slots: Vec<u32>,
        kind: usize,
    },
    Reload {
        slots: Vec<u32>,
        parallel: u32,
    },
    ReloadWith {
        slots: Vec<u32>,
        kind: usize,
        only_changed: bool,
    },
    Stop(Vec<u32>),
    Delete(Vec<u32>),
    Reset(u32),
    Scale {
        slot: u32,
        instances: u32,
    },
    Signal(u32),
    Run(u64),
    Crash {
        slot: u32,
        status: ExitStatus,
    },
    CrashCompanion {
        slot: u32,
        status: ExitStatus,
    },
    Stale {
        slot: u32,
        generation: u32,
        kind: usize,
    },
    FileChanged(u32),
    ClockStepped(i64),
    Spurious,
    NewDaemon {
        compacted: bool,
    },
}

fn slots() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0..6_u32, 1..4)
}

fn status() -> impl Strategy<Value = ExitStatus> {
    prop_oneof![
        (0..4).prop_map(ExitStatus::Code),
        Just(ExitStatus::Signal {
            signal: 9,
            core_dumped: false
        }),
        Just(ExitStatus::Unknown),
    ]
}

pub fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..KINDS, 1..4_u32).prop_map(|(kind, instances)| Op::Start { kind, instances }),
        3 => slots().prop_map(Op::Restart),
        2 => (slots(), 2..6_usize).prop_map(|(slots, times)| Op::RestartTogether { slots, times }),
        1 => (slots(), 0..KINDS).prop_map(|(slots, kind)| Op::Respecify { slots, kind }),
        4 => (slots(), 1..3_u32).prop_map(|(slots, parallel)| Op::Reload { slots, parallel }),
        2 => (slots(), 0..KINDS, any::<bool>())
            .prop_map(|(slots, kind, only_changed)| Op::ReloadWith { slots, kind, only_changed }),
        3 => slots().prop_map(Op::Stop),
        2 => slots().prop_map(Op::Delete),
        1 => (0..6_u32).prop_map(Op::Reset),
        2 => (0..6_u32, 1..5_u32).prop_map(|(slot, instances)| Op::Scale { slot, instances }),
        1 => (0..6_u32).prop_map(Op::Signal),
        4 => (0..50_u64).prop_map(Op::Run),
        4 => (0..4000_u64).prop_map(Op::Run),
        1 => (0..60_000_u64).prop_map(Op::Run),
        5 => (0..6_u32, status()).prop_map(|(slot, status)| Op::Crash { slot, status }),
        3 => (0..6_u32, status()).prop_map(|(slot, status)| Op::CrashCompanion { slot, status }),
        1 => (0..6_u32, 0..9_u32, 0..7_usize).prop_map(|(slot, generation, kind)| Op::Stale { slot, generation, kind }),
        2 => (0..6_u32).prop_map(Op::FileChanged),
        1 => (-100_000..100_000_i64).prop_map(Op::ClockStepped),
        2 => Just(Op::Spurious),
        4 => any::<bool>().prop_map(|compacted| Op::NewDaemon { compacted }),
    ]
}

/// How everything is ended.
#[derive(Clone, Debug)]
pub enum End {
    Shutdown,
    WindDown { within: Option<u64>, hurries: bool },
}

pub fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Shutdown),
        (prop::option::of(0..20_u64), any::<bool>()).prop_map(|(within, hurries)| End::WindDown { within, hurries }),
    ]
}

/// What may happen while it is being ended: nobody is listened to any more.
pub fn meanwhile() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..2000_u64).prop_map(Op::Run),
        2 => (0..6_u32, status()).prop_map(|(slot, status)| Op::Crash { slot, status }),
        1 => (0..6_u32, status()).prop_map(|(slot, status)| Op::CrashCompanion { slot, status }),
        1 => (0..6_u32).prop_map(Op::FileChanged),
        1 => (-100_000..100_000_i64).prop_map(Op::ClockStepped),
        1 => Just(Op::Spurious),
        2 => any::<bool>().prop_map(|compacted| Op::NewDaemon { compacted }),
    ]
}

pub const KINDS: usize = 19;

/// Apps that differ in every rule that matters here.
pub fn app(kind: usize) -> Spec {
    let mut app = spec(&format!("app-{kind}"));
    match kind {
        0 => {}
        1 => app.restart = programs::pm2_spec("x").restart,
        2 => {
            app.restart = programs::pm2_spec("x").restart;
            app.restart.delay = Some(ms(700));
        }
        3 => app.restart.auto = false,
        4 => app.ready.wait_ready = true,
        5 => app.stop.tree = false,
        6 => {
            app.watch = Some(WatchSpec {
                paths: vec!["/srv".into()],
                ignore: vec![],
                delay: ms(100),
            });
            app.memory_limit = Some(100);
            app.stop.message = true;
        }
        7 => {
            app.cron = Some("*/20 * * * * *".into());
            app.restart.stop_exit_codes = vec![0, 3];
        }
        8 => app.mode = Mode::Cluster,
        9 => {
            app.mode = Mode::Cluster;
            app.ready.wait_ready = true;
        }
        10 => {
            app.mode = Mode::Cluster;
            app.memory_limit = Some(100);
            app.memory_kill = Some(110);
            app.stop.tree = false;
        }
        11 => app.listen = vec![listen("/run/one.sock")],
        12 => {
            app.listen = vec![listen("/run/two.sock")];
            app.ready.wait_ready = true;
            app.stop.tree = false;
            app.cluster.drain_timeout = secs(2);
        }
        13 => {
            app.listen = vec![listen("/run/one.sock"), listen("/run/two.sock")];
            app.memory_limit = Some(100);
            app.ready.on_timeout = OnReadyTimeout::Accept;
            app.watch = Some(WatchSpec {
                paths: vec!["/srv".into()],
                ignore: vec![],
                delay: ms(0),
            });
        }
        15 => {
            app.mode = Mode::Cluster;
            app.probes.health = Some(programs::probe());
        }
        16 => {
            app.mode = Mode::Cluster;
            app.probes.health = Some(programs::probe());
            app.probes.ready = Some(Probe {
                success_threshold: 2,
                ..programs::probe()
            });
            app.ready.wait_ready = true;
            app.cluster.drain_timeout = secs(2);
        }
        17 => {
            app.probes.health = Some(Probe {
                failure_threshold: 1,
                start_period: secs(2),
                ..programs::probe()
            });
            app.probes.ready = Some(programs::probe());
        }
        18 => {
            app.listen = vec![listen("/run/three.sock")];
            app.probes.ready = Some(programs::probe());
            app.memory_kill = Some(110);
            app.ready.on_timeout = OnReadyTimeout::Accept;
            app.stop.tree = false;
        }
        _ => {
            app.mode = Mode::Cluster;
            app.cluster.drain_timeout = secs(3);
            app.ready.on_timeout = OnReadyTimeout::Accept;
            app.watch = Some(WatchSpec {
                paths: vec!["/srv".into()],
                ignore: vec![],
                delay: ms(0),
            });
        }
    }
    app
}

fn sick() -> impl Strategy<Value = Vec<Sick>> {
    let probe = prop_oneof![Just(ProbeKind::Health), Just(ProbeKind::Ready)];
    let one = (probe, 0..20_000_u64, 0..20_000_u64, any::<bool>()).prop_map(|(probe, from, span, hung)| Sick {
        probe,
        span: ms(from)..ms(from + span),
        hung,
    });
    prop::collection::vec(one, 0..3)
}

pub fn program() -> impl Strategy<Value = Program> {
    let leftovers = prop_oneof![
        4 => Just(Leftovers::None),
        1 => Just(Leftovers::Obedient),
        1 => Just(Leftovers::Stubborn),
        1 => Just(Leftovers::Unkillable),
    ];
    let reaction = prop_oneof![
        6 => (0..3000_u64).prop_map(|after| Reaction::Ends { after: ms(after), status: ExitStatus::Code(0) }),
        2 => Just(Reaction::Ignores),
        1 => Just(Reaction::Unkillable),
    ];
    let fails = prop_oneof![8 => Just(None), 1 => Just(Some(true)), 1 => Just(Some(false))];
    let boot = prop_oneof![9 => 0..50_u64, 1 => 0..30_000_u64];
    let ends = prop::option::of((0..5000_u64, status()));
    let leaves = prop::option::weighted(0.2, 0..4000_u64);
    let waits = (prop::option::of(0..4000_u64), leaves, prop::option::of(0..2000_u64));
    (
        leftovers,
        reaction,
        fails,
        boot,
        ends,
        waits,
        prop::collection::vec(0..120_u64, 0..4),
        sick(),
    )
        .prop_map(
            |(leftovers, reaction, fails_to_spawn, boot, ends, (ready, leaves, settles), memory, sick)| Program {
                boot: ms(boot),
                fails_to_spawn,
                ends: ends.map(|(after, status)| (ms(after), status)),
                ready: ready.map(ms),
                leaves: leaves.map(ms),
                settles: settles.map(ms),
                listens: settles.map(ms),
                missing: Vec::new(),
                drains: ready.map(ms),
                reaction,
                leftovers,
                memory,
                sick,
            },
        )
}
