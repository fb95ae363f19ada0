//! Ostler and PM2 side by side in one run, as a Markdown table.
//!
//! Absolute figures drift with the machine and with what else it does: read the ratios within one run.

mod app;
mod evenness;
mod http;
mod kills;
mod mean;
mod measure;
mod preload;
mod quantity;
mod reloads;
mod services;
mod toggle;

use crate::command::{cargo, output, program, step};
use crate::{Result, say};
use measure::Figures;
use ostler_testkit::{Manager, tools};
use quantity::Quantity;

/// The PM2 that is measured, as npm takes it.
const PM2: &str = "pm2@7";

/// Builds Ostler, installs PM2, measures both, prints the table.
///
/// # Errors
/// When something cannot be built or installed, or when a target is missed.
pub fn run() -> Result {
    let (pm2, ostler) = managers()?;
    say("── measuring pm2");
    let mut theirs = measure::everything(&pm2);
    say("── measuring ostler");
    let mut ours = measure::everything(&ostler);
    say("── measuring starts, in turns");
    measure::starts([(&pm2, &mut theirs), (&ostler, &mut ours)]);
    say(&surroundings()?);
    say(&table(&theirs, &ours));
    say("── measuring requests");
    let mut missed: Vec<String> = missed(&theirs, &ours).into_iter().map(str::to_owned).collect();
    missed.extend(http::run(&pm2, &ostler)?);
    verdict(&missed)
}

/// Requests alone.
///
/// # Errors
/// As [`run`].
pub fn requests() -> Result {
    let (pm2, ostler) = managers()?;
    say(&surroundings()?);
    verdict(&http::run(&pm2, &ostler)?)
}

/// What measuring costs, and the preload as a whole.
///
/// # Errors
/// As [`run`].
pub fn preloaded() -> Result {
    let (_, ostler) = managers()?;
    say(&surroundings()?);
    let missed = toggle::run()?;
    preload::run(&ostler)?;
    verdict(&missed)
}

/// How evenly connections are shared, in each mode.
///
/// # Errors
/// As [`run`].
pub fn shares() -> Result {
    let (_, ostler) = managers()?;
    say(&surroundings()?);
    verdict(&evenness::run(&ostler)?)
}

/// Reloads under load, so many in all.
///
/// # Errors
/// As [`run`]: when anything was lost.
pub fn reload(times: u32) -> Result {
    let (pm2, ostler) = managers()?;
    say(&surroundings()?);
    verdict(&reloads::run(&pm2, &ostler, times)?)
}

/// Daemon and keeper killed under load, each so many times in each mode.
///
/// # Errors
/// As [`run`]: when more was lost than has to be.
pub fn kill(times: u32) -> Result {
    let (_, ostler) = managers()?;
    say(&surroundings()?);
    verdict(&kills::run(&ostler, times)?)
}

fn verdict(missed: &[String]) -> Result {
    if missed.is_empty() {
        Ok(())
    } else {
        Err(format!("missed: {}", missed.join("; ")))
    }
}

/// Both of them, built and installed.
fn managers() -> Result<(Manager, Manager)> {
    let mut build = cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "ostler-cli",
        "--package",
        "ostler-testkit",
    ]);
    step("building ostler", &mut build)?;
    let pm2 = Manager::pm2(tools::npm(PM2, "node_modules/.bin/pm2")?);
    Ok((pm2, Manager::ostler(tools::target().join("release/ostler"))))
}

/// What the figures depend on.
fn surroundings() -> Result<String> {
    let kernel = output(program("uname").args(["-sr"]))?;
    let node = output(program("node").arg("--version"))?;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(format!(
        "\n{}, {processors} processors, Node {}\n",
        kernel.trim(),
        node.trim()
    ))
}

fn table(pm2: &Figures, ostler: &Figures) -> String {
    let mut text = "| | PM2 7 | Ostler | ratio | asked | |\n|---|---:|---:|---:|---|---|\n".to_owned();
    for quantity in Quantity::ALL {
        let (theirs, ours) = (pm2[&quantity], ostler[&quantity]);
        let target = quantity.target();
        let mark = match target.is_met(theirs, ours) {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        let cells = [
            quantity.title().to_owned(),
            number(theirs),
            number(ours),
            ratio(theirs, ours),
            target.text(),
            mark.to_owned(),
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

/// How many times the one is the other, whichever way it is more than one.
fn ratio(theirs: f64, ours: f64) -> String {
    if ours == 0.0 || theirs == 0.0 {
        "–".to_owned()
    } else if ours <= theirs {
        format!("1/{}", number(theirs / ours))
    } else {
        format!("{}×", number(ours / theirs))
    }
}

/// Three digits or so.
fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn missed(pm2: &Figures, ostler: &Figures) -> Vec<&'static str> {
    let misses = |quantity: &Quantity| quantity.target().is_met(pm2[quantity], ostler[quantity]) == Some(false);
    Quantity::ALL.into_iter().filter(misses).map(Quantity::title).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 3.125, 31.25, 312.5].map(number), ["0.00", "3.12", "31.2", "312"]);
    }

    #[test]
    fn a_ratio_says_which_way() {
        assert_eq!(ratio(80.0, 2.0), "1/40.0");
        assert_eq!(ratio(2.0, 10.0), "5.00×");
        assert_eq!(ratio(0.0, 1.0), "–");
    }

    #[test]
    fn the_table_has_a_line_a_quantity_and_names_what_is_missed() {
        let pm2: Figures = Quantity::ALL.into_iter().map(|quantity| (quantity, 100.0)).collect();
        let ostler: Figures = Quantity::ALL.into_iter().map(|quantity| (quantity, 1.0)).collect();
        let text = table(&pm2, &ostler);
        assert_eq!(text.lines().count(), 2 + Quantity::ALL.len());
        assert_eq!(
            missed(&pm2, &ostler),
            ["log intake, plain, MB/s", "log intake with timestamps, MB/s"]
        );
        assert!(text.contains("**missed**") && text.contains("| met |"));
    }
}
