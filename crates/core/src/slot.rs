//! One slot: the place of one instance of an app, and the processes that run in it one after the other.
//!
//! Called by [`Machine`](crate::Machine) only, which looks the slot up, hands it an [`Input`] and keeps what comes of
//! it. Invariants:
//! - at most one process of a slot is alive: a launch is ordered only when nothing of the last one is left;
//! - a signal is ordered only between `Spawned` and the end of what it goes to;
//! - every transient state has a deadline ([`Slot::deadline`]);
//! - a waiting ticket is answered exactly once, by [`Slot::answer`]; several wait together as long as they want the same.
//!
//! `state` is the story of the current worker. A slot that is being replaced has a second one beside it for a while, the
//! [`Companion`], with a story of its own.

mod budget;
mod companion;
#[cfg(test)]
mod companion_table;
mod ending;
mod ladder;
mod rest;
mod resting;
mod running;
mod state;
mod stuck;
#[cfg(test)]
mod table;
mod vitals;
mod waiters;

pub(crate) use budget::Ledger;
pub(crate) use companion::{Companion, News, Phase};
pub(crate) use ending::is_success;
pub(crate) use ladder::Press;
pub(crate) use rest::Rest;
pub(crate) use state::{Intent, Order, Run, Spawning, State, Stopping, Stuck, Sweeping, Then, Why};
pub(crate) use vitals::{Vitals, first_probes};
pub(crate) use waiters::Aim;

use crate::effect::{Effect, Launch, Notice, NoticeKind, Place};
use crate::event::{ExitStatus, Origin, SpawnError};
use crate::history::{Cause, Entry, What};
use crate::ids::{AppId, Generation, Pid, SlotId, Ticket, WorkerId};
use crate::outcome::Verdict;
use crate::probe::Health;
use crate::schedule::cron::Due;
use crate::settings::Settings;
use crate::spec::Spec;
use crate::time::{Instant, Now};
use crate::view::{SlotView, Status};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long an ordered launch may stay unanswered before whoever waits for it is told.
pub(crate) const SPAWN_TIMEOUT: Duration = Duration::from_secs(10);

/// The number under which the machine keeps a spec, so that a slot's record stays small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpecKey(pub u32);

/// Everything the machine knows of a slot. It is also its record in the journal, where its inside is nobody's
/// business but the machine's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    pub(crate) id: SlotId,
    pub(crate) app: AppId,
    pub(crate) instance: u32,
    pub(crate) spec: SpecKey,
    /// The current worker's, or the last one's.
    pub(crate) generation: Generation,
    /// The highest there was.
    pub(crate) last_generation: Generation,
    pub(crate) state: State,
    /// Where the current worker's program lies.
    pub(crate) place: Option<Place>,
    /// Where its program is to be taken from, since what the spec's paths lead to now has failed in a reload.
    pub(crate) pinned: Option<Place>,
    /// Whether the current worker listens, or takes what comes in on what it inherited.
    pub(crate) listens: bool,
    /// The current worker has been killed for so much memory, over this limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) over: Option<(u64, u64)>,
    /// What the current worker's probes have found.
    #[serde(default, skip_serializing_if = "Vitals::is_new")]
    pub(crate) vitals: Vitals,
    /// A worker beside the current one.
    pub(crate) companion: Option<Companion>,
    pub(crate) ledger: Ledger,
    /// The requests that wait for what becomes of this slot, in the order in which they came.
    pub(crate) waiters: Vec<Ticket>,
    /// How many restarts that nobody asked for they have waited through.
    #[serde(default)]
    pub(crate) waited_through: u32,
    /// Whether file changes restart it, if its spec says so at all: from a start until a stop by hand.
    pub(crate) watched: bool,
    /// When cron restarts it next.
    pub(crate) cron: Option<Due>,
}

/// What a slot can be told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    Spawned {
        pid: Pid,
        place: Option<Place>,
    },
    SpawnFailed {
        error: SpawnError,
    },
    Exited {
        status: ExitStatus,
        oom_killed: bool,
    },
    TreeGone,
    Ready,
    /// It says that it is ending by itself.
    Stopping,
    Settled,
    /// It listens on an address; on these others do and it does not.
    Listening {
        missing: Vec<String>,
    },
    /// It was told to drain and has.
    Drained,
    Memory {
        bytes: u64,
    },
    /// Run anew (whatever it does now), for the reason given.
    Restart {
        cause: Cause,
    },
    Stop {
        by: Origin,
    },
    Delete {
        by: Origin,
    },
    /// As `Delete`, but others go on serving what it served: it finishes with its connections first.
    Retire {
        by: Origin,
    },
    /// The time of [`Slot::deadline`] has come, perhaps.
    Deadline,
}

/// What a slot made of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It changed something.
    Took,
    /// The slot is to be forgotten.
    Forget,
    /// It changed nothing.
    Ignored(Reason),
}

/// Why an input changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A fact that cannot be true of this state, or news of what is settled already.
    OutOfOrder,
    /// Nobody waits for it.
    NotAwaited,
    /// The process is being ended anyway.
    Ending,
    /// Nothing runs that it could be about.
    NothingRuns,
    /// Within the limit.
    WithinLimit,
    /// A person's stop or delete stands above it.
    Overruled,
    /// A restart is under way already.
    UnderWay,
    /// It is not time yet.
    NotDue,
}

/// What a slot may look at and write to while it decides.
pub(crate) struct Context<'a> {
    pub(crate) now: Now,
    pub(crate) settings: &'a Settings,
    pub(crate) spec: &'a Arc<Spec>,
    /// What the companion runs, or is to.
    pub(crate) other: Option<&'a Arc<Spec>>,
    pub(crate) effects: &'a mut VecDeque<Effect>,
    pub(crate) verdicts: &'a mut Vec<(Ticket, Verdict)>,
    /// What a roll has to know.
    pub(crate) news: &'a mut Vec<News>,
}

/// The next state, and what was decided.
type Turn = (State, Decision);

fn took(state: State) -> Turn {
    (state, Decision::Took)
}

fn ignored(state: State, reason: Reason) -> Turn {
    (state, Decision::Ignored(reason))
}

impl Slot {
    /// A slot in which nothing ran yet.
    pub(crate) fn new(id: SlotId, app: AppId, instance: u32, spec: SpecKey) -> Self {
        Self {
            id,
            app,
            instance,
            spec,
            generation: Generation(0),
            last_generation: Generation(0),
            state: State::default(),
            place: None,
            pinned: None,
            listens: false,
            over: None,
            vitals: Vitals::default(),
            companion: None,
            ledger: Ledger::default(),
            waiters: Vec::new(),
            waited_through: 0,
            watched: false,
            cron: None,
        }
    }

    /// Takes an input in and decides.
    pub(crate) fn on(&mut self, input: Input, cx: &mut Context<'_>) -> Decision {
        self.involve_companion(&input, cx);
        let (state, decision) = match std::mem::take(&mut self.state) {
            State::Down { errored } => self.on_down(errored, input, cx),
            State::Waiting { until, order } => self.on_waiting(until, order, input, cx),
            State::Spawning(spawning) => self.on_spawning(spawning, input, cx),
            State::Launching { run, until } => self.on_launching(run, until, input, cx),
            State::Online(run) => self.on_online(run, input, cx),
            State::Stopping(stopping) => self.on_stopping(stopping, input, cx),
            State::Sweeping(sweeping) => self.on_sweeping(sweeping, input, cx),
            State::Stuck(stuck) => self.on_stuck(stuck, input, cx),
            State::Leaving { then, killed } => self.on_leaving(then, killed, input, cx),
        };
        self.state = state;
        decision
    }

    /// Whoever asks for something of the slot asks it of both: no replacement is wanted any more, and what is to go down goes whole.
    fn involve_companion(&mut self, input: &Input, cx: &mut Context<'_>) {
        let ends = match input {
            Input::Stop { .. } | Input::Delete { .. } | Input::Retire { .. } => true,
            Input::Restart { cause } => !is_automatic(cause) && self.companion.as_ref().is_some_and(Companion::comes),
            Input::Spawned { .. }
            | Input::SpawnFailed { .. }
            | Input::Exited { .. }
            | Input::TreeGone
            | Input::Ready
            | Input::Stopping
            | Input::Settled
            | Input::Listening { .. }
            | Input::Drained
            | Input::Memory { .. }
            | Input::Deadline => false,
        };
        if ends {
            // Whatever becomes of the companion, the input is the current worker's matter too.
            let _ = self.abandon(cx);
        }
    }

    /// The specs it refers to.
    pub(crate) fn specs(&self) -> Vec<SpecKey> {
        let companion = self.companion.as_ref().map(|companion| companion.spec);
        std::iter::once(self.spec).chain(companion).collect()
    }

    /// The worker of the current generation.
    pub(crate) fn worker(&self) -> WorkerId {
        WorkerId {
            slot: self.id,
            generation: self.generation,
        }
    }

    /// The main process, while it runs.
    pub(crate) fn pid(&self) -> Option<Pid> {
        match &self.state {
            State::Launching { run, .. } | State::Online(run) | State::Stopping(Stopping { run, .. }) => Some(run.pid),
            State::Stuck(stuck) => stuck.main.as_ref().map(|(run, _)| run.pid),
            State::Down { .. }
            | State::Waiting { .. }
            | State::Spawning(_)
            | State::Sweeping(_)
            | State::Leaving { .. } => None,
        }
    }

    /// Whether a main process runs, or is being launched.
    pub(crate) fn may_run(&self) -> bool {
        self.pid().is_some() || matches!(self.state, State::Spawning(_))
    }

    /// Whether anything runs in it, or is to.
    pub(crate) fn is_in_use(&self) -> bool {
        !matches!(self.state, State::Down { .. }) || self.companion.is_some()
    }

    /// Whether one worker of it has ended, or is to, and the next is not up yet.
    pub(crate) fn is_in_transit(&self) -> bool {
        match &self.state {
            State::Spawning(_) | State::Launching { .. } | State::Stopping(_) | State::Sweeping(_) => true,
            State::Down { .. } | State::Waiting { .. } | State::Online(_) | State::Stuck(_) | State::Leaving { .. } => {
                false
            }
        }
    }

    /// Whether something of it is on its way out that may have been launched with a spec it has no more.
    pub(crate) fn is_leaving_behind(&self) -> bool {
        let ends = match &self.state {
            State::Spawning(spawning) => spawning.intent.is_some(),
            State::Stopping(_) | State::Sweeping(_) => true,
            State::Down { .. }
            | State::Waiting { .. }
            | State::Launching { .. }
            | State::Online(_)
            | State::Stuck(_)
            | State::Leaving { .. } => false,
        };
        ends || self.companion.is_some()
    }

    /// PM2's word for the state.
    pub(crate) fn status(&self) -> Status {
        match &self.state {
            State::Down { .. } | State::Leaving { .. } if self.has_stuck_companion() => Status::Errored,
            State::Down { errored: false } => Status::Stopped,
            State::Down { errored: true } | State::Stuck(_) => Status::Errored,
            State::Waiting { .. } => Status::WaitingRestart,
            State::Spawning(Spawning { intent: None, .. }) | State::Launching { .. } => Status::Launching,
            State::Online(_) => Status::Online,
            State::Spawning(Spawning { intent: Some(_), .. })
            | State::Stopping(_)
            | State::Sweeping(_)
            | State::Leaving { .. } => Status::Stopping,
        }
    }

    /// Whether file changes restart it now.
    pub(crate) fn watching(&self, spec: &Spec) -> bool {
        self.watched && spec.watch.is_some()
    }

    /// The next moment at which the slot has something to do by itself.
    pub(crate) fn deadline(&self, spec: &Spec, settings: &Settings) -> Option<Instant> {
        let cron = self.cron.map(|due| due.at);
        let companion = self.companion.as_ref().and_then(Companion::deadline);
        let own = self.own_deadline(spec, settings);
        own.into_iter().chain(companion).chain(cron).min()
    }

    /// [`Slot::deadline`] of the current worker, without cron.
    pub(crate) fn own_deadline(&self, spec: &Spec, settings: &Settings) -> Option<Instant> {
        match &self.state {
            State::Down { .. } | State::Stuck(_) | State::Leaving { .. } => None,
            State::Waiting { until, .. } | State::Launching { until, .. } => Some(*until),
            State::Spawning(spawning) => Some(spawning.until),
            State::Online(_) => self.online_deadline(spec, settings),
            State::Stopping(stopping) => Some(stopping.ladder.deadline()),
            State::Sweeping(sweeping) => Some(sweeping.ladder.deadline()),
        }
    }

    /// The slot as seen from outside.
    pub(crate) fn view(&self, spec: &Arc<Spec>) -> SlotView {
        let launched = self.ledger.launched;
        SlotView {
            id: self.id,
            app: self.app,
            instance: self.instance,
            generation: self.generation,
            status: self.status(),
            pid: self.pid(),
            launched_at: launched.map(|moment| moment.wall),
            launched: launched.map(|moment| moment.instant),
            created_at: self.ledger.created.map(|moment| moment.wall),
            restarts: self.ledger.restarts,
            unstable_restarts: self.ledger.unstable,
            last_exit: self.ledger.last_exit,
            restart_delay_ms: self.ledger.delay_ms,
            health: if self.is_up() {
                self.vitals.view(&spec.probes)
            } else {
                Health::default()
            },
            watching: self.watching(spec),
            spec: Arc::clone(spec),
        }
    }

    /// Orders a launch.
    fn launch(&mut self, order: Order, cx: &mut Context<'_>) -> State {
        self.generation = self.next_generation();
        self.place = None;
        self.listens = false;
        self.over = None;
        self.vitals = Vitals::default();
        if order.counts {
            self.ledger.restarts = self.ledger.restarts.saturating_add(1);
        }
        self.ledger.created.get_or_insert(cx.now);
        let spec = Arc::clone(cx.spec);
        cx.effects.push_back(Effect::Spawn(Launch {
            worker: self.worker(),
            app: self.app,
            instance: self.instance,
            spec,
            place: self.pinned.clone(),
        }));
        State::Spawning(Spawning {
            until: cx.now.instant + SPAWN_TIMEOUT,
            order,
            intent: None,
        })
    }

    fn next_generation(&mut self) -> Generation {
        self.last_generation = Generation(self.last_generation.0.max(self.generation.0).saturating_add(1));
        self.last_generation
    }

    /// Launches at once, or waits until `at`.
    fn launch_at(&mut self, at: Instant, order: Order, cx: &mut Context<'_>) -> State {
        if at <= cx.now.instant {
            self.launch(order, cx)
        } else {
            State::Waiting { until: at, order }
        }
    }

    /// The last steps of a delete.
    fn forget(&mut self, by: Origin, cx: &mut Context<'_>) -> Turn {
        self.record(What::Deleted { by }, cx);
        self.publish(NoticeKind::Delete, true, cx);
        cx.effects.push_back(Effect::Forget { slot: self.id });
        self.answer(&Verdict::Deleted, cx);
        (State::default(), Decision::Forget)
    }

    fn record(&self, what: What, cx: &mut Context<'_>) {
        cx.effects.push_back(Effect::Record(Entry {
            at: cx.now.wall,
            app: cx.spec.name.clone(),
            slot: self.id,
            instance: self.instance,
            generation: self.generation,
            what,
        }));
    }

    fn publish(&self, kind: NoticeKind, manually: bool, cx: &mut Context<'_>) {
        cx.effects.push_back(Effect::Publish(Notice {
            slot: self.id,
            kind,
            manually,
        }));
    }
}

/// Whether nobody asked.
fn is_automatic(cause: &Cause) -> bool {
    match cause {
        Cause::Asked(_) => false,
        Cause::Restart
        | Cause::FileChanged { .. }
        | Cause::Cron { .. }
        | Cause::MemoryLimit { .. }
        | Cause::Unhealthy { .. } => true,
    }
}
