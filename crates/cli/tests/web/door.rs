//! Who gets in.

use crate::support::{Port, home, open};
use ostler_testkit::sleeper;
use serde_json::{Value, json};

fn restart(name: &str) -> Value {
    let selector = json!({ "words": [name], "cwd": "/" });
    let action = json!({ "restart": { "selector": selector, "patch": { "attributes": {}, "environment": null } } });
    json!({ "id": format!("restart-{name}"), "verb": "whatever", "action": action })
}

/// What the page of a browser sends that is signed in.
fn from_page<'a>(cookie: &'a str, origin: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("Cookie", cookie),
        ("Origin", origin),
        ("Sec-Fetch-Site", "same-origin"),
        ("Content-Type", "application/json"),
    ]
}

#[test]
fn without_the_token_nothing_is_told_and_with_it_all() {
    let home = home();
    home.start(json!([sleeper("app")]));
    let port = open(&home, &[]);
    for path in [
        "/v1/processes",
        "/v1/events",
        "/v1/logs",
        "/pm2.json",
        "/metrics",
        "/v1/ping",
    ] {
        let wrong = format!(
            "Bearer {}",
            port.token.replace(|letter: char| letter.is_ascii_digit(), "f")
        );
        for headers in [
            &[][..],
            &[("Authorization", wrong.as_str())],
            &[("Cookie", "ostler-9615=x")],
        ] {
            let answer = port.ask("GET", path, headers, "");
            assert!(matches!(answer.status, 401 | 429), "{path} {answer:?}");
            assert!(!answer.body.contains("\"app\""), "{path} {answer:?}");
        }
    }
    assert_eq!(port.get("/v1/processes").json()["processes"][0]["name"], "app");
    let page = port.ask("GET", "/", &[], "");
    assert_eq!(page.status, 200, "the page itself is for everybody: {page:?}");
    for (path, status) in [
        ("/v1/nothing", 404),
        ("/web.token", 404),
        ("/../web.token", 404),
        ("/v1/web", 403),
        ("/v1/follow", 405),
    ] {
        assert_eq!(port.get(path).status, status, "{path}");
    }
    assert_eq!(port.post("/v1/web", &json!("close")).status, 403);
    assert_eq!(port.post("/v1/follow", &json!({})).status, 403);
}

#[test]
fn a_cookie_from_signing_in_is_worth_as_much_and_nothing_after_signing_out() {
    let home = home();
    home.start(json!([sleeper("app")]));
    let port = open(&home, &["--user", "ann", "--password", "correct horse"]);
    let origin = port.origin();
    assert_eq!(port.sign_in(&json!({ "token": "guess" })).status, 401);
    assert_eq!(port.sign_in(&json!({ "user": "ann", "password": "guess" })).status, 401);
    let looked = port.ask("GET", "/session", &[], "").json();
    assert_eq!(looked, json!({ "signed_in": false, "with_password": true }));
    for (who, user) in [
        (json!({ "token": port.token }), "token"),
        (json!({ "user": "ann", "password": "correct horse" }), "ann"),
    ] {
        let signed_in = port.sign_in(&who);
        assert_eq!(signed_in.json()["user"], user);
        let set = signed_in.header("set-cookie").expect("a cookie").to_owned();
        assert!(set.starts_with(&format!("ostler-{}=", port.address.port())), "{set}");
        for attribute in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
            assert!(set.contains(attribute), "{set}");
        }
        let cookie = signed_in.cookie();
        let page = from_page(&cookie, &origin);
        assert_eq!(port.ask("GET", "/session", &page, "").json()["signed_in"], true);
        let before = home.pid("app");
        let operation = restart("app").to_string().replace("restart-app", &format!("by-{user}"));
        assert_eq!(port.ask("POST", "/v1/operations", &page, &operation).status, 200);
        assert_ne!(home.pid("app"), before);
        let why = home.ok(&["why", "app"]).stdout;
        assert!(
            why.contains(&format!("`restart` by {user}, web dashboard, from 127.0.0.1")),
            "{why}"
        );
        assert_eq!(port.ask("DELETE", "/session", &page, "").status, 200);
        assert_eq!(port.ask("GET", "/v1/processes", &page, "").status, 401);
    }
    let basic = port.ask(
        "GET",
        "/v1/ping",
        &[("Authorization", "Basic YW5uOmNvcnJlY3QgaG9yc2U=")],
        "",
    );
    assert_eq!(basic.status, 200, "{basic:?}");
}

#[test]
fn a_page_elsewhere_can_do_nothing_with_the_browsers_cookie() {
    let home = home();
    home.start(json!([sleeper("app")]));
    let port = open(&home, &[]);
    let cookie = port.sign_in(&json!({ "token": port.token })).cookie();
    let (own, before) = (port.origin(), home.pid("app"));
    let body = restart("app").to_string();
    let other_port = "http://127.0.0.1:3000";
    let json_kind = ("Content-Type", "application/json");
    for (what, status, headers) in [
        (
            "a form elsewhere",
            403,
            vec![
                ("Origin", "https://evil.example"),
                ("Sec-Fetch-Site", "cross-site"),
                ("Content-Type", "text/plain"),
            ],
        ),
        (
            "a script elsewhere",
            403,
            vec![("Origin", "https://evil.example"), json_kind],
        ),
        (
            "another port of this machine",
            403,
            vec![("Origin", other_port), ("Sec-Fetch-Site", "same-site"), json_kind],
        ),
        ("a sandbox", 403, vec![("Origin", "null"), json_kind]),
        ("no word of where it comes from", 403, vec![json_kind]),
        (
            "a form of our own page",
            415,
            vec![("Origin", own.as_str()), ("Content-Type", "text/plain")],
        ),
        ("no kind at all", 415, vec![("Origin", own.as_str())]),
    ] {
        let headers = [&[("Cookie", cookie.as_str())], &headers[..]].concat();
        let answer = port.ask("POST", "/v1/operations", &headers, &body);
        assert_eq!(answer.status, status, "{what}: {answer:?}");
    }
    for path in ["/pm2.json", "/v1/processes", "/v1/events"] {
        let headers = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "cross-site")];
        assert_eq!(port.ask("GET", path, &headers, "").status, 403, "{path}");
    }
    assert_eq!(home.pid("app"), before, "nothing was done");
    assert_eq!(
        port.ask("POST", "/v1/operations", &from_page(&cookie, &own), &body)
            .status,
        200
    );
    assert_ne!(home.pid("app"), before);
}

#[test]
fn under_a_foreign_name_nothing_is_answered_until_it_is_allowed() {
    let home = home();
    let port = open(&home, &[]);
    let ask = |port: &Port, host: &str, path: &str| {
        let bearer = port.bearer();
        let answer = port.try_ask("GET", path, &[("Host", host), ("Authorization", &bearer)], "");
        answer.expect("an answer").status
    };
    for path in ["/", "/v1/ping"] {
        for (host, status) in [
            ("evil.example", 421),
            ("10.0.0.1", 421),
            ("localhost", 200),
            ("[::1]:80", 200),
            ("a b", 400),
        ] {
            assert_eq!(ask(&port, host, path), status, "{host}{path}");
        }
    }
    let nameless = port.try_ask("GET", "/v1/ping", &[("Authorization", &port.bearer())], "");
    assert_eq!(nameless.expect("an answer").status, 400);
    let again = home.ok(&["web", "--allow-host", "Ops.Example.com"]);
    let port = Port::of(&again.stdout);
    assert_eq!(ask(&port, "ops.example.com", "/v1/ping"), 200);
    assert_eq!(ask(&port, "evil.example", "/v1/ping"), 421);
}

#[test]
fn for_reading_only_nothing_is_changed_and_what_an_app_was_told_is_not_shown() {
    let home = home();
    let app = json!({ "name": "app", "script": "/bin/sleep", "args": "100000", "interpreter": "none", "env": { "GREETING": "keep-it-to-yourself" } });
    home.start(json!([app]));
    let before = home.pid("app");
    let port = open(&home, &["--read-only"]);
    assert_eq!(port.post("/v1/operations", &restart("app")).status, 403);
    assert_eq!(port.get("/v1/processes/full").status, 403);
    let list = port.get("/pm2.json");
    assert!(
        !list.body.contains("keep-it-to-yourself") && !list.body.contains("sleep"),
        "{list:?}"
    );
    assert_eq!(list.json()["processes"][0]["pm2_env"]["status"], "online");
    assert_eq!(port.get("/v1/processes").status, 200);
    let cookie = port.sign_in(&json!({ "token": port.token })).cookie();
    let page = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(port.ask("GET", "/session", &page, "").json()["read_only"], true);
    assert_eq!(home.pid("app"), before);
    home.ok(&["web", "--read-only=false"]);
    assert_eq!(
        port.ask("GET", "/session", &page, "").json()["read_only"],
        false,
        "it goes on for whoever is signed in"
    );
    assert_eq!(port.post("/v1/operations", &restart("app")).status, 200);
}

#[test]
fn what_takes_the_sockets_trust_is_not_done_over_the_port() {
    let home = home();
    home.start(json!([sleeper("app")]));
    let (port, before) = (open(&home, &[]), home.topology());
    let selector = json!({ "words": ["app"], "cwd": "/" });
    let patch = json!({ "attributes": { "args": "1" }, "environment": null });
    for (id, action) in [
        ("kill", json!("kill")),
        ("save", json!({ "save": { "force": true } })),
        ("line", json!({ "send_line": { "slot": 0, "line": "x" } })),
        ("signal", json!({ "signal": { "selector": selector, "signal": 9 } })),
        ("patch", json!({ "restart": { "selector": selector, "patch": patch } })),
    ] {
        let answer = port.post("/v1/operations", &json!({ "id": id, "verb": "x", "action": action }));
        assert_eq!(answer.status, 400, "{id}: {answer:?}");
        assert!(answer.body.contains("over this port"), "{id}: {answer:?}");
    }
    assert_eq!(home.topology(), before);
    assert!(!home.path().join("dump.pm2").exists());
}
