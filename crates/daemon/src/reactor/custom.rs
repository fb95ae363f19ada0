//! What apps measure themselves and do when they are told to: PM2's `axm:` messages, and `trigger`.
//!
//! Values live with the worker and are told again by it soon; the names of actions are told once, so these are kept for a
//! successor. An action is never called twice for one command: that it was called is kept before it is.

use super::calls::worker;
use super::changes::put_json;
use super::operate::{Later, Plan, user_error};
use super::{Daemon, Fact};
use crate::operations::Form;
use crate::primary::Command;
use crate::workers::Worker;
use ostler_core::{SlotId, SlotView, WorkerId};
use ostler_wire::control::{ActionReply, Answer, ApiError, Selector};
use ostler_wire::metrics::CustomAction;
use ostler_wire::node_ipc::Custom;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the keys of the actions of workers begin with.
pub(super) const ACTIONS: &str = "actions/";

/// An action that has been called, until all have answered.
#[derive(Debug)]
pub(crate) struct Triggered {
    /// The client's name for the operation.
    operation: String,
    action: String,
    awaited: BTreeMap<WorkerId, SlotId>,
    replies: Vec<ActionReply>,
}

impl Daemon {
    /// An app says something about its metrics or actions.
    pub(super) fn hear_custom(&mut self, from: WorkerId, said: Custom) {
        if let Custom::Reply { action, value } = said {
            return self.replied(from, &action, Some(value));
        }
        let Some(record) = self.workers.get_mut(&from) else {
            return;
        };
        if said.into_known(&mut record.custom, &mut record.actions) {
            put_json(&mut self.journal, &actions_key(from), &record.actions);
        }
    }

    /// A worker is gone: nobody will answer, and its actions with it.
    pub(super) fn forget_actions(&mut self, gone: WorkerId) {
        self.journal.remove(&actions_key(gone));
        let awaited = self
            .triggered
            .iter()
            .filter(|called| called.awaited.contains_key(&gone));
        let actions: BTreeSet<String> = awaited.map(|called| called.action.clone()).collect();
        for action in actions {
            self.replied(gone, &action, None);
        }
    }

    /// The actions that a predecessor was told of.
    pub(super) fn adopt_actions(&mut self, actions: BTreeMap<WorkerId, Vec<CustomAction>>) {
        for (worker, actions) in actions {
            match self.workers.get_mut(&worker) {
                Some(record) => record.actions = actions,
                None => self.journal.remove(&actions_key(worker)),
            }
        }
    }

    /// Has those of the chosen workers that know an action do it.
    pub(super) fn plan_trigger(
        &mut self,
        operation: &str,
        selector: &Selector,
        action: String,
        parameters: Option<String>,
        within: Duration,
    ) -> Result<Plan, ApiError> {
        let chosen = self.chosen(selector)?;
        let views: Vec<SlotView> = chosen.iter().filter_map(|slot| self.machine.slot(*slot)).collect();
        let record = |view: &SlotView| self.workers.get(&worker(view)).filter(|_| view.pid.is_some());
        let (able, others): (Vec<&SlotView>, Vec<&SlotView>) = views
            .iter()
            .partition(|view| record(view).is_some_and(|record| knows(record, &action)));
        if able.is_empty() {
            let known = others
                .iter()
                .filter_map(|view| record(view))
                .flat_map(|record| &record.actions);
            let known: BTreeSet<&str> = known.map(|action| action.name.as_str()).collect();
            return Err(unknown(selector, &action, &known));
        }
        let asked = able.into_iter().map(|view| {
            let reply = ActionReply {
                id: view.id,
                name: view.spec.name.clone(),
                namespace: view.spec.namespace.clone(),
                value: None,
            };
            (worker(view), reply)
        });
        let asked: Vec<(WorkerId, ActionReply)> = asked.collect();
        let operation = operation.to_owned();
        let call: Later = Box::new(move |daemon, reply| {
            let kept = daemon.operations.hold(&operation, Form::Asked, reply);
            daemon.keep_operations(kept);
            daemon.commit();
            daemon.call_action(operation, &action, parameters.as_deref(), asked, within);
        });
        Ok(Plan::Elsewhere(call))
    }

    fn call_action(
        &mut self,
        operation: String,
        action: &str,
        parameters: Option<&str>,
        asked: Vec<(WorkerId, ActionReply)>,
        within: Duration,
    ) {
        let awaited = asked.iter().map(|(worker, reply)| (*worker, reply.id)).collect();
        self.triggered.push(Triggered {
            operation: operation.clone(),
            action: action.to_owned(),
            awaited,
            replies: asked.iter().map(|(_, reply)| reply.clone()).collect(),
        });
        let facts = self.facts.clone();
        tokio::spawn(async move {
            tokio::time::sleep(within).await;
            let _ = facts.send(Fact::RepliesOverdue(operation));
        });
        for (worker, reply) in asked {
            // As PM2 puts it: the bare name where there is nothing to be given.
            let message = parameters.map_or_else(
                || Value::from(action),
                |parameters| json!({ "msg": action, "opts": parameters, "id": reply.id }),
            );
            self.say_to(worker, message, "the call of an action");
        }
    }

    /// Sends an app's worker a message over its IPC channel.
    pub(crate) fn say_to(&self, worker: WorkerId, message: Value, what: &str) {
        let Some(record) = self.workers.get(&worker) else {
            return;
        };
        if record.is_of_cluster() {
            return self.primary.send(Command::Say(worker, message));
        }
        if let Err(error) = record.send(&message) {
            self.note(&format!(
                "{what}, sent to process {} of `{}`: {error}",
                record.pid, record.launch.spec.name
            ));
        }
    }

    /// A worker has answered, or never will.
    fn replied(&mut self, from: WorkerId, action: &str, value: Option<Value>) {
        let awaits = |called: &Triggered| called.action == action && called.awaited.contains_key(&from);
        let Some(at) = self.triggered.iter().position(awaits) else {
            return;
        };
        let called = &mut self.triggered[at];
        if let Some(slot) = called.awaited.remove(&from)
            && let Some(reply) = called.replies.iter_mut().find(|reply| reply.id == slot)
        {
            reply.value = value;
        }
        if called.awaited.is_empty() {
            self.conclude_action(at);
        }
    }

    /// Nobody waits any longer for what came of an action.
    pub(super) fn replies_overdue(&mut self, operation: &str) {
        if let Some(at) = self.triggered.iter().position(|called| called.operation == operation) {
            self.conclude_action(at);
        }
    }

    fn conclude_action(&mut self, at: usize) {
        let called = self.triggered.remove(at);
        let kept = self
            .operations
            .settle(&called.operation, Ok(Answer::Triggered(called.replies)));
        self.keep_operations(kept);
    }
}

fn knows(record: &Worker, action: &str) -> bool {
    record.actions.iter().any(|known| known.name == action)
}

fn unknown(selector: &Selector, action: &str, known: &BTreeSet<&str>) -> ApiError {
    let mut error = user_error(format!(
        "no process of {} that runs has an action `{action}`",
        selector.words.join(" ")
    ));
    error.hint = Some(if known.is_empty() {
        "An app tells of its actions by `process.send`, as `@pm2/io` does; `ostler describe` shows them.".to_owned()
    } else {
        let known: Vec<&str> = known.iter().copied().collect();
        format!("There is: {}.", known.join(", "))
    });
    error
}

fn actions_key(worker: WorkerId) -> String {
    format!("{ACTIONS}{worker}")
}
