//! A thread that has the kernel count connections, since that takes a millisecond or more in which nobody would be served.
//!
//! It is asked by the primary, and answers each question by a command. Questions that lie there together are answered by one count.

use super::{Command, Primary};
use ostler_core::{AppId, Pid, WorkerId};
use ostler_sys::connections::{self, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What is asked on account of an app.
#[derive(Debug)]
pub struct Question {
    /// Which app.
    pub app: AppId,
    /// The count's number, for the ledger.
    pub number: u64,
    /// What.
    pub about: About,
}

/// What is to be found out.
#[derive(Debug)]
pub enum About {
    /// Which connections are open at these places.
    Open(BTreeSet<Place>),
    /// Which of these workers holds which of these connections.
    Owners {
        /// The inodes.
        connections: Vec<u64>,
        /// Main processes.
        workers: Vec<(WorkerId, Pid)>,
    },
}

/// An answer.
#[derive(Debug)]
pub struct Found {
    /// Which app the question was about.
    pub app: AppId,
    /// The count's number.
    pub number: u64,
    /// What was found out.
    pub what: What,
}

/// What was found out.
#[derive(Debug)]
pub enum What {
    /// These connections are open, and to find out took so long.
    Open(io::Result<BTreeSet<u64>>, Duration),
    /// Of these connections, those that were found are held by these workers.
    Owners(Vec<u64>, BTreeMap<u64, WorkerId>),
}

/// The way to the thread, which ends with it.
#[derive(Debug)]
pub struct Census {
    questions: Sender<Question>,
}

impl Census {
    /// Starts the thread; answers go to `primary`.
    ///
    /// # Errors
    /// No memory or thread to be had.
    pub fn start(primary: Primary) -> io::Result<Self> {
        let (questions, asked) = channel();
        thread::Builder::new()
            .name("census".into())
            .spawn(move || answer(&asked, &primary))?;
        Ok(Self { questions })
    }

    /// Asks; whether there is anybody to answer.
    pub fn ask(&self, question: Question) -> bool {
        self.questions.send(question).is_ok()
    }
}

fn answer(asked: &Receiver<Question>, primary: &Primary) {
    while let Ok(first) = asked.recv() {
        let questions: Vec<Question> = std::iter::once(first).chain(asked.try_iter()).collect();
        let began = Instant::now();
        let places = questions.iter().flat_map(|question| match &question.about {
            About::Open(places) => places.iter(),
            About::Owners { .. } => Default::default(),
        });
        let places: BTreeSet<Place> = places.cloned().collect();
        let open = if places.is_empty() {
            Ok(BTreeMap::new())
        } else {
            connections::count(&places)
        };
        for Question { app, number, about } in questions {
            let what = match about {
                About::Open(places) => What::Open(at(&open, &places), began.elapsed()),
                About::Owners { connections, workers } => {
                    let owners = owners(&connections, &workers);
                    What::Owners(connections, owners)
                }
            };
            primary.send(Command::Counted(Found { app, number, what }));
        }
    }
}

fn at(open: &io::Result<connections::Open>, places: &BTreeSet<Place>) -> io::Result<BTreeSet<u64>> {
    match open {
        Ok(open) => Ok(places
            .iter()
            .filter_map(|place| open.get(place))
            .flatten()
            .copied()
            .collect()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}

fn owners(connections: &[u64], workers: &[(WorkerId, Pid)]) -> BTreeMap<u64, WorkerId> {
    let mut owners = BTreeMap::new();
    for (worker, pid) in workers {
        let held = ostler_sys::Pid::from_raw(pid.0).map(connections::held_by);
        // One that has just ended holds nothing.
        let Some(Ok(held)) = held else { continue };
        let found = connections.iter().filter(|inode| held.contains(inode));
        owners.extend(found.map(|inode| (*inode, *worker)));
    }
    owners
}
