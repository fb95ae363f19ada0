//! Profiles of workers: which is being taken of whom, how long each step may take, and what becomes of its file.
//!
//! Called by the daemon, which carries out the [`Order`]s and says what came of them. All of it can be written down and gone on with by
//! another daemon: the worker is told again what it was told ([`Profiles::adopt`]), and does nothing twice.
//!
//! Invariants: at most one profile of a worker is under way; every profile is answered once; every file is either taken away by whoever asked for it or
//! removed, whatever happens.

use crate::ids::WorkerId;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The shortest CPU profile.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// The longest CPU profile.
pub const LONGEST: Duration = Duration::from_secs(5 * 60);

/// How often a worker is asked that has not begun. One that has just been launched may not hear yet.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long a worker may take to begin: its event loop has to turn once.
const BEGIN: Duration = Duration::from_secs(10);
/// How long the file may take to be made.
const PLACE: Duration = Duration::from_secs(10);
/// How much longer than its length a CPU profile may take: it is put together and written at the end.
const WRITE: Duration = Duration::from_secs(60);
/// How long a heap snapshot may take. One of several gigabytes takes minutes.
const SNAPSHOT: Duration = Duration::from_secs(10 * 60);
/// How long a finished file is there to be taken away.
pub const KEPT: Duration = Duration::from_secs(60);

/// What is taken of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProfileKind {
    /// Where its time goes.
    Cpu {
        /// How long, from 1000 to 300000 ms.
        for_ms: u64,
    },
    /// What its memory holds. Its event loop stands still meanwhile.
    Heap,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Its file is being made.
    Placing,
    /// The worker has been asked, and has not said that it has begun.
    Asked { since: Instant },
    /// It is being taken.
    Taking,
    /// It is answered; the file is there for a while.
    Over,
}

/// One profile, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Of whom.
    pub worker: WorkerId,
    /// What.
    pub kind: ProfileKind,
    /// The file that it goes into, once there is one.
    pub path: Option<String>,
    stage: Stage,
    /// When something has to have happened.
    deadline: Instant,
    /// Whoever asked for it has had enough.
    enough: bool,
}

/// What a worker says of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileSaid {
    /// It is being taken.
    Begun,
    /// It is in its file, so many bytes.
    Written(u64),
    /// It could not be taken, for people.
    Failed(String),
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileFailure {
    /// Its file could not be made.
    NotPlaced(String),
    /// The worker has not begun in time.
    Silent(Duration),
    /// It says why not.
    Refused(String),
    /// It has ended.
    Ended,
    /// It has begun, and not finished in time.
    Overdue(Duration),
}

/// What is to be done about a profile, which is named by the operation that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Make its file.
    Place(String),
    /// Tell the worker to take it, into this file.
    Ask(String),
    /// Tell the worker that it is enough.
    Enough(String),
    /// Answer: so many bytes, or why not.
    Answer(String, Result<u64, ProfileFailure>),
    /// Remove this file, which is not anybody's any more.
    Remove(String),
}

/// All profiles that are under way or can be taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profiles(BTreeMap<String, Profile>);

impl Profile {
    fn is_under_way(&self) -> bool {
        self.stage != Stage::Over
    }

    /// How long it may take from its beginning.
    fn longest(&self) -> Duration {
        match self.kind {
            ProfileKind::Cpu { for_ms } => Duration::from_millis(for_ms) + WRITE,
            ProfileKind::Heap => SNAPSHOT,
        }
    }
}

impl Profiles {
    /// Goes on with what a predecessor has written down, by the operations' names.
    pub fn restore(profiles: impl IntoIterator<Item = (String, Profile)>) -> Self {
        Self(profiles.into_iter().collect())
    }

    /// The profile that an operation is for, to be written down; nothing when it is to be forgotten.
    pub fn get(&self, operation: &str) -> Option<&Profile> {
        self.0.get(operation)
    }

    /// The operations there are profiles for.
    pub fn operations(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The operation whose profile of this worker is under way, and what is taken.
    pub fn of(&self, worker: WorkerId) -> Option<(&str, ProfileKind)> {
        let is_of = |profile: &Profile| profile.worker == worker && profile.is_under_way();
        let found = self.0.iter().find(|(_, profile)| is_of(profile));
        found.map(|(operation, profile)| (operation.as_str(), profile.kind))
    }

    /// Workers whose event loop stands still for a profile: nobody is to expect anything of them, and nothing new is to be given to them.
    pub fn standing_still(&self) -> BTreeSet<WorkerId> {
        let stands = |profile: &&Profile| match (profile.kind, profile.stage) {
            (ProfileKind::Heap, Stage::Asked { .. } | Stage::Taking) => true,
            (ProfileKind::Heap, Stage::Placing | Stage::Over) | (ProfileKind::Cpu { .. }, _) => false,
        };
        self.0.values().filter(stands).map(|profile| profile.worker).collect()
    }

    /// When to ask what is [`due`](Self::due).
    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.values().map(|profile| profile.deadline).min()
    }

    /// Begins one. None other may be under way of this worker ([`of`](Self::of)).
    pub fn begin(&mut self, operation: &str, worker: WorkerId, kind: ProfileKind, now: Instant) -> Vec<Order> {
        let profile = Profile {
            worker,
            kind,
            path: None,
            stage: Stage::Placing,
            deadline: now + PLACE,
            enough: false,
        };
        self.0.insert(operation.to_owned(), profile);
        vec![Order::Place(operation.to_owned())]
    }

    /// Its file is made, or could not be.
    pub fn placed(&mut self, operation: &str, placed: Result<String, String>, now: Instant) -> Vec<Order> {
        let Some(profile) = self.0.get_mut(operation).filter(|known| known.stage == Stage::Placing) else {
            // Nobody waits for it any more.
            return placed.into_iter().map(Order::Remove).collect();
        };
        match placed {
            Ok(path) => {
                profile.path = Some(path);
                profile.stage = Stage::Asked { since: now };
                profile.deadline = now + ASK_EVERY;
                ask(operation, profile)
            }
            Err(why) => self.fail(operation, ProfileFailure::NotPlaced(why)),
        }
    }

    /// A worker says something about it. What it says of one that is answered, or of another worker's, is of no concern.
    pub fn said(&mut self, operation: &str, worker: WorkerId, said: ProfileSaid, now: Instant) -> Vec<Order> {
        let known = |profile: &&mut Profile| {
            profile.worker == worker && matches!(profile.stage, Stage::Asked { .. } | Stage::Taking)
        };
        let Some(profile) = self.0.get_mut(operation).filter(known) else {
            return Vec::new();
        };
        match said {
            ProfileSaid::Begun if profile.stage == Stage::Taking => Vec::new(),
            ProfileSaid::Begun => {
                profile.stage = Stage::Taking;
                profile.deadline = now + profile.longest();
                Vec::new()
            }
            ProfileSaid::Written(bytes) => {
                profile.stage = Stage::Over;
                profile.deadline = now + KEPT;
                vec![Order::Answer(operation.to_owned(), Ok(bytes))]
            }
            ProfileSaid::Failed(why) => self.fail(operation, ProfileFailure::Refused(why)),
        }
    }

    /// Whoever asked for a profile of this worker has had enough; what there is is written. Nothing if none is under way.
    pub fn enough(&mut self, worker: WorkerId) -> Option<(String, Vec<Order>)> {
        let operation = self.of(worker)?.0.to_owned();
        let profile = self.0.get_mut(&operation)?;
        profile.enough = true;
        let orders = match profile.stage {
            Stage::Placing | Stage::Over => Vec::new(),
            Stage::Asked { .. } | Stage::Taking => vec![Order::Enough(operation.clone())],
        };
        Some((operation, orders))
    }

    /// A worker has ended.
    pub fn ended(&mut self, worker: WorkerId) -> Vec<Order> {
        let operation = self.of(worker).map(|(operation, _)| operation.to_owned());
        operation.map_or_else(Vec::new, |operation| self.fail(&operation, ProfileFailure::Ended))
    }

    /// What time has come for.
    pub fn due(&mut self, now: Instant) -> Vec<Order> {
        let due = self.0.iter().filter(|(_, profile)| profile.deadline <= now);
        let due: Vec<String> = due.map(|(operation, _)| operation.clone()).collect();
        due.iter().flat_map(|operation| self.overdue(operation, now)).collect()
    }

    fn overdue(&mut self, operation: &str, now: Instant) -> Vec<Order> {
        let Some(profile) = self.0.get_mut(operation) else {
            return Vec::new();
        };
        match profile.stage {
            Stage::Placing => self.fail(operation, ProfileFailure::NotPlaced("it took too long".to_owned())),
            Stage::Asked { since } if now.since(since) >= BEGIN => self.fail(operation, ProfileFailure::Silent(BEGIN)),
            Stage::Asked { .. } => {
                profile.deadline = now + ASK_EVERY;
                ask(operation, profile)
            }
            Stage::Taking => {
                let longest = profile.longest();
                self.fail(operation, ProfileFailure::Overdue(longest))
            }
            Stage::Over => self.forget(operation),
        }
    }

    /// A new daemon goes on: what was being done when the last one went is done again, and whoever has ended meanwhile has ended.
    pub fn adopt(&mut self, alive: &BTreeSet<WorkerId>, now: Instant) -> Vec<Order> {
        let operations: Vec<String> = self.0.keys().cloned().collect();
        let orders = operations.iter().map(|operation| {
            let Some(profile) = self.0.get_mut(operation) else {
                return Vec::new();
            };
            match profile.stage {
                Stage::Over => Vec::new(),
                Stage::Placing | Stage::Asked { .. } | Stage::Taking if !alive.contains(&profile.worker) => {
                    self.fail(operation, ProfileFailure::Ended)
                }
                Stage::Placing => {
                    profile.deadline = now + PLACE;
                    vec![Order::Place(operation.clone())]
                }
                Stage::Asked { .. } => ask(operation, profile),
                Stage::Taking if profile.enough => vec![Order::Enough(operation.clone())],
                Stage::Taking => Vec::new(),
            }
        });
        orders.flatten().collect()
    }

    fn fail(&mut self, operation: &str, failure: ProfileFailure) -> Vec<Order> {
        let mut orders = vec![Order::Answer(operation.to_owned(), Err(failure))];
        orders.extend(self.forget(operation));
        orders
    }

    fn forget(&mut self, operation: &str) -> Vec<Order> {
        let path = self.0.remove(operation).and_then(|profile| profile.path);
        path.into_iter().map(Order::Remove).collect()
    }
}

fn ask(operation: &str, profile: &Profile) -> Vec<Order> {
    let mut orders = vec![Order::Ask(operation.to_owned())];
    if profile.enough {
        orders.push(Order::Enough(operation.to_owned()));
    }
    orders
}
