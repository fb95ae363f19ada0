//! What is to be had.

use crate::support::{home, open};
use ostler_testkit::sleeper;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};

#[test]
fn secrets_of_apps_do_not_go_over_the_port() {
    let home = home();
    let app = json!({
        "name": "app", "script": "/bin/sleep", "interpreter": "none",
        "args": ["100000"],
        "env": { "NODE_ENV": "production", "DATABASE_URL": "postgres://u:s3cr3t@h/d", "HARMLESS_LOOKING": "s3cr3t" },
        "env_staging": { "OTHER": "s3cr3t" },
    });
    home.start(json!([
        app,
        { "name": "talks", "script": "/bin/sh", "interpreter": "none", "args": ["-c", "sleep 100000 & wait", "--api-key", "s3cr3t"] },
    ]));
    let owner = home.control_text("/v1/processes/full").expect("the list");
    assert!(owner.contains("s3cr3t"), "its owner sees all: {owner}");
    let port = open(&home, &[]);
    for path in [
        "/v1/processes/full",
        "/pm2.json",
        "/v1/processes",
        "/v1/metrics",
        "/v1/history",
        "/metrics",
    ] {
        let answer = port.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(!answer.body.contains("s3cr3t"), "{path}: {answer:?}");
        assert!(!answer.body.contains(&port.token), "{path}: {answer:?}");
    }
    let full = port.get("/v1/processes/full").json();
    let declared = &full["processes"][0]["view"]["spec"]["environment"]["declared"];
    assert_eq!(declared["NODE_ENV"], "production", "what is harmless is shown");
    assert_eq!(declared["DATABASE_URL"], "***");
    let events = first_event(&port, "/v1/events");
    assert!(events.contains("snapshot"), "{events}");
}

/// The name of the first event of a stream.
fn first_event(port: &crate::support::Port, path: &str) -> String {
    let mut stream = port.connect().expect("a connection");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n",
        port.address,
        port.bearer()
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.find(|line| line.starts_with("event: ")).unwrap_or_default()
}

#[test]
fn pm2s_old_interface_has_its_shape() {
    let home = home();
    home.start(json!([sleeper("app")]));
    let port = open(&home, &[]);
    let page = port.get("/pm2.json").json();
    assert!(
        page["system_info"]["hostname"].is_string() && page["system_info"]["uptime"].is_u64(),
        "{page}"
    );
    let monit = &page["monit"];
    assert_eq!(monit["loadavg"].as_array().map(Vec::len), Some(3), "{monit}");
    assert!(monit["total_mem"].is_u64() && monit["free_mem"].is_u64(), "{monit}");
    assert!(
        monit["cpu"][0]["times"]["user"].is_u64() && monit["interfaces"].is_object(),
        "{monit}"
    );
    let listed = home.jlist();
    assert_eq!(page["processes"].as_array().map(Vec::len), Some(listed.len()));
    for key in ["pid", "name", "pm_id"] {
        assert_eq!(page["processes"][0][key], listed[0].0[key], "{key}");
    }
    assert_eq!(page["processes"][0]["pm2_env"]["status"], "online");
    assert_eq!(page["processes"][0]["pm2_env"]["restart_time"], 0);
}

#[test]
fn prometheus_gets_its_text_by_the_token_in_the_file() {
    let home = home();
    home.start(json!([sleeper("app")]));
    let port = open(&home, &[]);
    let token = home.read("web.token");
    let answer = port.ask(
        "GET",
        "/metrics",
        &[("Authorization", &format!("Bearer {}", token.trim()))],
        "",
    );
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(answer.body.contains("ostler_worker_up{app=\"app\""), "{answer:?}");
}

#[test]
fn every_answer_keeps_other_pages_out_and_the_page_is_kept_by_browsers() {
    let home = home();
    let port = open(&home, &[]);
    for path in ["/", "/v1/ping", "/session", "/nothing"] {
        let answer = port.get(path);
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
            "{policy}"
        );
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None);
        let kept = if path == "/" { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), Some(kept), "{path}");
    }
    let page = port.ask("GET", "/", &[], "");
    let tag = page.header("etag").expect("a tag");
    let again = port.ask("GET", "/", &[("If-None-Match", tag)], "");
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let other = port.ask("GET", "/", &[("If-None-Match", "\"other\"")], "");
    assert_eq!((other.status, other.body.len()), (200, page.body.len()));
    let head = port.ask("HEAD", "/v1/ping", &[("Authorization", &port.bearer())], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}
