//! The one worker that a profile is taken of, or whose inspector is opened: by its id, by its instance, or the one that uses most.

use crate::commands::processes;
use crate::error::{Error, Result};
use crate::selection;
use crate::session::Session;
use crate::targets;
use crate::units;
use ostler_core::{Pid, SlotId, Status};
use ostler_wire::control::{Process, Usage};

/// By what one of several is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Most {
    /// The most processor time.
    Cpu,
    /// The most memory.
    Memory,
}

/// A worker that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenWorker {
    /// Its slot.
    pub slot: SlotId,
    /// Its app's name.
    pub name: String,
    /// Its instance number.
    pub instance: u32,
    /// Its process.
    pub pid: Pid,
    /// Why it and no other, for people; empty where there is no other.
    why: String,
}

impl ChosenWorker {
    /// How it is called before people.
    pub fn shown(&self) -> String {
        let Self {
            slot,
            name,
            instance,
            pid,
            ..
        } = self;
        format!("{name} ({slot}), instance {instance}, process {pid}")
    }

    /// The same, and why it was chosen.
    pub fn shown_with_reason(&self) -> String {
        format!("{}{}", self.shown(), self.why)
    }
}

/// Chooses among those that a word means.
pub async fn choose(session: &Session, word: &str, instance: Option<u32>, most: Most) -> Result<ChosenWorker> {
    let all = processes(session).await?;
    let selector = targets::selector(session, &[word.to_owned()]);
    let meant = selection::select(&all.processes, &selector)?;
    if meant.is_empty() {
        return Err(selection::not_found(word));
    }
    of(&meant, word, instance, most)
}

fn of(meant: &[&Process], word: &str, instance: Option<u32>, most: Most) -> Result<ChosenWorker> {
    let is_wanted = |process: &&&Process| instance.is_none_or(|wanted| process.view.instance == wanted);
    let wanted: Vec<&Process> = meant.iter().filter(is_wanted).copied().collect();
    if let (Some(wanted), true) = (instance, wanted.is_empty()) {
        let known: Vec<String> = meant.iter().map(|process| process.view.instance.to_string()).collect();
        return Err(
            Error::user(format!("{word} has no instance {wanted}")).hint(format!("there is {}", known.join(", ")))
        );
    }
    let running: Vec<(&Process, Pid)> = wanted
        .iter()
        .filter(|process| process.view.status == Status::Online)
        .filter_map(|process| Some((*process, process.view.pid?)))
        .collect();
    let chosen = running.iter().rev().max_by(|(one, _), (other, _)| {
        let (one, other) = (used(one.usage, most), used(other.usage, most));
        one.total_cmp(&other)
    });
    let Some((process, pid)) = chosen else {
        return Err(
            Error::user(format!("{word} does not run")).hint("`ostler list` shows what does, `ostler why` why not")
        );
    };
    Ok(ChosenWorker {
        slot: process.view.id,
        name: process.view.spec.name.clone(),
        instance: process.view.instance,
        pid: *pid,
        why: reason(process.usage, running.len(), most),
    })
}

fn used(usage: Option<Usage>, most: Most) -> f64 {
    let usage = usage.unwrap_or_default();
    match most {
        Most::Cpu => usage.cpu,
        Most::Memory => usage.memory as f64,
    }
}

fn reason(usage: Option<Usage>, of: usize, most: Most) -> String {
    let usage = usage.unwrap_or_default();
    match (of, most) {
        (..=1, _) => String::new(),
        (of, Most::Cpu) => format!(", which of {of} uses the most CPU ({} %)", usage.cpu),
        (of, Most::Memory) => format!(", which of {of} uses the most memory ({})", units::memory(usage.memory)),
    }
}
