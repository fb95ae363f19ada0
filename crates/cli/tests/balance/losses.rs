//! What is done to the workers and to the daemon while requests come loses none.

use super::{MODES, connections, home, serving, visits, worker};
use ostler_testkit::{Connections, Load, Signal, Topology, Visitor, apps, free_port, process, repetitions};
use serde_json::json;

#[test]
fn reloads_lose_nothing_in_any_mode() {
    for mode in MODES {
        for kept in [Connections::Fresh, Connections::KeptAlive] {
            let home = home();
            let port = serving(&home, 2, mode, json!({}));
            let load = Load::begin(port, "/", 16, kept);
            home.wait_until("load", || load.answered() > 20);
            for _ in 0..repetitions(1, 20) {
                home.ok(&["reload", "web"]);
            }
            load.end_without_loss(format_args!("{mode}, {kept:?}"));
        }
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures are for whoever runs it by hand")]
fn a_killed_daemon_loses_no_more_than_the_connection_it_had_in_hand() {
    for mode in MODES {
        let home = home();
        let port = serving(&home, 2, mode, json!({}));
        let load = Load::begin(port, "/", 16, Connections::Fresh);
        let kills = repetitions(2, 20);
        for _ in 0..kills {
            let answered = load.answered();
            home.wait_until("load", || load.answered() > answered + 200);
            let before = home.topology();
            process::kill(before.daemon);
            home.wait_recovered(before);
        }
        let answered = load.answered();
        home.wait_until("load", || load.answered() > answered + 200);
        let report = load.end();
        eprintln!(
            "{mode}: {} lost of {} in {kills} kills",
            report.lost.len(),
            report.answered
        );
        // Workers that accept by themselves have nothing to do with it.
        let allowed = if mode == "direct" { 0 } else { kills };
        assert!(
            report.lost.len() <= allowed,
            "{mode}: {:?} of {}",
            report.lost,
            report.answered
        );
    }
}

/// How many connections to a listener of 127.0.0.1 or of all addresses have not been accepted (`rx_queue` of a socket that listens, proc_pid_net(5)).
fn in_backlog(port: u16) -> u64 {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).expect("a table"));
    let listening = tables.iter().flat_map(|table| table.lines()).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let (_, waiting) = fields.next()?.split_once(':')?;
        let at = format!(":{port:04X}");
        (local.ends_with(&at) && state == "0A").then(|| u64::from_str_radix(waiting, 16).ok())?
    });
    listening.sum()
}

#[test]
fn connections_that_wait_for_their_worker_outlive_the_daemon_and_the_keeper() {
    let victims: [fn(Topology) -> i32; 2] = [|topology| topology.daemon, |topology| topology.keeper];
    for victim in victims {
        let home = home();
        let port = serving(&home, 2, "sticky", json!({}));
        let (_, hung) = visits(port, 1).pop().expect("a visit");
        assert!(process::signal(hung, Signal::STOP));
        // More than go into its channel (64): the others wait with us.
        let mut visitors: Vec<Visitor> = (0..120).map(|_| Visitor::at(port).expect("connected")).collect();
        visitors.iter_mut().for_each(|visitor| visitor.ask("/").expect("asked"));
        home.wait_until("all to be accepted", || in_backlog(port) == 0);
        for _ in 0..2 {
            let before = home.topology();
            process::kill(victim(before));
            home.wait_recovered(before);
        }
        // Nobody knows any more what it was given. Since it reads nothing those who wait are somebody else's after a while.
        let (own, others) = visitors.split_at_mut(64);
        for visitor in others {
            let answer = visitor.answer().map(|answer| worker(&answer));
            assert!(
                answer.as_ref().is_ok_and(|by| *by != hung),
                "{answer:?} of {}",
                home.report()
            );
        }
        assert!(process::signal(hung, Signal::CONT));
        for visitor in own {
            let answer = visitor.answer().map(|answer| worker(&answer));
            assert!(
                answer.as_ref().is_ok_and(|by| *by == hung),
                "{answer:?} of {}",
                home.report()
            );
        }
    }
}

#[test]
fn a_reload_changes_the_mode_under_load() {
    let home = home();
    let port = free_port();
    let app = |mode: &str| {
        home.ecosystem(json!([{
            "name": "web", "script": apps::path("shared.js"), "instances": 2, "exec_mode": "cluster",
            "env": { "PORT": port }, "balance": mode,
        }]))
    };
    let path = |mode: &str| app(mode).display().to_string();
    home.ok(&["start", &path("round-robin")]);
    let load = Load::begin(port, "/", 16, Connections::Fresh);
    for mode in ["direct", "round-robin", "direct"] {
        let answered = load.answered();
        home.wait_until("load", || load.answered() > answered + 100);
        home.ok(&["reload", &path(mode)]);
        let by_themselves = home.pids("web").iter().all(|pid| connections(&home, *pid).0.is_none());
        assert_eq!(by_themselves, mode == "direct", "{mode}");
    }
    load.end_without_loss("a reload");
}

#[test]
fn scaling_loses_nothing_in_any_mode() {
    for mode in MODES {
        let home = home();
        let port = serving(&home, 2, mode, json!({}));
        let load = Load::begin(port, "/", 16, Connections::Fresh);
        for count in ["4", "1", "3"] {
            let answered = load.answered();
            home.wait_until("load", || load.answered() > answered + 100);
            home.ok(&["scale", "web", count]);
        }
        load.end_without_loss(mode);
    }
}
