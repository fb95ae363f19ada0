//! The end of everything outside of containers: by signal, by `kill`, by `kill --drain`.

use ostler_testkit::{DEADLINE, Home, Manager, Signal, free_port, http_get, process, wait_within};
use serde_json::json;
use std::thread::JoinHandle;

/// Two workers of a server that takes a while for each request and knows nothing of signals, twenty requests under way, and their port.
fn busy() -> (Home, u16, Vec<JoinHandle<Result<String, String>>>) {
    let home = Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")));
    let (port, asked) = (free_port(), home.work().join("asked"));
    let script = "
        require('http').createServer((request, answer) => {
            require('fs').appendFileSync(process.env.ASKED, '.');
            setTimeout(() => answer.end('done'), 1500);
        }).listen(process.env.PORT);
    ";
    let server = home.write("server.js", script);
    home.start(json!([{
        "name": "web", "script": server, "instances": 2, "exec_mode": "cluster", "env": { "PORT": port, "ASKED": asked },
    }]));
    let clients = (0..20).map(|_| std::thread::spawn(move || http_get(port).map_err(|error| error.to_string())));
    let clients = clients.collect();
    home.wait_until("all requests to be under way", || {
        std::fs::metadata(&asked).is_ok_and(|asked| asked.len() == 20)
    });
    (home, port, clients)
}

fn all_are_answered(clients: Vec<JoinHandle<Result<String, String>>>) {
    for client in clients {
        let answer = client.join().expect("the client does not panic");
        assert_eq!(answer.expect("an answer"), "done");
    }
}

#[test]
fn requests_under_way_are_answered_before_a_signal_ends_it() {
    for (name, of_keeper) in [("daemon", false), ("keeper", true)] {
        let (home, port, clients) = busy();
        let topology = home.topology();
        let told = if of_keeper { topology.keeper } else { topology.daemon };
        process::signal(told, Signal::TERM);
        home.wait_until("the port to be closed", || http_get(port).is_err());
        // It is told again, and keeper and daemon both, at the end of a machine.
        process::signal(topology.daemon, Signal::TERM);
        all_are_answered(clients);
        let ended = wait_within(DEADLINE, || {
            (!process::is_alive(topology.daemon) && !process::is_alive(topology.keeper)).then_some(())
        });
        assert!(ended.is_ok(), "told the {name}: {}", home.report());
        // What it was is started again.
        home.ok(&["resurrect"]);
        assert_eq!(home.pids("web").len(), 2);
        home.ok(&["kill"]);
    }
}

#[test]
fn kill_drains_if_it_is_told_to() {
    let (home, port, clients) = busy();
    let kill = home.call(&["kill", "--drain"]).spawn();
    home.wait_until("the port to be closed", || http_get(port).is_err());
    all_are_answered(clients);
    let output = kill.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("stopped web (0-1)"), "{output}");
    assert!(home.own_processes().is_empty(), "{}", home.report());
}

#[test]
fn who_does_not_want_to_wait_kills() {
    let (home, _, clients) = busy();
    let drain = home.call(&["kill", "--drain"]).spawn();
    home.wait_until("it to drain", || {
        home.rows("web").iter().all(|row| row.status() == "stopping")
    });
    home.ok(&["kill"]);
    let _ = drain.wait(DEADLINE);
    assert!(home.own_processes().is_empty(), "{}", home.report());
    let lost = clients
        .into_iter()
        .filter_map(|client| client.join().expect("no panic").err());
    assert_eq!(lost.count(), 20, "nobody was waited for");
}
