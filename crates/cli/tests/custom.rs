//! What apps measure themselves and do when they are told to: PM2's `axm:` messages.

use ostler_testkit::{Home, Manager, Signal, process, skip, tools};
use serde_json::{Value, json};

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// Says what it measures and can do, and does it; in a cluster it also listens, as workers do.
const APP: &str = "
process.on('message', (message) => {
  const reply = (action_name, value) => process.send({ type: 'axm:reply', data: { return: value, action_name } });
  if (message === 'who') reply('who', { pid: process.pid });
  if (message.msg === 'add') reply('add', message.opts + '!');
  if (message === 'die') process.exit(3);
  if (message === 'silence') console.log('asked');
});
for (const action_name of ['who', 'add', 'die', 'silence']) {
  process.send({ type: 'axm:action', data: { action_name, action_type: 'custom', arity: 1 } });
}
process.send({ type: 'axm:monitor', data: { queue: { value: 3, unit: 'jobs' }, mood: 'fine' } });
require('http').createServer(() => {}).listen(0, '127.0.0.1');
";

fn environment(home: &Home, id: u64) -> Value {
    let list: Vec<Value> = serde_json::from_str(&home.ok(&["jlist"]).stdout).expect("JSON");
    let entry = list.into_iter().find(|entry| entry["pm_id"] == id);
    entry.expect("listed")["pm2_env"].clone()
}

fn started(home: &Home, more: &Value) {
    let mut app = json!({ "name": "app", "script": home.script("app.js", APP) });
    if let (Some(app), Some(more)) = (app.as_object_mut(), more.as_object()) {
        app.extend(more.clone());
    }
    home.start(json!([app]));
    home.wait_until("its last message", || {
        environment(home, 0)["axm_monitor"]["mood"]["value"] == "fine"
    });
}

fn replies(output: &str) -> Vec<(&str, Value)> {
    let reply = |line| str::split_once(line, '=').expect("who=what");
    let read = |(who, what): (_, &str)| (who, serde_json::from_str(what).expect("JSON"));
    output.lines().map(reply).map(read).collect()
}

#[test]
fn what_an_app_measures_is_shown_and_its_actions_are_called() {
    for more in [json!({}), json!({ "exec_mode": "cluster", "instances": 2 })] {
        let home = home();
        started(&home, &more);
        let pids = home.pids("app");
        let environment = environment(&home, 0);
        assert_eq!(
            environment["axm_monitor"]["queue"],
            json!({ "value": 3, "unit": "jobs", "historic": false })
        );
        assert_eq!(environment["axm_actions"][1]["action_name"], "add");
        let described = home.ok(&["describe", "0"]).stdout;
        for words in ["3 jobs", "mood", "fine", "ostler trigger 0 who"] {
            assert!(described.contains(words), "{words}: {described}");
        }
        let page = home.control_text("/metrics").expect("an answer");
        assert!(page.contains("metric=\"queue\",unit=\"jobs\"} 3\n"), "{page}");
        assert!(!page.contains("metric=\"mood\""), "{page}");
        let output = home.ok(&["trigger", "app", "who"]);
        let told: Vec<i64> = replies(&output.stdout)
            .iter()
            .filter_map(|(_, value)| value["pid"].as_i64())
            .collect();
        assert_eq!(
            told,
            pids.iter().map(|pid| i64::from(*pid)).collect::<Vec<_>>(),
            "{output}"
        );
        let output = home.ok(&["trigger", "0", "add", "one more"]);
        assert_eq!(replies(&output.stdout), [("[app:0:default]", json!("one more!"))]);
    }
}

#[test]
fn whoever_cannot_answer_is_named() {
    let home = home();
    started(&home, &json!({}));
    let output = home.call(&["trigger", "app", "dance"]).run();
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .stderr
            .contains("no process of app that runs has an action `dance`"),
        "{output}"
    );
    assert!(output.stderr.contains("add, die, silence, who"), "{output}");
    let output = home.call(&["trigger", "app", "silence", "--timeout", "100ms"]).run();
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .stderr
            .contains("no answer to `silence` from app (0) within 100ms"),
        "{output}"
    );
    // It does not wait for what will never come.
    let output = home.call(&["trigger", "app", "die", "--timeout", "10m"]).run();
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("no answer to `die`"), "{output}");
    home.ok(&["stop", "app"]);
    let output = home.call(&["trigger", "app", "who"]).run();
    assert!(output.stderr.contains("no process of app that runs"), "{output}");
}

#[test]
fn a_new_daemon_knows_the_actions_and_calls_none_a_second_time() {
    let home = home();
    started(&home, &json!({}));
    let before = home.topology();
    process::signal(before.daemon, Signal::KILL);
    home.wait_until("a new daemon", || home.topology().daemon != before.daemon);
    let output = home.ok(&["trigger", "app", "add", "x"]);
    assert_eq!(replies(&output.stdout), [("[app:0:default]", json!("x!"))]);
    let waiting = home.call(&["trigger", "app", "silence", "--timeout", "10m"]).spawn();
    let before = home.topology();
    let log = environment(&home, 0)["pm_out_log_path"]
        .as_str()
        .expect("a path")
        .to_owned();
    home.wait_until("the app to be asked", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("asked"))
    });
    process::signal(before.daemon, Signal::KILL);
    let output = waiting.wait(ostler_testkit::DEADLINE);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("the daemon was replaced while"), "{output}");
}

#[test]
fn the_package_that_pm2s_users_have_works() {
    let test = "the_package_that_pm2s_users_have_works";
    let package = match tools::npm("@pm2/io@6", "node_modules/@pm2/io/package.json") {
        Ok(package) => package,
        Err(reason) => return skip(test, &reason),
    };
    let home = home();
    let io = package.parent().expect("a directory").display().to_string();
    let app = format!(
        "const io = require({io:?}); io.init();
         io.metric({{ name: 'visitors', unit: 'people' }}).set(5);
         io.action('greet', (name, reply) => reply({{ hello: name }}));
         setInterval(() => {{}}, 1000);"
    );
    home.start(json!([{ "name": "app", "script": home.script("app.js", &app) }]));
    home.wait_until("its metric", || {
        let metric = environment(&home, 0)["axm_monitor"]["visitors"].clone();
        (&metric["value"], &metric["unit"]) == (&json!(5), &json!("people"))
    });
    let output = home.ok(&["trigger", "app", "greet", "you"]);
    assert_eq!(
        replies(&output.stdout),
        [("[app:0:default]", json!({ "hello": "you" }))]
    );
}
