//! Who gets a connection in each mode of balancing, what each worker is said to have, and drains that are found out by counting.

use ostler_testkit::{Connections, Home, Load, Manager, Signal, Visitor, apps, free_port, process, repetitions};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const MODES: [&str; 4] = ["round-robin", "least-connections", "sticky", "direct"];

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// An app that is up on a port, with so many workers and this mode.
fn serving(home: &Home, workers: u32, balance: &str, more: Value) -> u16 {
    let port = free_port();
    let mut app = json!({
        "name": "web", "script": apps::path("shared.js"), "instances": workers, "exec_mode": "cluster",
        "env": { "PORT": port }, "balance": balance,
    });
    if let Value::Object(more) = more {
        app.as_object_mut().expect("an object").extend(more);
    }
    home.start(json!([app]));
    port
}

/// Which worker answered.
fn worker(answer: &str) -> i32 {
    let pid = answer.rsplit(' ').next().and_then(|pid| pid.parse().ok());
    pid.unwrap_or_else(|| panic!("no pid in {answer:?}"))
}

fn ask(visitor: &mut Visitor) -> i32 {
    worker(&visitor.get("/").expect("an answer"))
}

/// So many connections, one by one, each kept, and by whom each was answered.
fn visits(port: u16, count: usize) -> Vec<(Visitor, i32)> {
    let visit = || {
        let mut visitor = Visitor::at(port).expect("connected");
        let by = ask(&mut visitor);
        (visitor, by)
    };
    (0..count).map(|_| visit()).collect()
}

fn tally(home: &Home, answers: impl IntoIterator<Item = i32>) -> Vec<u32> {
    let mut tally: BTreeMap<i32, u32> = home.pids("web").into_iter().map(|pid| (pid, 0)).collect();
    for by in answers {
        *tally
            .get_mut(&by)
            .unwrap_or_else(|| panic!("{by} is none of {:?}", home.pids("web"))) += 1;
    }
    tally.into_values().collect()
}

/// What `jlist` says of a worker: taken, open.
fn connections(home: &Home, pid: i32) -> (Option<u64>, Option<u64>) {
    let rows = home.rows("web");
    let row = rows.iter().find(|row| row.pid() == pid).expect("the worker");
    let of = |key: &str| row.get("connections")[key].as_u64();
    (of("accepted"), of("active"))
}

fn open(home: &Home, pid: i32) -> Option<u64> {
    connections(home, pid).1
}

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
            let report = load.end();
            assert!(
                report.lost.is_empty(),
                "{mode}, {kept:?}: {:?} of {}",
                report.lost,
                report.answered
            );
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
    // Who has the fewest open is nobody's share: only in the mean it comes to the same.
    for (mode, workers, percent) in [
        ("round-robin", 2, 120),
        ("round-robin", 4, 120),
        ("least-connections", 4, 150),
    ] {
        let home = home();
        let port = serving(&home, workers, mode, json!({}));
        let burst = |count: usize| {
            let mut visitors: Vec<Visitor> = (0..count).map(|_| Visitor::at(port).expect("connected")).collect();
            visitors.iter_mut().for_each(|visitor| visitor.ask("/").expect("asked"));
            let answers = visitors
                .iter_mut()
                .map(|visitor| worker(&visitor.answer().expect("an answer")));
            tally(&home, answers.collect::<Vec<_>>())
        };
        // A worker that the system does not let run meanwhile takes less: on a busy machine one of several bursts has to do.
        let is_even = |tally: &Vec<u32>| {
            let (most, fewest) = (tally.iter().max(), tally.iter().min());
            most.zip(fewest)
                .is_some_and(|(most, fewest)| most * 100 <= fewest * percent)
        };
        let mut seen = Vec::new();
        while !seen.last().is_some_and(is_even) {
            assert!(seen.len() < 10, "{mode} over {workers}: {seen:?}");
            seen.push(burst(1000));
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
    let report = others.end();
    assert!(load.end().lost.is_empty() && report.lost.is_empty());
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
fn a_worker_is_said_to_have_what_it_has() {
    for mode in MODES {
        let home = home();
        let port = serving(&home, 2, mode, json!({}));
        let pids = home.pids("web");
        // What a worker accepts by itself only it could count.
        let taken_is_known = mode != "direct";
        let none = (taken_is_known.then_some(0), Some(0));
        assert!(pids.iter().all(|pid| connections(&home, *pid) == none));
        let mut held = visits(port, 9);
        let expected = |held: &[(Visitor, i32)]| -> Vec<u64> {
            pids.iter()
                .map(|pid| held.iter().filter(|(_, by)| by == pid).count() as u64)
                .collect()
        };
        let all = expected(&held);
        let seen = |home: &Home| -> Vec<_> { pids.iter().map(|pid| connections(home, *pid)).collect() };
        let both = |taken: &[u64], open: &[u64]| -> Vec<_> {
            taken
                .iter()
                .zip(open)
                .map(|(taken, open)| (taken_is_known.then_some(*taken), Some(*open)))
                .collect()
        };
        home.wait_until("all to be counted", || seen(&home) == both(&all, &all));
        held.truncate(4);
        let left = expected(&held);
        home.wait_until("five to be closed", || seen(&home) == both(&all, &left));
        // What is known is known to a successor.
        let before = home.topology();
        process::kill(before.daemon);
        home.wait_recovered(before);
        home.wait_until("a successor to count", || seen(&home) == both(&all, &left));
        let described = home.ok(&["describe", "0"]).stdout;
        let row = |title: &str| described.lines().find(|line| line.contains(title)).map(str::to_owned);
        let shows = |title: &str, number: &str| row(title).is_some_and(|row| row.contains(&format!(" {number} ")));
        let taken = if taken_is_known {
            all[0].to_string()
        } else {
            "—".to_owned()
        };
        assert!(
            shows("connections taken", &taken) && shows("connections open", &left[0].to_string()),
            "{described}"
        );
        let listed: Value = serde_json::from_str(&home.ok(&["list", "--json"]).stdout).expect("JSON");
        assert_eq!(
            listed["processes"][0]["connections"]["accepted"],
            json!(taken_is_known.then_some(all[0])),
            "{listed}"
        );
        // A worker's numbers are its own, not its slot's.
        drop(held);
        home.ok(&["restart", "web"]);
        assert!(home.pids("web").iter().all(|pid| connections(&home, *pid) == none));
    }
}

#[test]
fn connections_of_a_unix_socket_are_counted_and_shared() {
    for mode in MODES {
        let home = home();
        let path = home.work().join("web.sock");
        serving(&home, 2, mode, json!({ "env": { "PORT": path } }));
        let visit = || {
            let mut visitor = Visitor::at_path(&path).expect("connected");
            let by = ask(&mut visitor);
            (visitor, by)
        };
        let held: Vec<_> = (0..6).map(|_| visit()).collect();
        assert_eq!(tally(&home, held.iter().map(|(_, by)| *by)), [3, 3], "{mode}");
        let open_are = |count: u64| home.pids("web").iter().all(|pid| open(&home, *pid) == Some(count));
        home.wait_until("them to be counted", || open_are(3));
        drop(held);
        home.wait_until("them to be closed", || open_are(0));
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
    let report = load.end();
    assert!(report.lost.is_empty(), "{:?} of {}", report.lost, report.answered);
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
        let report = load.end();
        assert!(
            report.lost.is_empty(),
            "{mode}: {:?} of {}",
            report.lost,
            report.answered
        );
    }
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

#[test]
fn fork_apps_have_no_counts_and_stopped_workers_none() {
    let home = home();
    serving(&home, 1, "round-robin", json!({}));
    home.start(json!([ostler_testkit::sleeper("other")]));
    assert!(home.row("other").get("connections").is_null());
    assert!(!home.ok(&["describe", "other"]).stdout.contains("connections"));
    home.ok(&["stop", "web"]);
    assert!(home.row("web").get("connections").is_null());
}

#[test]
fn without_the_preload_a_worker_drains_until_its_last_connection_closes() {
    let home = home();
    // Far beyond what the test takes: only counting can end the drain.
    let port = free_port();
    let env = json!({ "PORT": port, "SLOW_MS": 2500 });
    serving(
        &home,
        1,
        "round-robin",
        json!({ "pmx": false, "drain_timeout": 120_000, "env": env }),
    );
    let old = home.pid("web");
    let mut kept = Visitor::at(port).expect("connected");
    assert_eq!(ask(&mut kept), old);
    kept.ask("/slow").expect("asked");
    let reload = home.call(&["reload", "web"]).spawn();
    let newer = home.wait_for("a replacement", || {
        Visitor::at(port)
            .ok()
            .map(|mut new| ask(&mut new))
            .filter(|by| *by != old)
    });
    // What is under way is answered by the old one, which then still serves on this connection.
    assert_eq!(worker(&kept.answer().expect("an answer")), old);
    assert_eq!(ask(&mut kept), old);
    assert!(process::is_alive(old));
    drop(kept);
    assert!(process::wait_end(old, Duration::from_secs(20)), "{}", home.report());
    assert_eq!(reload.wait(Duration::from_secs(30)).code, Some(0));
    assert_eq!(home.pid("web"), newer);
}

#[test]
fn without_the_preload_a_reload_loses_no_request_of_fresh_connections() {
    for mode in MODES {
        let home = home();
        let port = serving(&home, 2, mode, json!({ "pmx": false }));
        let load = Load::begin(port, "/", 16, Connections::Fresh);
        home.wait_until("load", || load.answered() > 20);
        let before = Instant::now();
        home.ok(&["reload", "web"]);
        assert!(
            before.elapsed() < Duration::from_secs(25),
            "the drain ended at its deadline"
        );
        let report = load.end();
        assert!(
            report.lost.is_empty(),
            "{mode}: {:?} of {}",
            report.lost,
            report.answered
        );
    }
}

#[test]
fn an_app_that_serves_nothing_drains_at_once_without_the_preload() {
    let home = home();
    let script = home.script("idle.js", "setInterval(() => {}, 1000)");
    let app = json!({
        "name": "web", "script": script, "exec_mode": "cluster", "pmx": false, "drain_timeout": 120_000,
    });
    home.start(json!([app]));
    let old = home.pid("web");
    home.ok(&["reload", "web"]);
    assert_ne!(home.pid("web"), old);
    assert!(!process::is_alive(old));
    assert!(
        home.row("web").get("connections")["active"].is_null(),
        "nothing of ours is listened on"
    );
}
