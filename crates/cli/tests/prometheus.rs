//! A real Prometheus reads `/metrics`, and knows all that docs/prometheus asks it for.

use ostler_testkit::{Home, Manager, Visitor, free_port, skip, tools};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

const SHOP: &str = "require('http').createServer((request, response) => {
  response.statusCode = request.url === '/broken' ? 500 : 200;
  response.end('ok');
}).listen(process.env.PORT, '127.0.0.1');";

/// Parts of the queries that have nothing to show of an app that is well and reports nothing of its own, or whose event loop has nothing to do.
const MAYBE_NOTHING: [&str; 4] = [
    "status!~",
    "ostler_worker_healthy",
    "ostler_worker_custom",
    "ostler_worker_eventloop_delay_seconds",
];

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// A program of Debian's package.
fn debians(program: &str) -> Result<PathBuf, String> {
    Ok(tools::debian(&["prometheus"])?.join("usr/bin").join(program))
}

/// Two workers that have answered some requests.
fn open_shop(home: &Home) {
    let port = free_port();
    home.start(json!([{
        "name": "shop", "script": home.script("shop.js", SHOP), "exec_mode": "cluster", "instances": 2, "env": { "PORT": port },
    }]));
    for path in ["/", "/", "/broken"] {
        // What it is answered is counted there.
        drop(Visitor::at(port).expect("connected").get(path));
    }
}

/// The port that is open for programs, and a file with what they have to say there.
fn web(home: &Home) -> (String, PathBuf) {
    let link = home.ok(&["web", "--port", "0"]).stdout;
    let link = link.trim().strip_prefix("http://").expect("a link");
    let (address, _) = link.split_once('/').expect("an address");
    (address.to_owned(), home.path().join("web.token"))
}

/// What a server says, without chunks (HTTP/1.0).
fn ask(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(answer)),
    }
}

/// A text in a query of an address.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Every query of the dashboard, of all hosts, namespaces and apps.
fn queries() -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| match value.as_str() {
                Some(query) if key == "expr" => found.push(query.to_owned()),
                _ => collect(value, found),
            }),
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let dashboard = include_str!("../../../docs/prometheus/dashboard.json");
    let mut found = Vec::new();
    collect(&serde_json::from_str(dashboard).expect("JSON"), &mut found);
    let all = |query: String| {
        ["$host", "$namespace", "$app"]
            .iter()
            .fold(query, |query, name| query.replace(name, ".*"))
    };
    found
        .into_iter()
        .map(|query| all(query).replace("$__rate_interval", "1m"))
        .collect()
}

#[test]
fn promtool_finds_nothing_to_be_said_of_the_page_and_the_alerts() {
    let promtool = match debians("promtool") {
        Ok(promtool) => promtool,
        Err(reason) => return skip("promtool_finds_nothing_to_be_said_of_the_page_and_the_alerts", &reason),
    };
    let home = home();
    open_shop(&home);
    let page = home.control_text("/metrics").expect("the page");
    assert!(page.contains("ostler_worker_up"), "{page}");
    let checked = home
        .program(&promtool)
        .args(&["check", "metrics"])
        .input(page.as_str())
        .ok();
    assert_eq!((checked.stdout.as_str(), checked.stderr.as_str()), ("", ""));
    let alerts = tools::workspace().join("docs/prometheus/alerts.yml");
    let checked = home.program(&promtool).args(&["check", "rules"]).arg(alerts).ok();
    assert!(checked.stdout.contains("SUCCESS: 9 rules found"), "{checked}");
}

#[test]
fn a_real_one_reads_it_evaluates_all_alerts_and_shows_all_of_the_dashboard() {
    let prometheus = match debians("prometheus") {
        Ok(prometheus) => prometheus,
        Err(reason) => {
            return skip(
                "a_real_one_reads_it_evaluates_all_alerts_and_shows_all_of_the_dashboard",
                &reason,
            );
        }
    };
    let home = home();
    open_shop(&home);
    let (address, token) = web(&home);
    let config = home.write(
        "prometheus.yml",
        json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "scrape_configs": [{
                "job_name": "ostler", "authorization": { "credentials_file": token }, "static_configs": [{ "targets": [address] }],
            }],
            "rule_files": [tools::workspace().join("docs/prometheus/alerts.yml")],
        })
        .to_string(),
    );
    let listens = format!("127.0.0.1:{}", free_port());
    home.start(json!([{
        "name": "prometheus", "script": prometheus, "interpreter": "none",
        "args": [format!("--config.file={}", config.display()), format!("--web.listen-address={listens}"),
            format!("--storage.tsdb.path={}", home.work().join("series").display())],
    }]));
    let told = |path: &str| -> Option<Value> { serde_json::from_str(&ask(&listens, path).ok()?).ok() };
    home.wait_until("it to read the page", || {
        told("/api/v1/targets").is_some_and(|told| told["data"]["activeTargets"][0]["health"] == "up")
    });
    home.wait_until("all alerts to be evaluated", || {
        let Some(told) = told("/api/v1/rules") else {
            return false;
        };
        let groups = told["data"]["groups"].as_array().cloned().unwrap_or_default();
        let rules: Vec<&Value> = groups
            .iter()
            .filter_map(|group| group["rules"].as_array())
            .flatten()
            .collect();
        rules.len() == 9 && rules.iter().all(|rule| rule["health"] == "ok")
    });
    let queries = queries();
    assert!(queries.len() > 15, "{queries:?}");
    for query in queries {
        let path = format!("/api/v1/query?query={}", encoded(&query));
        let may_be_empty = MAYBE_NOTHING.iter().any(|part| query.contains(part));
        // A rate wants two readings.
        home.wait_until(&query, || {
            let told = told(&path).filter(|told| told["status"] == "success");
            let shown = told.map(|told| told["data"]["result"].as_array().map_or(0, Vec::len));
            shown.is_some_and(|shown| shown > 0 || may_be_empty)
        });
    }
}
