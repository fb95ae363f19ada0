//! Reloads under every kind of traffic, by apps without a line of shutdown code: nothing is lost within the deadline, and at the
//! deadline happens what `docs/design/0011-reload.md` says.

use ostler_testkit::traffic::{Account, now};
use ostler_testkit::{Farewell, Home, Manager, Output, Running, Traffic, WebSocket, apps, free_port};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Who gets a connection, in every way there is.
const MODES: [&str; 4] = ["round-robin", "least-connections", "sticky", "direct"];

const WORKERS: usize = 2;

/// How long a worker may take to finish, ms.
const DRAIN: u64 = 30_000;

/// How long a reload may take. It waits for what is under way.
const LIMIT: Duration = Duration::from_secs(60);

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// The app that is up on a port, by this scheme and mode.
fn serving(home: &Home, scheme: &str, mode: &str, more: &Value) -> u16 {
    let port = free_port();
    let mut app = json!({
        "name": "web", "script": apps::path("traffic/server.cjs"), "instances": WORKERS, "exec_mode": "cluster",
        "balance": mode, "min_ready": 200, "drain_timeout": DRAIN, "env": { "PORT": port, "SCHEME": scheme },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        match value {
            Value::Object(members) => app[key].as_object_mut().expect("an object").extend(members.clone()),
            value => app[key] = value.clone(),
        }
    }
    home.start(json!([app]));
    port
}

/// A reload that runs.
struct Reload {
    running: Running,
    /// When it was asked for.
    asked: u64,
}

/// When each old worker was taken out of rotation, by its pid.
type Switches = BTreeMap<i32, u64>;

impl Reload {
    fn begin(home: &Home) -> Self {
        let asked = now();
        let running = home.call(&["reload", "web", "--json"]).spawn();
        Self { running, asked }
    }

    /// When each old worker that drains by now, or has, began to: its deadline is known, and how long it was off when this was told.
    fn switches(&self) -> Switches {
        let text = self.running.stdout();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let told = whole.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let draining = told.filter(|line| line["progress"]["step"] == "draining");
        let switches = draining.filter_map(|line| {
            let pid = i32::try_from(line["progress"]["old_pid"].as_i64()?).ok()?;
            let left = line["progress"]["left_ms"].as_u64()?;
            Some((pid, now() - DRAIN.saturating_sub(left)))
        });
        switches.collect()
    }

    /// Waits until every slot has its new worker in rotation.
    fn wait_switched(&self, home: &Home) -> Switches {
        let mut switches = Switches::new();
        home.wait_until("every old worker to drain", || {
            for (pid, moment) in self.switches() {
                switches.entry(pid).or_insert(moment);
            }
            switches.len() == WORKERS
        });
        switches
    }

    fn wait(self) -> Output {
        let output = self.running.wait(LIMIT);
        assert_eq!(output.code, Some(0), "{output}");
        output
    }
}

/// What there is to know of traffic under which an app was reloaded.
struct Story {
    asked: u64,
    switches: Switches,
    account: Account,
}

impl Story {
    /// Whether something of this kind began before the reload, and ended after every slot had its new worker.
    fn has_lasted(&self, kind: &str) -> bool {
        let last = self.switches.values().max().copied().unwrap_or_default();
        let lasted = self.account.answered.iter().filter(|exchange| exchange.kind == kind);
        lasted
            .filter(|exchange| exchange.began < self.asked && exchange.ended > last)
            .any(|exchange| self.switches.contains_key(&exchange.by))
    }
}

fn reloaded_under(scheme: &str, mode: &str, lanes: &[(&str, usize)]) -> Story {
    let home = home();
    let port = serving(&home, scheme, mode, &json!({}));
    let old = home.pids("web");
    let traffic = Traffic::begin(scheme, port, lanes);
    let count = lanes.iter().map(|(_, count)| count).sum();
    home.wait_until("traffic", || traffic.account().began >= count);

    let reload = Reload::begin(&home);
    let (asked, switches) = (reload.asked, reload.wait_switched(&home));
    reload.wait();
    let new = home.pids("web");
    let account = traffic.end();

    assert!(
        account.lost.is_empty(),
        "{scheme}, {mode}: {:?} of {}",
        account.lost,
        account.began
    );
    assert_eq!(account.answered.len(), account.began);
    assert!(new.iter().all(|pid| !old.contains(pid)), "{old:?} {new:?}");
    let has_answered = |pid: &i32| account.answered.iter().any(|exchange| exchange.by == *pid);
    assert!(
        new.iter().all(has_answered),
        "{scheme}, {mode}: a new worker has done nothing"
    );
    for pid in &old {
        // Else nothing would have been at stake.
        let at_stake = account.under_way(*pid, switches[pid]).count();
        assert!(at_stake > 0, "{scheme}, {mode}: {pid} drained with nothing under way");
    }
    told(scheme, mode, &switches, &account);
    Story {
        asked,
        switches,
        account,
    }
}

#[expect(clippy::print_stderr, reason = "the figures are for whoever runs it by hand")]
fn told(scheme: &str, mode: &str, switches: &Switches, account: &Account) {
    let at_stake: usize = switches
        .iter()
        .map(|(pid, moment)| account.under_way(*pid, *moment).count())
        .sum();
    eprintln!(
        "{scheme}, {mode}: {} answered, {at_stake} of them by workers that drained; {} sessions told to go, {} streams repeated",
        account.answered.len(),
        account.goodbyes,
        account.repeated
    );
}

fn in_every_mode(test: impl Fn(&str) + Sync) {
    at_once(MODES, test);
}

/// What takes long leaves the processor alone.
fn at_once<const N: usize>(words: [&str; N], test: impl Fn(&str) + Sync) {
    std::thread::scope(|scope| {
        for word in words {
            let test = &test;
            scope.spawn(move || test(word));
        }
    });
}

#[test]
fn requests_that_take_long_are_answered() {
    in_every_mode(|mode| drop(reloaded_under("http", mode, &[("slow", 40)])));
}

#[test]
fn a_body_that_is_uploaded_slowly_is_taken_to_its_end() {
    in_every_mode(|mode| {
        let story = reloaded_under("http", mode, &[("upload", 16)]);
        assert!(story.has_lasted("upload"), "{mode}");
    });
}

#[test]
fn an_answer_that_is_streamed_is_streamed_to_its_end() {
    in_every_mode(|mode| {
        let story = reloaded_under("http", mode, &[("stream", 16)]);
        assert!(story.has_lasted("stream"), "{mode}");
    });
}

/// Of everything something; two on each session of HTTP/2.
const MIXED: [(&str, usize); 3] = [("slow", 16), ("upload", 12), ("stream", 12)];

#[test]
fn nothing_is_lost_over_tls() {
    in_every_mode(|mode| {
        let story = reloaded_under("https", mode, &MIXED);
        assert!(story.has_lasted("upload") && story.has_lasted("stream"), "{mode}");
    });
}

#[test]
fn streams_of_http2_over_tls_are_answered() {
    in_every_mode(|mode| streams_of_http2_are_answered("h2", mode));
}

#[test]
fn streams_of_http2_without_tls_are_answered() {
    in_every_mode(|mode| streams_of_http2_are_answered("h2c", mode));
}

fn streams_of_http2_are_answered(scheme: &str, mode: &str) {
    let story = reloaded_under(scheme, mode, &MIXED);
    assert!(story.has_lasted("upload") && story.has_lasted("stream"), "{mode}");
    // Sessions end by a word of the server, not under their streams.
    assert!(story.account.goodbyes > 0, "{mode}");
}

/// An address for each client, so that `sticky` has something to tell apart.
fn address(client: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, u8::try_from(2 + client % 250).expect("invariant: below 252"))
}

fn open(port: u16, client: usize) -> (WebSocket, i32) {
    let mut socket = WebSocket::open(address(client), port).expect("a WebSocket");
    let by = ask(&mut socket).expect("an echo");
    (socket, by)
}

/// Who echoes.
fn ask(socket: &mut WebSocket) -> std::io::Result<i32> {
    let answer = socket.ask("who")?;
    let pid = answer.strip_prefix("who ").and_then(|pid| pid.parse().ok());
    pid.ok_or_else(|| std::io::Error::other(answer))
}

/// Two hundred WebSockets that are open while their workers are replaced, with `drain_timeout` as their deadline. Returns how each
/// ended.
fn web_sockets_live_until_the_deadline(mode: &str, env: &Value) -> Vec<Farewell> {
    let drain = Duration::from_secs(3);
    let home = home();
    let more = json!({ "drain_timeout": "3s", "env": env });
    let port = serving(&home, "http", mode, &more);
    let old: BTreeSet<i32> = home.pids("web").into_iter().collect();
    let mut sockets: Vec<(WebSocket, i32)> = (0..200).map(|client| open(port, client)).collect();
    assert_eq!(sockets.iter().map(|(_, by)| *by).collect::<BTreeSet<i32>>(), old);

    let begun = Instant::now();
    let reload = Reload::begin(&home);
    reload.wait_switched(&home);
    // Everyone has the worker that he had, and who comes now has a new one.
    for (socket, by) in &mut sockets {
        assert_eq!(ask(socket).expect("an open WebSocket"), *by, "{mode}");
    }
    let mut late: Vec<(WebSocket, i32)> = (0..20).map(|client| open(port, client)).collect();
    assert!(late.iter().all(|(_, by)| !old.contains(by)), "{mode}");
    // Nobody is cut off earlier than said.
    let until = begun + drain;
    let mut turns = (0..sockets.len()).cycle();
    while Instant::now() < until {
        let (socket, by) = &mut sockets[turns.next().unwrap_or_default()];
        let answer = ask(socket);
        assert!(
            answer.as_ref().is_ok_and(|now| now == by),
            "{mode}, after {:?}: {answer:?}",
            begun.elapsed()
        );
    }
    // Nor does it wait longer: nobody hangs up.
    reload.wait();
    for (socket, by) in &mut late {
        assert_eq!(ask(socket).expect("an open WebSocket"), *by, "{mode}");
    }
    let ends = sockets.into_iter().map(|(socket, _)| socket.farewell());
    ends.collect::<std::io::Result<_>>().expect("an end")
}

#[test]
fn web_sockets_are_served_until_the_deadline_and_closed_then() {
    in_every_mode(|mode| {
        let ends = web_sockets_live_until_the_deadline(mode, &json!({}));
        assert!(ends.iter().all(|end| *end == Farewell::Closed), "{mode}: {ends:?}");
    });
}

#[test]
fn at_the_deadline_an_app_with_a_handler_may_say_goodbye_to_its_web_sockets() {
    let ends = web_sockets_live_until_the_deadline(MODES[0], &json!({ "GOODBYE": "1" }));
    assert!(ends.iter().all(|end| *end == Farewell::Said(1001)), "{ends:?}");
}

/// What is lost when something other than a reload within its deadline befalls the workers. It shows that the tests above can fail.
fn lost_by(scheme: &str, more: &Value, command: &[&str]) -> Account {
    let home = home();
    let port = serving(&home, scheme, MODES[0], more);
    let traffic = Traffic::begin(scheme, port, &MIXED);
    let count = MIXED.iter().map(|(_, count)| count).sum();
    home.wait_until("traffic", || traffic.account().began >= count);
    home.ok(command);
    traffic.end()
}

fn has_lost_something_of_each_kind(account: &Account) -> bool {
    let has_lost = |kind: &str| account.lost.iter().any(|lost| lost.starts_with(kind));
    MIXED.iter().all(|(kind, _)| has_lost(kind))
}

#[test]
fn a_restart_waits_for_nobody() {
    at_once(["http", "https", "h2", "h2c"], |scheme| {
        let account = lost_by(scheme, &json!({}), &["restart", "web"]);
        assert!(
            has_lost_something_of_each_kind(&account),
            "{scheme}: {:?}",
            account.lost
        );
    });
}

#[test]
fn at_the_deadline_what_is_under_way_is_cut() {
    let account = lost_by("http", &json!({ "drain_timeout": 100 }), &["reload", "web"]);
    assert!(has_lost_something_of_each_kind(&account), "{:?}", account.lost);
}
