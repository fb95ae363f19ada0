//! Who gets a connection in each mode.

use super::{MODES, ask, connections, home, open, serving, tally, visits, worker};
use ostler_testkit::{Connections, Home, Load, Signal, Visitor, free_port, process, repetitions};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

#[test]
fn one_by_one_connections_go_round_evenly() {
    for workers in [2, 4] {
        let home = home();
        let port = serving(&home, workers, "round-robin", json!({}));
        for count in [10, 64, repetitions(250, 1000)] {
            let tally = tally(&home, visits(port, count).into_iter().map(|(_, by)| by));
            let (most, fewest) = (tally.iter().max(), tally.iter().min());
            assert!(
                most.zip(fewest).is_some_and(|(most, fewest)| most - fewest <= 1),
                "{count}: {tally:?}"
            );
        }
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures are for whoever runs it by hand")]
fn a_burst_is_shared_evenly() {
    for (mode, workers) in [
        ("round-robin", 2),
        ("round-robin", 4),
        ("round-robin", 8),
        ("least-connections", 4),
    ] {
        let home = home();
        let port = serving(&home, workers, mode, json!({}));
        let pids = home.pids("web");
        let burst = || {
            // Those of the burst before count as long as they have not been closed at both ends.
            home.wait_until("no connection", || pids.iter().all(|pid| open(&home, *pid) == Some(0)));
            let mut visitors: Vec<Visitor> = (0..1000).map(|_| Visitor::at(port).expect("connected")).collect();
            visitors.iter_mut().for_each(|visitor| visitor.ask("/").expect("asked"));
            let answers = visitors
                .iter_mut()
                .map(|visitor| worker(&visitor.answer().expect("an answer")));
            tally(&home, answers.collect::<Vec<_>>())
        };
        let is_even = |tally: &Vec<u32>| {
            let (most, fewest) = (tally.iter().max(), tally.iter().min());
            most.zip(fewest)
                .is_some_and(|(most, fewest)| most * 100 <= fewest * 120)
        };
        // Who is not let run for longer than it is waited for has fewer. On a busy machine that may be so once, not mostly.
        let (mut even, mut seen) = (0, Vec::new());
        while even * 2 <= seen.len() || seen.len() < 3 {
            assert!(seen.len() < 9, "{mode} over {workers}: {seen:?}");
            let tally = burst();
            even += usize::from(is_even(&tally));
            seen.push(tally);
        }
        eprintln!("{mode} over {workers}: {seen:?}");
    }
}

#[test]
fn new_workers_have_their_share_after_scaling() {
    let home = home();
    let port = serving(&home, 2, "round-robin", json!({}));
    let before = home.pids("web");
    let load = Load::begin(port, "/", 8, Connections::Fresh);
    home.wait_until("load", || load.answered() > 100);
    home.ok(&["scale", "web", "4"]);
    let others = Load::begin(port, "/", 8, Connections::Fresh);
    home.wait_until("more", || others.answered() > 600);
    let report = others.end_without_loss("scaling");
    load.end_without_loss("scaling");
    let new = report.bodies.iter().filter(|(body, _)| !before.contains(&worker(body)));
    let share = new.clone().map(|(_, count)| count).sum::<u64>() * 100 / report.answered;
    assert!(
        new.count() == 2 && (40..=60).contains(&share),
        "{share} % of {:?}",
        report.bodies
    );
}

/// Which instance answers each of so many clients.
fn instances(home: &Home, port: u16, clients: u8) -> Vec<u64> {
    let rows = home.rows("web");
    let of = |pid: i32| {
        rows.iter()
            .find(|row| row.pid() == pid)
            .map(|row| row.number("NODE_APP_INSTANCE"))
    };
    let ask = |host: u8| {
        let mut visitor = Visitor::from(Ipv4Addr::new(127, 1, 0, host), port).expect("connected");
        let by = ask(&mut visitor);
        of(by).unwrap_or_else(|| panic!("{by} is no worker: {}", home.report()))
    };
    (1..=clients).map(ask).collect()
}

#[test]
fn sticky_clients_keep_their_instance_over_a_reload_a_crash_and_a_new_daemon() {
    let home = home();
    let port = serving(&home, 3, "sticky", json!({ "restart_delay": 300 }));
    let before = instances(&home, port, 40);
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 3, "{before:?}");
    assert_eq!(instances(&home, port, 40), before);
    home.ok(&["reload", "web"]);
    assert_eq!(instances(&home, port, 40), before, "after a reload");
    let topology = home.topology();
    process::kill(topology.daemon);
    home.wait_recovered(topology);
    assert_eq!(instances(&home, port, 40), before, "under a new daemon");
    // Whose worker is down is served by another meanwhile; nobody else moves.
    let victim = home
        .rows("web")
        .into_iter()
        .find(|row| row.number("NODE_APP_INSTANCE") == 1)
        .expect("a worker");
    process::kill(victim.pid());
    home.wait_until("its end to be noticed", || home.pids("web").len() == 2);
    let meanwhile = instances(&home, port, 40);
    let moved = meanwhile.iter().zip(&before).filter(|(now, then)| now != then);
    assert!(moved.clone().all(|(_, then)| *then == 1), "{meanwhile:?} {before:?}");
    home.wait_until("a successor", || home.pids("web").len() == 3);
    home.wait_until("clients to be back", || instances(&home, port, 40) == before);
}

#[test]
fn sticky_clients_of_a_hung_worker_are_served_by_others() {
    let home = home();
    let port = serving(&home, 2, "sticky", json!({}));
    let before = instances(&home, port, 20);
    let hung = home
        .rows("web")
        .into_iter()
        .find(|row| row.number("NODE_APP_INSTANCE") == before[0])
        .expect("a worker");
    process::signal(hung.pid(), Signal::STOP);
    // What it has been given while it was not known to hang is its own; whoever comes later is not made to wait.
    let mut first = Visitor::from(Ipv4Addr::new(127, 1, 0, 1), port).expect("connected");
    first.ask("/").expect("asked");
    let patience = Instant::now() + Duration::from_secs(15);
    loop {
        let mut next = Visitor::from(Ipv4Addr::new(127, 1, 0, 1), port).expect("connected");
        next.ask("/").expect("asked");
        if next
            .answer_within(Duration::from_millis(300))
            .is_some_and(|answer| worker(&answer) != hung.pid())
        {
            break;
        }
        assert!(Instant::now() < patience, "{}", home.report());
    }
    process::signal(hung.pid(), Signal::CONT);
    assert_eq!(worker(&first.answer().expect("an answer")), hung.pid());
    home.wait_until("clients to be back", || instances(&home, port, 20) == before);
}

#[test]
fn the_worker_with_the_fewest_connections_gets_the_next() {
    let home = home();
    let port = serving(&home, 2, "least-connections", json!({}));
    let mut held = visits(port, 12);
    let busy = held[0].1;
    assert_eq!(held.iter().filter(|(_, by)| *by == busy).count(), 6, "as many each");
    held.retain(|(_, by)| *by == busy);
    // Nobody tells that the other's are closed, and nothing but new connections asks for it to be found out.
    let (mut patience, mut idle) = (Instant::now() + Duration::from_secs(15), Vec::new());
    while idle.is_empty() || idle.iter().any(|(_, by)| *by == busy) {
        assert!(
            Instant::now() < patience,
            "{:?}",
            tally(&home, idle.iter().map(|(_, by)| *by))
        );
        drop(idle);
        idle = visits(port, 5);
    }
    // A new daemon learns what it has not seen: six against five.
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_recovered(before);
    idle.extend(visits(port, 1));
    assert_ne!(idle[5].1, busy);
    held.extend(visits(port, 2));
    let by: BTreeSet<i32> = held[6..].iter().map(|(_, by)| *by).collect();
    assert_eq!(by.len(), 2, "one each when they have as many");
    patience = Instant::now() + Duration::from_secs(15);
    drop(held);
    while open(&home, busy) != Some(0) {
        assert!(Instant::now() < patience, "{:?}", connections(&home, busy));
    }
}

#[test]
fn direct_workers_accept_while_the_daemon_does_nothing() {
    let home = home();
    let port = serving(&home, 2, "direct", json!({}));
    let daemon = home.topology().daemon;
    process::signal(daemon, Signal::STOP);
    let held = visits(port, 40);
    process::signal(daemon, Signal::CONT);
    let tally = tally(&home, held.iter().map(|(_, by)| *by));
    // One of two gets fewer than 5 of 40 in one of some million runs.
    assert!(tally.iter().all(|share| *share >= 5), "{tally:?}");
}

#[test]
fn what_waits_for_a_hung_direct_worker_is_served_by_others() {
    let home = home();
    let port = serving(&home, 2, "direct", json!({}));
    let pids = home.pids("web");
    process::signal(pids[0], Signal::STOP);
    let held = visits(port, 60);
    assert!(held.iter().all(|(_, by)| *by == pids[1]));
    process::signal(pids[0], Signal::CONT);
    drop(held);
    let both = || {
        let by: BTreeSet<i32> = visits(port, 8).iter().map(|(_, by)| *by).collect();
        by.len() == 2
    };
    home.wait_until("it to be given connections again", both);
}

#[test]
fn a_worker_that_is_not_ready_gets_nothing_in_any_mode() {
    for mode in MODES {
        a_worker_that_is_not_ready_gets_nothing(mode);
    }
}

fn a_worker_that_is_not_ready_gets_nothing(mode: &str) {
    let home = home();
    let script = home.script(
        "late.js",
        "const fs = require('fs');
         require('http').createServer((_, answer) => answer.end(`from ${process.pid}`)).listen(process.env.PORT,
           () => fs.writeFileSync(`listens${process.env.NODE_APP_INSTANCE}`, ''));
         const ready = () => fs.existsSync(`go${process.env.NODE_APP_INSTANCE}`) && process.send('ready');
         const asking = setInterval(() => ready() && clearInterval(asking), 20);",
    );
    home.write("go0", "");
    let port = free_port();
    let app = json!({
        "name": "web", "script": script, "exec_mode": "cluster", "balance": mode, "wait_ready": true,
        "listen_timeout": 60_000, "cwd": home.work(), "env": { "PORT": port },
    });
    home.start(json!([app]));
    let first = home.pid("web");
    let scaling = home.call(&["scale", "web", "2"]).spawn();
    let listens = home.work().join("listens1");
    home.wait_until("the second one to listen", || listens.exists());
    assert!(visits(port, 30).iter().all(|(_, by)| *by == first), "{mode}");
    home.write("go1", "");
    scaling.wait(Duration::from_secs(30));
    // Which of them a client gets is for the mode to say: all visits come from one address.
    let served = if mode == "sticky" { 1 } else { 2 };
    let by: BTreeSet<i32> = visits(port, 40).iter().map(|(_, by)| *by).collect();
    assert_eq!(by.len(), served, "{mode}");
}
