//! Runs every case on every runtime, keeps what came of it, and writes it as Markdown.
//!
//! What holds under the runtimes' own cluster is kept in `reference.json` beside this file; Ostler is measured by it.

use crate::case::Case;
use crate::driver::Driver;
use crate::{cases, probe};
use ostler_testkit::runtimes::Kind;
use ostler_testkit::{Runtime, skip};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How many cases are run at once. More would measure the queue for the processor.
const AT_ONCE: usize = 3;

/// What came of one case on one runtime.
pub const WORKS: &str = "works";

/// What the runtime lacks something for.
pub const DOES_NOT_APPLY: &str = "does not apply";

/// By case and runtime: [`WORKS`], [`DOES_NOT_APPLY`], or why it fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix(BTreeMap<String, BTreeMap<String, String>>);

/// A case on a runtime.
type Cell = (Case, Runtime);

/// Runs what `OSTLER_TEST_CASE` and `OSTLER_TEST_RUNTIME` (parts of names) choose; everything when they are not set.
///
/// A runtime that cannot be had is left out, visibly.
pub fn run(driver: Driver) -> Matrix {
    let queue: Mutex<VecDeque<Cell>> = Mutex::new(cells());
    let matrix = Mutex::new(Matrix::default());
    let work = || {
        while let Some((case, runtime)) = locked(&queue, VecDeque::pop_front) {
            let outcome = outcome(&case, &runtime, driver);
            locked(&matrix, |matrix| matrix.set(&case, runtime.kind, outcome));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    matrix.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn chosen(variable: &str) -> String {
    std::env::var(variable).unwrap_or_default()
}

fn cells() -> VecDeque<Cell> {
    let (part, runtime) = (chosen("OSTLER_TEST_CASE"), chosen("OSTLER_TEST_RUNTIME"));
    let kinds = Kind::ALL.into_iter().filter(|kind| kind.to_string().contains(&runtime));
    let installed = |kind| {
        Runtime::install(kind)
            .inspect_err(|reason| skip("the compatibility matrix", reason))
            .ok()
    };
    let runtimes: Vec<Runtime> = kinds.filter_map(installed).collect();
    let cases = cases::all().into_iter().filter(|case| case.name.contains(&part));
    cases
        .flat_map(|case| runtimes.iter().map(move |runtime| (case.clone(), runtime.clone())))
        .collect()
}

fn outcome(case: &Case, runtime: &Runtime, driver: Driver) -> String {
    if !case.applies_to(runtime.kind) {
        return DOES_NOT_APPLY.to_owned();
    }
    match catch_unwind(AssertUnwindSafe(|| probe::run(case, runtime, driver))) {
        Ok(Ok(())) => WORKS.to_owned(),
        Ok(Err(reason)) => reason.split_whitespace().collect::<Vec<_>>().join(" "),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map_or("it panicked", String::as_str);
            text.lines().next().unwrap_or_default().to_owned()
        }
    }
}

fn locked<T, R>(mutex: &Mutex<T>, act: impl FnOnce(&mut T) -> R) -> R {
    act(&mut mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Matrix {
    /// What is kept of the runtimes' own cluster.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn kept() -> Self {
        let text = std::fs::read_to_string(kept_at()).expect("the kept matrix");
        Self(serde_json::from_str(&text).expect("the kept matrix is JSON"))
    }

    /// With what another run came to where this one has nothing.
    pub fn or(mut self, other: Self) -> Self {
        for (case, cells) in other.0 {
            let own = self.0.entry(case).or_default();
            for (kind, outcome) in cells {
                own.entry(kind).or_insert(outcome);
            }
        }
        self
    }

    /// Whether every case was run on every runtime.
    pub fn is_whole(&self) -> bool {
        let ran = |case: &Case| Kind::ALL.into_iter().all(|kind| self.get(case.name, kind).is_some());
        cases::all().iter().all(ran)
    }

    /// Keeps this as what the runtimes' own cluster does.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn keep(&self) {
        let text = serde_json::to_string_pretty(&self.0).expect("invariant: texts are JSON");
        std::fs::write(kept_at(), text + "\n").expect("the kept matrix written");
    }

    fn set(&mut self, case: &Case, kind: Kind, outcome: String) {
        self.0
            .entry(case.name.to_owned())
            .or_default()
            .insert(kind.to_string(), outcome);
    }

    /// What came of a case on a runtime; `None` when it was not run.
    pub fn get(&self, case: &str, kind: Kind) -> Option<&str> {
        Some(self.0.get(case)?.get(&kind.to_string())?.as_str())
    }

    /// With what worked in an earlier run on Deno, whose own cluster loses connections now and then: what is kept of it is
    /// what it can do.
    pub fn with_deno_of(mut self, earlier: &Self) -> Self {
        for case in cases::all() {
            if earlier.get(case.name, Kind::Deno) == Some(WORKS) {
                self.set(&case, Kind::Deno, WORKS.to_owned());
            }
        }
        self
    }

    /// What works in `self` but not in `other` on these runtimes, a sentence each. What `other` has not run is left out.
    pub fn lost_in(&self, other: &Self, kinds: &[Kind]) -> Vec<String> {
        let mut lost = Vec::new();
        for case in cases::all() {
            for &kind in kinds {
                let works = self.get(case.name, kind) == Some(WORKS);
                match other.get(case.name, kind) {
                    Some(outcome) if works && outcome != WORKS => {
                        lost.push(format!("{}, {kind}: {outcome}", case.name));
                    }
                    Some(_) | None => {}
                }
            }
        }
        lost
    }

    /// A Markdown table, and why what fails does.
    pub fn markdown(&self, title: &str) -> String {
        let mut text = format!("## {title}\n\n| |");
        let mut reasons: Vec<&str> = Vec::new();
        for kind in Kind::ALL {
            write!(text, " {kind} |").expect("invariant: a String takes text");
        }
        text += "\n|---|";
        text += &"---|".repeat(Kind::ALL.len());
        for case in cases::all() {
            write!(text, "\n| {} |", case.name).expect("invariant: a String takes text");
            for kind in Kind::ALL {
                let cell = match self.get(case.name, kind) {
                    Some(WORKS) => "works".to_owned(),
                    Some(DOES_NOT_APPLY) => "n.a.".to_owned(),
                    Some(reason) => format!("**fails** ({})", number_of(&mut reasons, reason)),
                    None => "not run".to_owned(),
                };
                write!(text, " {cell} |").expect("invariant: a String takes text");
            }
        }
        text += "\n\n";
        for (index, reason) in reasons.iter().enumerate() {
            writeln!(text, "{}. `{}`", index + 1, reason.replace('`', "'")).expect("invariant: a String takes text");
        }
        text
    }
}

/// The number of a reason in the list, counted from 1; it is added when it is new.
fn number_of<'a>(reasons: &mut Vec<&'a str>, reason: &'a str) -> usize {
    let known = reasons.iter().position(|other| *other == reason);
    known.unwrap_or_else(|| {
        reasons.push(reason);
        reasons.len() - 1
    }) + 1
}

fn kept_at() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compatibility/reference.json")
}
