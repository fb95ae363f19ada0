//! Cluster mode: unmodified Node apps behind one port, and their workers replaced without a lost request.

use ostler_testkit::torture::Random;
use ostler_testkit::{
    Connections, Home, Load, Manager, Topology, apps, free_port, http_get, process, repetitions, sleeper,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// An app that is up on a port, with so many workers.
fn serving(home: &Home, workers: u32, more: serde_json::Value) -> u16 {
    let port = free_port();
    let mut app = json!({
        "name": "web", "script": apps::path("shared.js"), "instances": workers, "exec_mode": "cluster",
        "env": { "PORT": port },
    });
    if let serde_json::Value::Object(more) = more {
        app.as_object_mut().expect("an object").extend(more);
    }
    home.start(json!([app]));
    port
}

fn word(answer: &str) -> String {
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn workers_share_one_port_and_take_turns() {
    let home = home();
    let port = serving(&home, 3, json!({}));
    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..30 {
        *answers.entry(word(&http_get(port).expect("an answer"))).or_default() += 1;
    }
    let pids: Vec<String> = home.pids("web").iter().map(ToString::to_string).collect();
    assert_eq!(answers.keys().cloned().collect::<Vec<_>>().len(), 3, "{answers:?}");
    assert!(
        pids.iter().all(|pid| answers.get(pid) == Some(&10)),
        "{answers:?} {pids:?}"
    );
    assert!(
        home.rows("web")
            .iter()
            .all(|row| row.text("exec_mode") == "cluster_mode")
    );
}

/// Launching the others takes longer than Node takes to boot: words of workers are there before it is known that they run.
#[test]
fn workers_that_are_started_among_many_apps_are_heard() {
    let home = home();
    let mut all = vec![json!({
        "name": "web", "script": apps::path("ready.js"), "instances": 6, "exec_mode": "cluster", "wait_ready": true,
        "listen_timeout": "15s",
    })];
    all.extend((0..200).map(|number| sleeper(&format!("other-{number}"))));
    home.start(json!(all));
    let rows = home.rows("web");
    assert!(rows.iter().all(|row| row.status() == "online" && row.restarts() == 0));
}

fn a_reload_loses_nothing(path: &str, clients: usize, connections: Connections) {
    let home = home();
    let port = serving(&home, 2, json!({}));
    let load = Load::begin(port, path, clients, connections);
    home.wait_until("load", || load.answered() > 20);
    for _ in 0..repetitions(2, 20) {
        let before = home.pids("web");
        home.ok(&["reload", "web"]);
        let after = home.pids("web");
        assert!(before.iter().all(|pid| !after.contains(pid)), "{before:?} {after:?}");
        assert!(before.iter().all(|pid| !process::is_alive(*pid)));
    }
    load.end_without_loss("a reload");
}

#[test]
fn a_reload_loses_no_request_of_kept_connections() {
    a_reload_loses_nothing("/", 16, Connections::KeptAlive);
}

#[test]
fn a_reload_loses_no_request_of_fresh_connections() {
    a_reload_loses_nothing("/", 16, Connections::Fresh);
}

#[test]
fn a_reload_loses_no_request_that_takes_long() {
    a_reload_loses_nothing("/slow", 24, Connections::KeptAlive);
}

#[test]
fn a_reload_tells_how_far_it_is_as_json() {
    let home = home();
    let port = serving(&home, 2, json!({ "min_ready": 300 }));
    // Requests that take their time keep a worker from going.
    let load = Load::begin(port, "/slow", 4, Connections::KeptAlive);
    home.wait_until("load", || load.answered() > 4);
    let before = home.pids("web");
    let told = home.ok(&["reload", "web", "--json"]).stdout;
    let told: Vec<serde_json::Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect();
    let (outcome, progress) = told.split_last().expect("an outcome");
    let verdicts = outcome["outcome"]["slots"].as_array().expect("slots");
    assert!(
        verdicts.len() == 2 && verdicts.iter().all(|slot| slot["verdict"]["reloaded"]["pid"].is_u64()),
        "{outcome}"
    );
    let of_first: Vec<&serde_json::Value> = progress
        .iter()
        .map(|line| &line["progress"])
        .filter(|turn| turn["slot"] == 0)
        .collect();
    let draining = of_first
        .iter()
        .find(|turn| turn["step"] == "draining")
        .expect("it drains");
    assert_eq!(draining["old_pid"], before[0], "{draining}");
    assert!(
        progress
            .iter()
            .any(|line| line["progress"]["connections"].as_u64() >= Some(1)),
        "{progress:?}"
    );
    load.end_without_loss("a reload");
}

#[test]
fn a_config_file_reloads_only_what_has_changed_if_that_is_wanted() {
    let home = home();
    let apps = |instances: u32, note: &str| {
        let app = |name: &str, port: u16, note: &str| {
            json!({
                "name": name, "script": apps::path("shared.js"), "instances": instances, "exec_mode": "cluster",
                "min_ready": 200, "env": { "PORT": port, "NOTE": note },
            })
        };
        json!([app("one", 0, "same"), app("two", 0, note)])
    };
    home.start(apps(1, "old"));
    let (one, two) = (home.pids("one"), home.pids("two"));
    let file = home.ecosystem(apps(1, "new"));
    let file = file.to_str().expect("a path").to_owned();
    let said = home.ok(&["reload", &file, "--only-changed"]).stderr;
    assert!(said.contains("one (0): nothing has changed"), "{said}");
    assert_eq!(home.pids("one"), one);
    let after = home.pids("two");
    assert_ne!(after, two);

    home.ecosystem(apps(2, "new"));
    home.ok(&["reload", &file, "--only-changed"]);
    assert_eq!(home.pids("one")[0], one[0]);
    assert_eq!((home.pids("one").len(), home.pids("two").len()), (2, 2));
    assert_eq!(home.pids("two")[0], after[0]);

    home.ok(&["restart", "one", "--rolling"]);
    assert_ne!(home.pids("one")[0], one[0]);
    let refused = home.run(&["reload", "one", "--only-changed"]);
    assert!(
        refused.code == Some(1) && refused.stderr.contains("none is named"),
        "{}",
        refused.stderr
    );
}

/// A directory `current` that leads to a release, and what makes the next one.
struct Releases {
    root: PathBuf,
}

impl Releases {
    fn new(home: &Home) -> Self {
        let releases = Self {
            root: home.work().join("releases"),
        };
        releases.deploy("1", "");
        releases
    }

    fn deploy(&self, name: &str, broken: &str) {
        let folder = self.root.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::copy(apps::path("shared.js"), folder.join("shared.js")).expect("an app");
        std::fs::write(folder.join("broken"), broken).expect("a file");
        let (link, new) = (self.root.join("current"), self.root.join("new"));
        std::os::unix::fs::symlink(&folder, &new).expect("a link");
        std::fs::rename(new, link).expect("the link moved");
    }
}

fn a_broken_release_changes_nothing(broken: &str, says: &str) {
    let home = home();
    let releases = Releases::new(&home);
    let script = releases.root.join("current/shared.js");
    let port = serving(&home, 2, json!({ "script": script, "listen_timeout": 1500 }));
    let before = home.pids("web");
    let load = Load::begin(port, "/", 8, Connections::Fresh);
    home.wait_until("load", || load.answered() > 20);
    releases.deploy("2", broken);
    let output = home.call(&["reload", "web"]).fails();
    assert!(output.stderr.contains(says), "{output}");
    assert!(output.stderr.contains("goes on"), "{output}");
    assert_eq!(home.pids("web"), before);
    load.end_without_loss("a reload");
    // A crash does not bring what has failed either.
    process::kill(before[0]);
    home.wait_until("a successor", || {
        home.pids("web").len() == 2 && !home.pids("web").contains(&before[0])
    });
    home.wait_until("an answer", || http_get(port).is_ok());
    releases.deploy("3", "");
    home.ok(&["reload", "web"]);
    assert!(home.pids("web").iter().all(|pid| !before.contains(pid)));
}

#[test]
fn a_release_that_throws_changes_nothing() {
    a_broken_release_changes_nothing("throws", "a broken release");
}

#[test]
fn a_release_that_never_listens_changes_nothing() {
    a_broken_release_changes_nothing("never", "not ready within");
}

#[test]
fn a_release_that_listens_and_dies_changes_nothing() {
    a_broken_release_changes_nothing("dies", "exited with code 7");
}

#[test]
fn a_release_that_listens_elsewhere_changes_nothing() {
    a_broken_release_changes_nothing("elsewhere", "did not listen on tcp");
}

#[test]
fn connections_that_a_killed_worker_had_not_taken_are_anothers() {
    for balance in ["round-robin", "direct"] {
        what_a_killed_worker_had_not_taken_is_anothers(balance);
    }
}

fn what_a_killed_worker_had_not_taken_is_anothers(balance: &str) {
    let home = home();
    let port = serving(&home, 2, json!({ "balance": balance }));
    let victim = home.pids("web")[0];
    process::signal(victim, ostler_testkit::Signal::STOP);
    let load = Load::begin(port, "/", 40, Connections::Fresh);
    home.wait_until("what the other can take to be taken", || load.answered() > 200);
    process::kill(victim);
    home.wait_until("more", || load.answered() > 1000);
    load.end_without_loss("a crash of a worker");
}

#[test]
fn each_worker_is_inspected_at_a_port_of_its_own() {
    let home = home();
    // Two in a row that are free.
    let inspector = std::iter::repeat_with(free_port)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1)).is_ok())
        .expect("ports");
    serving(&home, 2, json!({ "node_args": format!("--inspect={inspector}") }));
    for own in [inspector, inspector + 1] {
        assert!(
            TcpStream::connect((Ipv4Addr::LOCALHOST, own)).is_ok(),
            "{own}: {}",
            home.error_log("web")
        );
    }
}

#[test]
fn a_worker_that_cannot_listen_is_said_to_and_by_whom() {
    let home = home();
    // Not one that the system gives to clients: it is to be free again afterwards.
    let port = free_port();
    let stranger = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("bound");
    let app = |name: &str| {
        json!({
            "name": name, "script": apps::path("shared.js"), "exec_mode": "cluster", "max_restarts": 0,
            "env": { "PORT": port },
        })
    };
    let start = |name: &str| {
        let file = home.ecosystem(json!([app(name)]));
        home.call(&["start", &file.display().to_string()]).fails()
    };
    let said = start("web").stderr;
    let expected = format!(
        "it could not listen: tcp://[::]:{port} is in use: process {} (",
        std::process::id()
    );
    assert!(said.contains(&expected), "{said}");
    assert!(
        said.contains("EADDRINUSE"),
        "what the app itself has said is shown too: {said}"
    );
    let history = home.ok(&["why", "web"]).stdout;
    assert!(history.contains("could not listen: tcp://"), "{history}");
    drop(stranger);
    home.start(json!([app("first")]));
    let said = start("second").stderr;
    assert!(said.contains("`first` of this Ostler listens there"), "{said}");
}

#[test]
fn neither_a_new_daemon_nor_a_new_keeper_is_noticed_by_clients() {
    // Where connections go through the daemon's hands, the one that it has there when it is killed is lost (docs/design/0010).
    for (balance, a_kill) in [("direct", 0), ("round-robin", 1)] {
        daemons_and_keepers_die(balance, a_kill);
    }
}

fn daemons_and_keepers_die(balance: &str, lost_in_a_kill: usize) {
    let home = home();
    let port = serving(&home, 2, json!({ "balance": balance }));
    let pids = home.pids("web");
    let load = Load::begin(port, "/", 16, Connections::Fresh);
    for _ in 0..repetitions(2, 20) {
        for of in [
            |topology: Topology| topology.daemon,
            |topology: Topology| topology.keeper,
        ] {
            let before = home.topology();
            let answered = load.answered();
            home.wait_until("load", || load.answered() > answered + 50);
            process::kill(of(before));
            home.wait_recovered(before);
        }
    }
    assert_eq!(home.pids("web"), pids);
    home.ok(&["reload", "web"]);
    assert!(home.pids("web").iter().all(|pid| !pids.contains(pid)));
    let report = load.end();
    let allowed = lost_in_a_kill * 2 * repetitions(2, 20);
    assert!(
        report.lost.len() <= allowed,
        "{balance}: {:?} of {}",
        report.lost,
        report.answered
    );
}

#[test]
fn while_all_workers_are_down_connections_wait() {
    let home = home();
    let port = serving(&home, 1, json!({ "restart_delay": 700 }));
    process::kill(home.pid("web"));
    home.wait_status("web", "waiting restart");
    assert!(http_get(port).is_ok(), "refused, or not answered by the next worker");
    home.ok(&["stop", "web"]);
    assert!(
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(),
        "stopped means stopped"
    );
    home.ok(&["restart", "web"]);
    assert!(http_get(port).is_ok());
}

#[test]
fn scaling_adds_and_removes_workers() {
    let home = home();
    let port = serving(&home, 1, json!({}));
    home.ok(&["scale", "web", "3"]);
    let answers: BTreeSet<String> = (0..12).map(|_| word(&http_get(port).expect("an answer"))).collect();
    assert_eq!(answers.len(), 3);
    home.ok(&["scale", "web", "1"]);
    assert!((0..12).all(|_| word(&http_get(port).expect("an answer")) == home.pid("web").to_string()));
}

#[test]
fn a_daemon_that_dies_while_workers_begin_to_listen_leaves_them_listening() {
    let mut random = Random::new(u64::from(std::process::id()));
    for _ in 0..repetitions(4, 60) {
        let home = home();
        home.start(json!([sleeper("first")]));
        let before = home.topology();
        let port = free_port();
        let app = json!([{
            "name": "web", "script": apps::path("shared.js"), "instances": 2, "exec_mode": "cluster", "env": { "PORT": port },
        }]);
        let start = home.call(&["start"]).arg(home.ecosystem(app)).spawn();
        home.wait_until("workers", || {
            home.processes()
                .iter()
                .filter(|process| process.command.contains("shared.js"))
                .count()
                == 2
        });
        // Boot takes some 50 ms: the moment is random on purpose.
        std::thread::sleep(Duration::from_millis(random.below(80) as u64));
        process::kill(before.daemon);
        let output = start.wait(Duration::from_secs(30));
        assert_eq!(output.code, Some(0), "{output}\n{}", home.report());
        let answers: BTreeSet<String> = (0..8).map(|_| word(&http_get(port).expect("an answer"))).collect();
        assert_eq!(answers.len(), 2, "{answers:?}\n{}", home.report());
        assert!(
            home.rows("web").iter().all(|row| row.restarts() == 0),
            "{}",
            home.report()
        );
    }
}
