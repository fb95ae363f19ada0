//! What workers have counted, in memory that a successor gets.

use crate::records::{Of, Records};
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
        let found = found.into_iter().filter_map(|(of, words)| understood(of, &words));
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
        self.records.write(Of::Worker(worker), &words(app, tally))
    }

    /// A worker is gone; those of its app that are had counted so much.
    ///
    /// # Errors
    /// See [`counted`](Self::counted).
    pub fn ended(&mut self, app: AppId, worker: WorkerId, ended: &Tally) -> io::Result<()> {
        self.records.end(worker, app.0, &words(app, ended))
    }

    /// An app is gone.
    ///
    /// # Errors
    /// See [`counted`](Self::counted).
    pub fn forget(&mut self, app: AppId) -> io::Result<()> {
        self.records.remove(Of::Ended(app.0))
    }
}

fn words(app: AppId, tally: &Tally) -> [u64; RECORD] {
    let mut words = [u64::from(app.0); RECORD];
    words[1..].copy_from_slice(&tally.to_words());
    words
}

fn understood(of: Of, words: &[u64; RECORD]) -> Option<(AppId, Option<WorkerId>, Tally)> {
    let (app, tally) = words.split_first()?;
    let app = AppId(u32::try_from(*app).ok()?);
    let worker = match of {
        Of::Worker(worker) => Some(worker),
        Of::Ended(_) => None,
    };
    Some((app, worker, Tally::from_words(tally.try_into().ok()?)))
}
