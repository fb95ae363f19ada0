//! Nothing that works under Node's own cluster fails under Ostler.
//!
//! Each case is an unmodified app with two workers behind one address. A few run always, on one Node. All of them, on
//! every runtime, are run by
//!
//! ```text
//! cargo nextest run -p ostler-cli --test compatibility --run-ignored only
//! ```
//!
//! which writes `target/compatibility.md`. `OSTLER_TEST_CASE` and `OSTLER_TEST_RUNTIME` choose by part of a name. A whole run
//! with `OSTLER_WRITE_COMPATIBILITY=1` also writes `docs/compatibility.md`, the page for users.

mod case;
mod cases;
mod driver;
mod matrix;
mod page;
mod probe;
mod remarks;

use driver::Driver;
use matrix::Matrix;
use ostler_testkit::runtimes::Kind;
use ostler_testkit::{Runtime, skip, tools};

/// What the tests that run always are run under.
const DRIVER: Driver = Driver::Ostler;

/// The Node they are run on.
const NODE: u32 = 20;

fn works(test: &str, case: &str) {
    works_on(Kind::Node(NODE), test, case);
}

fn works_on(kind: Kind, test: &str, case: &str) {
    let case = cases::named(case);
    match Runtime::install(kind) {
        Ok(runtime) => probe::run(&case, &runtime, DRIVER).unwrap_or_else(|reason| panic!("{}: {reason}", case.name)),
        Err(reason) => skip(test, &reason),
    }
}

macro_rules! tests {
    ($($name:ident: $case:literal,)*) => {
        $(#[test]
        fn $name() {
            works(stringify!($name), $case);
        })*
    };
}

tests! {
    each_worker_answers: "CommonJS",
    an_es_module_is_a_worker: "ES module",
    what_is_required_first_sees_a_worker: "--require",
    hooks_for_modules_work_in_a_worker: "module hooks",
    an_app_with_a_cluster_of_its_own_takes_the_workers_branch: "app that uses cluster itself",
    a_thread_of_a_worker_exchanges_messages: "worker_threads",
    children_of_a_worker_do_not_inherit_its_channel: "child_process.fork in a worker",
    a_port_alone_is_dual_stack: "listen(port)",
    ipv6_only_leaves_ipv4_alone: "ipv6Only",
    port_0_is_one_port_for_all_workers: "listen(0): one port for all",
    a_unix_socket_is_shared: "listen(path)",
    two_servers_in_a_worker_are_told_apart: "two servers in a worker",
    a_worker_may_close_and_listen_again: "close and listen again",
    a_full_worker_is_passed_over: "maxConnections",
    an_address_in_use_is_an_error_of_the_app: "port of a stranger: EADDRINUSE",
    exclusive_is_for_one_worker: "exclusive: the second worker is refused",
    the_same_port_twice_is_an_error: "the same port twice in a worker: EADDRINUSE",
    a_descriptor_of_the_primary_is_refused: "listen({ fd }) of the primary: EINVAL",
    clients_keep_their_address: "net: the client's address is true",
    tls_sessions_resume_at_any_worker: "TLS sessions resume at any worker",
    http2_is_served: "http2, secure",
    a_connection_is_upgraded_to_a_web_socket: "WebSocket upgrade",
    datagrams_reach_every_worker: "UDP",
    messages_pass_both_ways: "messages both ways",
    a_socket_sent_to_the_parent_blocks_nothing: "process.send(message, socket)",
    a_worker_may_end_gracefully: "SIGINT and server.close()",
    a_worker_that_disconnects_is_replaced: "worker.disconnect()",
    a_worker_that_closes_its_channel_is_replaced: "process.disconnect()",
    a_burst_of_connections_is_answered: "200 connections at once",
    slow_clients_keep_nobody_waiting: "clients that read slowly",
    a_worker_that_is_killed_is_replaced: "worker killed",
    a_worker_that_throws_is_replaced: "uncaught exception",
}

#[test]
fn bun_and_deno_are_workers_too() {
    for kind in [Kind::Bun, Kind::Deno] {
        for case in [
            "CommonJS",
            "ES module",
            "messages both ways",
            "net: the client's address is true",
            "worker killed",
        ] {
            works_on(kind, "bun_and_deno_are_workers_too", case);
        }
    }
}

#[test]
fn what_works_under_no_primary_is_explained() {
    let kept = Matrix::kept();
    for case in cases::all() {
        for kind in Kind::ALL {
            let works = matches!(kept.get(case.name, kind), Some(matrix::WORKS | matrix::DOES_NOT_APPLY));
            let remark = remarks::on(case.name, kind);
            assert_eq!(remark.is_none(), works, "{}, {kind}: {remark:?}", case.name);
        }
    }
}

#[test]
fn the_page_has_every_case() {
    let names: Vec<&str> = cases::all().iter().map(|case| case.name).collect();
    assert_eq!(
        page::cases(),
        names,
        "docs/compatibility.md is of an older suite: write it anew"
    );
}

fn write(text: &str) {
    let path = tools::target().join("compatibility.md");
    std::fs::write(&path, text).expect("the matrix written");
    println_of(&format!("{text}\n{}", path.display()));
}

#[expect(clippy::print_stdout, reason = "nextest shows it on request")]
fn println_of(text: &str) {
    println!("{text}");
}

#[test]
#[ignore = "ten minutes on two cores; see the header"]
fn the_runtimes_own_cluster_does_what_is_kept() {
    let matrix = matrix::run(Driver::Reference);
    write(&format!(
        "# Compatibility\n\n{}",
        matrix.markdown("Under the runtime's own cluster")
    ));
    if std::env::var_os("OSTLER_TEST_RECORD").is_some() {
        matrix.clone().or(Matrix::kept()).with_deno_of(&Matrix::kept()).keep();
    }
    let kept = Matrix::kept();
    // Deno's own cluster does not do the same twice.
    let steady: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Deno).collect();
    let (lost, gained) = (kept.lost_in(&matrix, &steady), matrix.lost_in(&kept, &steady));
    assert!(lost.is_empty(), "worked before, and fails:\n{}", lost.join("\n"));
    assert!(gained.is_empty(), "failed before, and works:\n{}", gained.join("\n"));
}

#[test]
#[ignore = "ten minutes on two cores; see the header"]
fn nothing_that_works_under_the_runtimes_own_cluster_fails_under_ostler() {
    let (reference, matrix) = (Matrix::kept(), matrix::run(Driver::Ostler));
    let lost = reference.lost_in(&matrix, &Kind::ALL);
    let mut text = format!("# Compatibility\n\n{}\n", matrix.markdown("Under Ostler"));
    text += &reference.markdown("Under the runtime's own cluster");
    text += "\n## Works there, fails under Ostler\n\n";
    for line in &lost {
        text += &format!("- {}\n", line.replace('\n', " "));
    }
    write(&text);
    if std::env::var_os("OSTLER_WRITE_COMPATIBILITY").is_some() {
        page::write(&reference, &matrix);
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}
