//! What changed, into the journal: before anybody sees an effect of it.

use super::Daemon;
use super::boot::RESTORED_KEY;
use super::custom::ACTIONS;
use super::inspect::INSPECTIONS;
use super::profile::PROFILES;
use super::registered::{OF_ENDED, OF_WORKERS};
use crate::operations::{Kept, Record};
use ostler_core::inspection::Inspection;
use ostler_core::metrics::Registry;
use ostler_core::profiling::Profile;
use ostler_core::{AppId, Change, Effect, Machine, Settings, WorkerId};
use ostler_wire::metrics::CustomAction;
use rustix::io::dup;
use serde::Serialize;
use std::collections::BTreeMap;

/// The deposit of the journal's memfd.
pub const JOURNAL_KEY: &str = "journal";

/// What the keys of what workers said begin with.
const SAID: &str = "said/";

impl Daemon {
    /// Appends the machine's changes, and those of the operations that the effects will answer.
    pub(super) fn keep_changes(&mut self, effects: &[Effect]) {
        for change in self.machine.drain_changes() {
            self.told.note(&change);
            put(&mut self.journal, &change);
        }
        let replies = effects.iter().filter_map(|effect| match effect {
            Effect::Reply { ticket, outcome } => Some((*ticket, outcome)),
            _ => None,
        });
        let kept = self.operations.outcomes(replies);
        self.keep_operations(kept);
        self.commit();
    }

    /// Appends what changed of the operations.
    pub(crate) fn keep_operations(&mut self, kept: Vec<Kept>) {
        for kept in kept {
            match kept {
                Kept::Put(record) => put_json(&mut self.journal, &operation_key(&record.id), &record),
                Kept::Remove(id) => self.journal.remove(&operation_key(&id)),
            }
        }
    }

    /// Writes out what was put.
    pub(super) fn commit(&mut self) {
        let done = self.journal.commit().and_then(|()| self.journal.compact());
        match done {
            Ok(true) => self.deposit_journal(),
            Ok(false) => {}
            Err(error) => self.note(&format!(
                "the journal could not be written ({error}); a crash now would lose the latest changes"
            )),
        }
    }

    /// Keeps what a worker says of itself, as long as it lives.
    pub(super) fn said(&mut self, worker: WorkerId, text: String) {
        if let Some(record) = self.workers.get_mut(&worker) {
            put_json(&mut self.journal, &said_key(worker), &text);
            record.said = Some(text);
            self.told.touch(worker.slot);
        }
    }

    /// It lives no more.
    pub(super) fn unsay(&mut self, worker: WorkerId) {
        self.journal.remove(&said_key(worker));
    }

    /// What workers said to a predecessor.
    pub(super) fn adopt_said(&mut self, said: BTreeMap<WorkerId, String>) {
        for (worker, text) in said {
            match self.workers.get_mut(&worker) {
                Some(record) => record.said = Some(text),
                None => self.unsay(worker),
            }
        }
    }

    /// Hands the journal's memfd to the keeper.
    pub(crate) fn deposit_journal(&mut self) {
        match dup(self.journal.memfd()) {
            Ok(copy) => self.keeper.deposit(JOURNAL_KEY, Vec::new(), vec![copy]),
            Err(error) => self.note(&format!("the journal could not be handed to the keeper: {error}")),
        }
    }
}

fn said_key(worker: WorkerId) -> String {
    format!("{SAID}{worker}")
}

fn operation_key(id: &str) -> String {
    format!("operation/{id}")
}

/// Changes of one key follow each other; the last one counts.
fn put(journal: &mut crate::journal::Journal, change: &Change) {
    match change {
        Change::Spec { key, .. } => put_json(journal, &format!("a-spec/{key:?}"), change),
        Change::SpecGone { key } => journal.remove(&format!("a-spec/{key:?}")),
        Change::Slot { id, .. } => put_json(journal, &format!("slot/{id}"), change),
        Change::SlotGone { id } => journal.remove(&format!("slot/{id}")),
        Change::App { id, .. } => put_json(journal, &format!("app/{id}"), change),
        Change::AppGone { id } => journal.remove(&format!("app/{id}")),
        Change::Ticket { ticket, .. } => put_json(journal, &format!("ticket/{}", ticket.0), change),
        Change::Answered { ticket, .. } => journal.remove(&format!("ticket/{}", ticket.0)),
        Change::Counters(_) => put_json(journal, "counters", change),
    }
}

pub(super) fn put_json(journal: &mut crate::journal::Journal, key: &str, value: &impl Serialize) {
    // Our own records are strings, numbers and maps with string keys: they always have a JSON form.
    if let Ok(bytes) = serde_json::to_vec(value) {
        journal.put(key, &bytes);
    }
}

/// What a journal holds.
pub struct Restored {
    /// The machine as it was.
    pub machine: Machine,
    /// The operations.
    pub operations: Vec<Record>,
    /// The saved list was restored.
    pub restored: bool,
    /// What workers said of themselves.
    pub said: BTreeMap<WorkerId, String>,
    /// What workers do when they are told to.
    pub actions: BTreeMap<WorkerId, Vec<CustomAction>>,
    /// Profiles of workers, by the operations that they are for.
    pub profiles: BTreeMap<String, Profile>,
    /// Who is inspected.
    pub inspections: BTreeMap<WorkerId, Inspection>,
    /// What workers have registered with a library for metrics.
    pub registered: BTreeMap<(AppId, WorkerId), Registry>,
    /// What workers that are gone have left of it.
    pub registered_ended: BTreeMap<AppId, Registry>,
}

/// Reads a predecessor's journal.
///
/// # Errors
/// If the memfd cannot be read. A record that cannot be understood is left out and named in the notes.
pub fn restore(
    journal: &crate::journal::Journal,
    settings: Settings,
    notes: &mut Vec<String>,
) -> std::io::Result<Restored> {
    let mut changes = Vec::new();
    let mut operations = Vec::new();
    let mut restored = false;
    let (mut said, mut actions) = (BTreeMap::new(), BTreeMap::new());
    let (mut profiles, mut inspections) = (BTreeMap::new(), BTreeMap::new());
    let (mut registered, mut registered_ended) = (BTreeMap::new(), BTreeMap::new());
    for (key, bytes) in journal.entries()? {
        if key == RESTORED_KEY {
            restored = true;
        } else if let Some(worker) = key.strip_prefix(SAID).and_then(crate::workers::named) {
            let mut texts = Vec::new();
            read_into(&mut texts, &key, &bytes, notes);
            said.extend(texts.pop().map(|text| (worker, text)));
        } else if let Some(worker) = key.strip_prefix(ACTIONS).and_then(crate::workers::named) {
            let mut lists = Vec::new();
            read_into(&mut lists, &key, &bytes, notes);
            actions.extend(lists.pop().map(|list| (worker, list)));
        } else if let Some(operation) = key.strip_prefix(PROFILES) {
            let mut read = Vec::new();
            read_into(&mut read, &key, &bytes, notes);
            profiles.extend(read.pop().map(|profile| (operation.to_owned(), profile)));
        } else if let Some(worker) = key.strip_prefix(INSPECTIONS).and_then(crate::workers::named) {
            let mut read = Vec::new();
            read_into(&mut read, &key, &bytes, notes);
            inspections.extend(read.pop().map(|inspection| (worker, inspection)));
        } else if let Some(named) = key.strip_prefix(OF_WORKERS).and_then(super::registered::named) {
            let mut registries: Vec<Registry> = Vec::new();
            read_into(&mut registries, &key, &bytes, notes);
            registered.extend(registries.pop().map(|registry| (named, registry)));
        } else if let Some(app) = key.strip_prefix(OF_ENDED).and_then(|app| app.parse().ok()) {
            let mut registries: Vec<Registry> = Vec::new();
            read_into(&mut registries, &key, &bytes, notes);
            registered_ended.extend(registries.pop().map(|registry| (AppId(app), registry)));
        } else if key.starts_with("operation/") {
            read_into(&mut operations, &key, &bytes, notes);
        } else {
            read_into(&mut changes, &key, &bytes, notes);
        }
    }
    Ok(Restored {
        machine: Machine::restore(settings, changes),
        operations,
        restored,
        said,
        actions,
        profiles,
        inspections,
        registered,
        registered_ended,
    })
}

fn read_into<T: serde::de::DeserializeOwned>(list: &mut Vec<T>, key: &str, bytes: &[u8], notes: &mut Vec<String>) {
    match serde_json::from_slice(bytes) {
        Ok(value) => list.push(value),
        Err(error) => notes.push(format!("journal record {key} cannot be read: {error}")),
    }
}
