//! The preload of cluster workers (`node/preload.cjs`): workers of real Nodes are replaced under strict clients.
//!
//! The cases and their primary are in `node/test`. Here one replacement a case with Node 20, and only some of the cases with
//! workers that accept by themselves; with `OSTLER_TEST_FULL` everything, with each Node from 16 to 26.

use ostler_testkit::{Runtime, repetitions, skip, tools};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PACKAGES: [(&str, &str); 3] = [
    ("express@4", "node_modules/express"),
    ("fastify@4", "node_modules/fastify"),
    ("ws@8", "node_modules/ws"),
];

/// The Nodes to test with.
fn versions() -> &'static [u32] {
    const ALL: [u32; 6] = [20, 16, 18, 22, 24, 26];
    &ALL[..repetitions(1, ALL.len())]
}

/// What a run of the cases needs.
struct Bench {
    python: PathBuf,
    packages: PathBuf,
}

impl Bench {
    /// Or a visible remark that this test cannot run here.
    fn new(test: &str) -> Option<Self> {
        Self::installed().map_err(|reason| skip(test, &reason)).ok()
    }

    fn installed() -> Result<Self, String> {
        let python = tools::in_path("python3").ok_or("no python3 in PATH")?;
        for (package, file) in PACKAGES {
            tools::npm(package, file)?;
        }
        let packages = tools::target().join("tools");
        Ok(Self { python, packages })
    }

    fn run(&self, node: &Path, cases: &str, more: &[&str]) -> Output {
        Command::new(&self.python)
            // The checkout stays as it is.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(tools::workspace().join("node/test/run.py"))
            .arg("--node")
            .arg(node)
            .arg("--packages")
            .arg(&self.packages)
            .args(["--cases", cases])
            .args(more)
            .output()
            .expect("python3 runs")
    }
}

/// Runs these cases with each Node: every one has to pass. Connections come from the primary, in the long run in both ways.
fn pass(test: &str, cases: &str) {
    pass_in("rr", test, cases);
}

fn pass_in(mode: &str, test: &str, cases: &str) {
    let Some(bench) = Bench::new(test) else { return };
    let short = ["--times", "1", "--modes", mode];
    let more = &short[..repetitions(short.len(), 0)];
    for &version in versions() {
        let node = match Runtime::node(version).map(|runtime| runtime.path) {
            Ok(node) => node,
            Err(reason) => return skip(test, &reason),
        };
        let output = bench.run(&node, cases, more);
        let told = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "Node {version}:\n{told}{errors}");
        drop(std::io::Write::write_all(
            &mut std::io::stdout(),
            format!("Node {version}\n{told}").as_bytes(),
        ));
    }
}

#[test]
fn busy_connections_end_without_a_lost_request() {
    pass(
        "busy_connections_end_without_a_lost_request",
        "keep-alive,fresh,idle,https",
    );
}

#[test]
fn a_keep_alive_that_the_app_asks_for_is_answered_with_close() {
    pass(
        "a_keep_alive_that_the_app_asks_for_is_answered_with_close",
        "explicit,explicit-object,explicit-list",
    );
}

#[test]
fn requests_under_way_are_answered_before_the_drain_is_over() {
    pass(
        "requests_under_way_are_answered_before_the_drain_is_over",
        "slow,stream,under-way,https-under-way",
    );
}

#[test]
fn uploads_end_and_are_answered() {
    pass("uploads_end_and_are_answered", "upload,early");
}

#[test]
fn streams_of_http2_are_answered_and_its_sessions_go() {
    pass(
        "streams_of_http2_are_answered_and_its_sessions_go",
        "h2,h2c,h2-idle,h2-slow",
    );
}

#[test]
fn a_worker_that_accepts_by_itself_stops_and_loses_nothing() {
    pass_in(
        "direct",
        "a_worker_that_accepts_by_itself_stops_and_loses_nothing",
        "keep-alive,fresh,slow,h2,closing,late,exclusive",
    );
}

#[test]
fn websockets_work_as_long_as_they_are_open() {
    pass("websockets_work_as_long_as_they_are_open", "websockets");
}

#[test]
fn frameworks_and_modules_drain_like_plain_servers() {
    pass("frameworks_and_modules_drain_like_plain_servers", "express,fastify,esm");
}

#[test]
fn an_app_closes_its_own_server_after_a_drain() {
    pass("an_app_closes_its_own_server_after_a_drain", "closing");
}

#[test]
fn children_and_threads_of_a_worker_know_nothing_of_the_preload() {
    pass("children_and_threads_of_a_worker_know_nothing_of_the_preload", "family");
}

#[test]
fn a_worker_without_servers_has_drained_and_a_late_server_accepts_nothing() {
    pass(
        "a_worker_without_servers_has_drained_and_a_late_server_accepts_nothing",
        "nothing,late",
    );
}

/// Runs a script that checks something in its own process on each Node.
fn check(test: &str, script: &str) {
    for &version in versions() {
        let node = match Runtime::node(version).map(|runtime| runtime.path) {
            Ok(node) => node,
            Err(reason) => return skip(test, &reason),
        };
        let script = tools::workspace().join("node/test").join(script);
        let output = Command::new(node).arg(script).output().expect("Node runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "Node {version}: {told}");
    }
}

#[test]
fn requests_are_counted_whatever_becomes_of_them() {
    check("requests_are_counted_whatever_becomes_of_them", "measured.cjs");
}

#[test]
fn of_many_requests_those_that_are_timed_stand_for_all() {
    check("of_many_requests_those_that_are_timed_stand_for_all", "many.cjs");
}

#[test]
fn of_many_pauses_those_that_are_heard_stand_for_all() {
    check("of_many_pauses_those_that_are_heard_stand_for_all", "pauses.cjs");
}

#[test]
fn without_the_preload_requests_are_lost() {
    let test = "without_the_preload_requests_are_lost";
    let Some(bench) = Bench::new(test) else { return };
    match Runtime::node(20).map(|runtime| runtime.path) {
        Ok(node) => {
            let output = bench.run(&node, "keep-alive", &["--modes", "rr", "--times", "1", "--without"]);
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(!output.status.success() && told.contains("'stale'"), "{told}");
        }
        Err(reason) => skip(test, &reason),
    }
}
