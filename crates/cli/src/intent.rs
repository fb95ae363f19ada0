//! What a command is about: the word for its deed, what is to be so afterwards, and when it was given. And what became of
//! it when another command overtook it. Used by `verdicts`.

use crate::client::Client;
use crate::progress::Progress;
use ostler_core::{SlotId, Status};
use ostler_wire::control::ProcessRows;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};

/// How long another command's effect is waited for.
const DEADLINE: Duration = Duration::from_secs(10);

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// What is to be so once a command is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The processes are up.
    Up,
    /// They are down, or gone.
    Down,
    /// Neither.
    Neither,
}

/// What a command is about.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The verb's past tense, before the app's name.
    pub done: String,
    /// What is to be so.
    pub wanted: Wanted,
    /// When the command was given: older log lines say nothing about it.
    pub began: SystemTime,
    /// How is shown how far it is.
    pub progress: Progress,
}

impl Intent {
    /// Something given now.
    pub fn new(done: &str, wanted: Wanted) -> Self {
        Self {
            done: done.to_owned(),
            wanted,
            began: SystemTime::now(),
            progress: Progress::None,
        }
    }

    /// The same, with progress shown.
    pub fn showing(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Whether what was wanted is so although another command overtook this one, as when two restart the same app:
    /// looks at the slots until they have come to rest.
    pub async fn came_true(&self, client: &mut Client, slots: &[SlotId]) -> bool {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let Ok(rows) = client.get::<ProcessRows>("/v1/processes").await else {
                return false;
            };
            let status = |slot: &SlotId| rows.processes.iter().find(|row| row.id == *slot).map(|row| row.status);
            let now: Vec<Rest> = slots.iter().map(|slot| rest(status(slot))).collect();
            if now.iter().all(|rest| *rest != Rest::Moving) || Instant::now() > deadline {
                return now.iter().all(|rest| self.satisfied_by(*rest));
            }
            sleep(INTERVAL).await;
        }
    }

    fn satisfied_by(&self, rest: Rest) -> bool {
        match self.wanted {
            Wanted::Up => rest == Rest::Up,
            Wanted::Down => rest == Rest::Down,
            Wanted::Neither => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Up,
    Down,
    Moving,
}

fn rest(status: Option<Status>) -> Rest {
    match status {
        Some(Status::Online) => Rest::Up,
        Some(Status::Stopped | Status::Errored) | None => Rest::Down,
        Some(Status::Launching | Status::Stopping | Status::WaitingRestart) => Rest::Moving,
    }
}
