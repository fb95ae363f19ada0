//! A job that the clock starts.

use crate::support::copied;
use ostler_testkit::{Home, Manager};

#[test]
fn a_job_is_started_by_the_clock_and_ends() {
    let home = Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")));
    let directory = copied(&home, "cron");
    let said = home.call(&["start"]).within(&directory).env("CRON", "* * * * * *").ok();
    assert!(
        said.stdout.contains("ran to its end") || said.stderr.contains("ran to its end"),
        "{said}"
    );
    let report = directory.join("report.txt");
    let lines = || std::fs::read_to_string(&report).unwrap_or_default().lines().count();
    home.wait_until("three reports", || lines() >= 3);
    let why = home.ok(&["why", "report"]).stdout;
    assert!(why.contains("cron"), "{why}");
    home.ok(&["stop", "report"]);
}
