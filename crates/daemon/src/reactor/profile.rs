//! Profiles of workers: files made, workers told, clients answered, as `ostler_core::profiling` orders; and what a worker is spared that stands still.

use super::changes::put_json;
use super::operate::{Later, Plan, system_error, user_error};
use super::{Daemon, now};
use crate::fact::Fact;
use crate::operations::Form;
use crate::primary::Command;
use crate::profile_files;
use crate::select::not_found;
use ostler_core::profiling::{LONGEST, Order, Profile, ProfileFailure, ProfileKind, Profiles, SHORTEST};
use ostler_core::{Instant, Interpreter, Pid, Runtime, SlotId, SlotView, Status, WorkerId};
use ostler_wire::control::{Answer, ApiError, Profiled};
use ostler_wire::node_ipc::{FromInspector, InspectorSaid, ToInspector};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What the keys of profiles begin with.
pub(super) const PROFILES: &str = "profile/";

/// Workers that are not to be judged by what they do not do, and since when they are again.
#[derive(Debug, Default)]
pub(crate) struct Spared {
    /// Whose event loop stands still for a heap snapshot.
    standing_still: BTreeSet<WorkerId>,
    /// When it last went on, of those whose event loop stood still.
    until: BTreeMap<WorkerId, Instant>,
}

impl Spared {
    /// What a worker has not done since then is its own fault.
    pub(super) fn go_on(&mut self, worker: WorkerId) {
        self.until.insert(worker, now().instant);
    }

    /// A worker is gone.
    pub(super) fn forget(&mut self, worker: WorkerId) {
        self.until.remove(&worker);
    }
}

impl Daemon {
    /// Has a profile taken.
    pub(super) fn plan_profile(&mut self, operation: &str, slot: SlotId, kind: ProfileKind) -> Result<Plan, ApiError> {
        let (worker, view) = self.inspectable(slot)?;
        if let ProfileKind::Cpu { for_ms } = kind
            && !(SHORTEST.as_millis()..=LONGEST.as_millis()).contains(&u128::from(for_ms))
        {
            return Err(user_error(format!(
                "a CPU profile takes from {} s to {} s, not {for_ms} ms",
                SHORTEST.as_secs(),
                LONGEST.as_secs()
            )));
        }
        if let Some((_, taken)) = self.profiles.of(worker) {
            let what = match taken {
                ProfileKind::Cpu { .. } => "a CPU profile",
                ProfileKind::Heap => "a heap snapshot",
            };
            let mut error = user_error(format!("{what} of {} is being taken already", named(&view)));
            error.hint = Some("One at a time: try again when that is done.".to_owned());
            return Err(error);
        }
        let operation = operation.to_owned();
        let begin: Later = Box::new(move |daemon, reply| {
            let kept = daemon.operations.hold(&operation, Form::Profile, reply);
            daemon.keep_operations(kept);
            daemon.change_profiles(|profiles, now| profiles.begin(&operation, worker, kind, now));
        });
        Ok(Plan::Elsewhere(begin))
    }

    /// Ends the CPU profile of a worker early.
    pub(super) fn plan_end_profile(&mut self, slot: SlotId) -> Result<Plan, ApiError> {
        let view = self.machine.slot(slot).ok_or_else(|| not_found(&slot.to_string()))?;
        let worker = super::calls::worker(&view);
        match self.profiles.of(worker) {
            None => Err(user_error(format!("no profile of {} is being taken", named(&view)))),
            Some((_, ProfileKind::Heap)) => Err(user_error(format!(
                "a heap snapshot of {} is being taken, which cannot be ended early",
                named(&view)
            ))),
            Some((_, ProfileKind::Cpu { .. })) => {
                self.change_profiles(|profiles, _| profiles.enough(worker).map_or_else(Vec::new, |(_, orders)| orders));
                Ok(Plan::Done(Answer::Done { count: 1 }))
            }
        }
    }

    /// The worker in a slot, if our preload can reach Node's inspector in it.
    pub(super) fn inspectable(&self, slot: SlotId) -> Result<(WorkerId, SlotView), ApiError> {
        let view = self.machine.slot(slot).ok_or_else(|| not_found(&slot.to_string()))?;
        let worker = super::calls::worker(&view);
        let record = self.workers.get(&worker).filter(|record| record.status.is_none());
        let refused = |why: String, hint: String| ApiError {
            hint: Some(hint),
            ..user_error(why)
        };
        let name = &view.spec.name;
        let Some(record) = record.filter(|_| view.status == Status::Online) else {
            let why = format!("{} does not run", named(&view));
            return Err(refused(
                why,
                format!("`ostler list` shows what does; `ostler why {name}` why not."),
            ));
        };
        if self.preload_of(&record.launch).is_some() {
            return Ok((worker, view));
        }
        let runs_node = view.spec.program.interpreter.runtime() == Some(Runtime::Node);
        Err(if !runs_node {
            let by = match &view.spec.program.interpreter {
                Interpreter::None => "it runs by itself".to_owned(),
                Interpreter::Program(program) => format!("it is run by {program}"),
            };
            refused(
                format!("{} is not run by Node, but {by}: there is no inspector to ask", named(&view)),
                "Programs that Ostler runs by `node` itself can be profiled and inspected; for others use the tools of \
                 their language, or perf."
                    .to_owned(),
            )
        } else if !view.spec.cluster.preload {
            refused(
                format!(
                    "{} runs without Ostler's preload (`pmx: false`), which asks Node's inspector",
                    named(&view)
                ),
                format!(
                    "Take `pmx: false` out of its config and `ostler restart` it, or start {name} with `--inspect`."
                ),
            )
        } else {
            refused(
                format!(
                    "{} runs without Ostler's preload, which could not be written",
                    named(&view)
                ),
                format!("`{}/ostler.log` says why.", self.home_text),
            )
        })
    }

    /// What a worker says of a profile, or of its inspector.
    pub(super) fn hear_inspector(&mut self, worker: WorkerId, said: FromInspector) {
        let FromInspector { id, said } = said;
        match said {
            InspectorSaid::Opened(opened) => self.inspector_opened(worker, &id, &opened),
            InspectorSaid::Profile(said) if self.profiles.get(&id).is_some() => {
                self.change_profiles(|profiles, now| profiles.said(&id, worker, said, now));
            }
            InspectorSaid::Profile(said) => self.inspector_failed(worker, &id, said),
        }
    }

    /// The file of a profile is made, or could not be.
    pub(super) fn profile_placed(&mut self, operation: &str, placed: Result<String, String>) {
        self.change_profiles(|profiles, now| profiles.placed(operation, placed, now));
    }

    /// Time has come for something about profiles.
    pub(super) fn profiles_due(&mut self) {
        self.change_profiles(Profiles::due);
    }

    /// A worker is gone.
    pub(super) fn profile_ended(&mut self, worker: WorkerId) {
        self.change_profiles(|profiles, _| profiles.ended(worker));
        self.spared.forget(worker);
    }

    /// Goes on with what a predecessor did.
    pub(super) fn adopt_profiles(&mut self) {
        let home = self.home.clone();
        let kept = self
            .profiles
            .operations()
            .filter_map(|known| self.profiles.get(known)?.path.clone());
        let kept: BTreeSet<String> = kept.collect();
        if self.has_home() {
            self.scribe.run(move || profile_files::remove_others(&home, &kept));
        }
        let alive: BTreeSet<WorkerId> = self.workers.keys().copied().collect();
        self.change_profiles(|profiles, now| profiles.adopt(&alive, now));
        // Also when there was nothing to change.
        self.spare_those_that_stand_still();
        // Held, and then nothing: the predecessor was killed in between.
        for operation in self.operations.held() {
            if self.profiles.get(&operation).is_none() {
                let error = system_error("the daemon was replaced before the profile was begun".to_owned());
                let kept = self.operations.settle(&operation, Err(error));
                self.keep_operations(kept);
            }
        }
    }

    fn has_home(&self) -> bool {
        self.home != std::path::Path::new(crate::NOWHERE)
    }

    /// Changes something about profiles: first it is written down, then it is carried out.
    fn change_profiles(&mut self, change: impl FnOnce(&mut Profiles, Instant) -> Vec<Order>) {
        let before: BTreeMap<String, Profile> = self.profiles_by_operation();
        let mut orders = change(&mut self.profiles, now().instant);
        let after = self.profiles_by_operation();
        if before == after && orders.is_empty() {
            return;
        }
        // What is answered is kept with the change; the rest is done when both are.
        let answers: Vec<Order> = orders
            .extract_if(.., |order| matches!(order, Order::Answer(..)))
            .collect();
        for answer in answers {
            self.answer_profile(answer, &before);
        }
        for (operation, profile) in &after {
            if before.get(operation) != Some(profile) {
                put_json(&mut self.journal, &key(operation), profile);
            }
        }
        for gone in before.keys().filter(|operation| !after.contains_key(*operation)) {
            self.journal.remove(&key(gone));
        }
        self.commit();
        self.spare_those_that_stand_still();
        for order in orders {
            self.run_order(order);
        }
    }

    fn profiles_by_operation(&self) -> BTreeMap<String, Profile> {
        let all = self.profiles.operations();
        all.filter_map(|operation| Some((operation.to_owned(), self.profiles.get(operation)?.clone())))
            .collect()
    }

    fn run_order(&mut self, order: Order) {
        match order {
            Order::Place(operation) => self.place_profile(operation),
            Order::Ask(operation) => {
                let Some(profile) = self.profiles.get(&operation) else {
                    return;
                };
                let (id, path) = (&operation, profile.path.as_deref().unwrap_or_default());
                let order = match profile.kind {
                    ProfileKind::Cpu { for_ms } => ToInspector::Cpu { id, path, for_ms },
                    ProfileKind::Heap => ToInspector::Heap { id, path },
                };
                self.say_to(profile.worker, order.message(), "the order to take a profile");
            }
            Order::Enough(operation) => {
                if let Some(profile) = self.profiles.get(&operation) {
                    let order = ToInspector::Enough { id: &operation };
                    self.say_to(profile.worker, order.message(), "the order to end a profile");
                }
            }
            Order::Remove(path) => self.scribe.run(move || profile_files::remove(&PathBuf::from(path))),
            // Was told when it went to the journal.
            Order::Answer(..) => {}
        }
    }

    fn place_profile(&mut self, operation: String) {
        let worker = self.profiles.get(&operation).map(|profile| profile.worker);
        let pid = worker
            .and_then(|worker| self.workers.get(&worker))
            .map(|record| record.pid);
        let Some(pid) = pid else { return };
        let (home, facts) = (self.home.clone(), self.facts.clone());
        // Another one each time: a predecessor may have made it and not written it down.
        let name = format!("{pid}-{}-{}", self.generation, now().instant.0);
        self.scribe.run(move || {
            let placed = profile_files::place(&home, &name, pid);
            let _ = facts.send(Fact::ProfilePlaced(operation, placed));
        });
    }

    fn answer_profile(&mut self, answer: Order, before: &BTreeMap<String, Profile>) {
        let Order::Answer(operation, result) = answer else {
            return;
        };
        let Some(profile) = self
            .profiles
            .get(&operation)
            .or_else(|| before.get(&operation))
            .cloned()
        else {
            return;
        };
        let view = self.machine.slot(profile.worker.slot);
        let pid = self.workers.get(&profile.worker).map(|record| record.pid);
        let answer = match (result, view) {
            (Ok(bytes), Some(view)) => Ok(Answer::Profiled(Profiled {
                id: view.id,
                name: view.spec.name.clone(),
                instance: view.instance,
                pid: pid.unwrap_or(Pid(0)),
                kind: profile.kind,
                path: profile.path.unwrap_or_default(),
                bytes,
            })),
            (Err(failure), view) => Err(explained(&failure, profile.worker, pid, view.as_ref())),
            (Ok(_), None) => Err(explained(&ProfileFailure::Ended, profile.worker, pid, None)),
        };
        let kept = self.operations.settle(&operation, answer);
        self.keep_operations(kept);
    }

    /// Takes those out of rotation that stand still, and puts those back that go on.
    fn spare_those_that_stand_still(&mut self) {
        let now = self.profiles.standing_still();
        let before = std::mem::replace(&mut self.spared.standing_still, now.clone());
        for worker in now.difference(&before) {
            self.primary.send(Command::Pause(*worker, true));
        }
        for worker in before.difference(&now) {
            self.spared.go_on(*worker);
            self.primary.send(Command::Pause(*worker, false));
        }
    }

    /// Whether a worker stands still for a heap snapshot.
    pub(crate) fn stands_still(&self, worker: WorkerId) -> bool {
        self.spared.standing_still.contains(&worker)
    }

    /// Whether it is no fault of a worker's that it has not answered since then.
    pub(crate) fn is_spared_since(&self, worker: WorkerId, since: Instant) -> bool {
        let went_on = self.spared.until.get(&worker);
        self.stands_still(worker)
            || self.inspections.is_open(worker)
            || went_on.is_some_and(|went_on| *went_on >= since)
    }
}

/// How a worker is called before people.
pub(super) fn named(view: &SlotView) -> String {
    format!("{} ({})", view.spec.name, view.id)
}

fn explained(failure: &ProfileFailure, worker: WorkerId, pid: Option<Pid>, view: Option<&SlotView>) -> ApiError {
    let name = view.map_or_else(|| format!("worker {worker}"), named);
    let process = pid.map_or_else(String::new, |pid| format!(", process {pid},"));
    let app = view.map_or("", |view| view.spec.name.as_str());
    let (message, hint) = match failure {
        ProfileFailure::NotPlaced(why) => (
            format!("no file could be made for a profile of {name}: {why}"),
            Some("It is made in the directory `profiles` of Ostler's home.".to_owned()),
        ),
        ProfileFailure::Silent(after) => (
            format!("{name}{process} did not begin within {} s", after.as_secs()),
            Some(
                "Its event loop does not turn, so it cannot be asked; `perf top -p PID` sees such a process from outside. \
                 If it was started by an older Ostler, `ostler reload` gives it what is needed."
                    .to_owned(),
            ),
        ),
        ProfileFailure::Refused(why) => (format!("{name}{process} could not: {why}"), hint_for(why)),
        ProfileFailure::Ended => (
            format!("{name}{process} ended before its profile was written"),
            Some(format!("`ostler why {app}` says how.")),
        ),
        ProfileFailure::Overdue(after) => (
            format!("{name}{process} has not written its profile within {} s", after.as_secs()),
            Some("What it still writes is thrown away.".to_owned()),
        ),
    };
    ApiError {
        hint,
        ..system_error(message)
    }
}

fn hint_for(why: &str) -> Option<String> {
    let hint = if why.contains("ENOSPC") || why.contains("EDQUOT") {
        "It is written in the directory `profiles` of Ostler's home first: make room there."
    } else if why.contains("EACCES") {
        "Its user must be able to go through Ostler's home directory: `chmod 711` on it, and on those above it."
    } else {
        return None;
    };
    Some(hint.to_owned())
}

fn key(operation: &str) -> String {
    format!("{PROFILES}{operation}")
}
