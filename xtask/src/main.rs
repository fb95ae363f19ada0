//! The project's own tasks, called as `cargo xtask <task>`.
//!
//! | task | what it does |
//! |---|---|
//! | `ci` | every check: format, lints, purity of the core, licences and advisories, all tests, doc tests |
//! | `try` | builds Ostler, starts the Express example under it, and shows that it answers |
//! | `bench` | measures Ostler and PM2 side by side and prints Markdown tables; `bench http` only how many requests come through; `bench preload` what measuring them costs; `bench evenness` how connections are shared; `bench reloads` what a thousand reloads lose, `bench kills` what a hundred kills of daemon and keeper |
//! | `endurance` | the tests whose proof grows with repetition, at full length |
//! | `purity` | only the check that the core does no I/O |

mod bench;
mod ci;
mod command;
mod first_try;
mod purity;

use std::io::Write;
use std::process::ExitCode;

/// How many reloads are done unless somebody says otherwise.
const RELOADS: u32 = 1000;
/// How often daemon and keeper are killed, each and in each mode, unless somebody says otherwise.
const KILLS: u32 = 100;

/// What a task ends with: nothing, or a sentence that says what failed.
type Result<T = ()> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["ci"] => ci::run(),
        ["try"] => first_try::run(),
        ["bench"] => bench::run(),
        ["bench", "http"] => bench::requests(),
        ["bench", "preload"] => bench::preloaded(),
        ["bench", "evenness"] => bench::shares(),
        ["bench", "reloads"] => bench::reload(RELOADS),
        ["bench", "reloads", times] => number(times).and_then(bench::reload),
        ["bench", "kills"] => bench::kill(KILLS),
        ["bench", "kills", times] => number(times).and_then(bench::kill),
        ["endurance"] => ci::endurance(),
        ["purity"] => purity::check(),
        _ => Err(
            "usage: cargo xtask ci | try | bench [http | preload | evenness | reloads [NUMBER] | kills [NUMBER]] | endurance | purity".to_owned(),
        ),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Nowhere is left to report a standard error that cannot be written.
            drop(writeln!(std::io::stderr(), "xtask: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn number(word: &str) -> Result<u32> {
    word.parse().map_err(|_| format!("how often? {word:?} is no number"))
}

/// Says something to whoever runs the task.
fn say(text: &str) {
    // A closed standard output is no reason to end a check.
    drop(writeln!(std::io::stdout(), "{text}"));
}
