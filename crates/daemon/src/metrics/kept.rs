//! What workers have counted, in memory that a successor gets.

use crate::records::Records;
use crate::workers;
use ostler_core::metrics::{Tally, Totals, WORDS};
use ostler_core::{AppId, WorkerId};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// The key of its deposit.
pub const COUNTED: &str = "counted";

/// The app, and what was counted.
const RECORD: usize = WORDS + 1;
/// The tags of apps begin here, those of workers are below: slots are fewer.
const APPS: u64 = 1 << 63;

/// See the module's header.
#[derive(Debug)]
pub struct Kept {
    records: Records<RECORD>,
    found: Vec<(AppId, Option<WorkerId>, Tally)>,
}

impl Kept {
    /// In a new file, and the descriptor for a successor.
    ///
    /// # Errors
    /// `memfd_create(2)`.
    pub fn create() -> io::Result<(Self, OwnedFd)> {
        let (records, descriptor) = Records::create(COUNTED)?;
        let found = Vec::new();
        Ok((Self { records, found }, descriptor))
    }

    /// In a file that is empty, or a predecessor's.
    ///
    /// # Errors
    /// `read(2)`.
    pub fn open(file: File) -> io::Result<Self> {
        let (records, found) = Records::open(file)?;
        let found = found.into_iter().filter_map(|(tag, words)| understood(tag, &words));
        Ok(Self {
            records,
            found: found.collect(),
        })
    }

    /// What was found.
    pub fn totals(&self) -> BTreeMap<AppId, Totals> {
        let mut totals: BTreeMap<AppId, Totals> = BTreeMap::new();
        for (app, _, tally) in self.found.iter().filter(|(_, worker, _)| worker.is_none()) {
            totals.insert(*app, Totals::after(tally.clone()));
        }
        for (app, worker, tally) in &self.found {
            if let Some(worker) = worker {
                totals.entry(*app).or_default().report(*worker, tally.clone());
            }
        }
        totals
    }

    /// A worker has counted so much until now.
    ///
    /// # Errors
    /// `write(2)`: no memory.
    pub fn counted(&mut self, app: AppId, worker: WorkerId, tally: &Tally) -> io::Result<()> {
        self.records.write(workers::tag(worker), &words(app, tally))
    }

    /// A worker is gone; those of its app that are had counted so much.
    ///
    /// # Errors
    /// See [`counted`](Self::counted).
    pub fn ended(&mut self, app: AppId, worker: WorkerId, ended: &Tally) -> io::Result<()> {
        // Killed between the two, a worker would count twice, or not at all: what was shown must not shrink.
        self.records.write(APPS | u64::from(app.0), &words(app, ended))?;
        self.records.remove(workers::tag(worker))
    }

    /// An app is gone.
    ///
    /// # Errors
    /// See [`counted`](Self::counted).
    pub fn forget(&mut self, app: AppId) -> io::Result<()> {
        self.records.remove(APPS | u64::from(app.0))
    }
}

fn words(app: AppId, tally: &Tally) -> [u64; RECORD] {
    let mut words = [u64::from(app.0); RECORD];
    words[1..].copy_from_slice(&tally.to_words());
    words
}

fn understood(tag: u64, words: &[u64; RECORD]) -> Option<(AppId, Option<WorkerId>, Tally)> {
    let (app, tally) = words.split_first()?;
    let app = AppId(u32::try_from(*app).ok()?);
    let worker = (tag & APPS == 0).then(|| workers::tagged(tag)).flatten();
    Some((app, worker, Tally::from_words(tally.try_into().ok()?)))
}
