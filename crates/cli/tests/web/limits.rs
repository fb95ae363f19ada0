//! What nobody can use up.

use crate::support::{Port, home, open, read};
use ostler_testkit::{Home, sleeper};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How many connections there are at most.
const MOST: usize = 64;

fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_))
}

fn works(home: &Home) {
    let began = Instant::now();
    assert_eq!(home.row("app").status(), "online");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "the command line does not wait for the port"
    );
}

#[test]
fn who_does_not_finish_the_head_of_a_request_is_closed() {
    let home = home();
    home.start(json!([sleeper("app")]));
    let port = open(&home, &[]);
    let mut slow = port.connect().expect("a connection");
    slow.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        .expect("sent");
    let began = Instant::now();
    works(&home);
    let mut left = Vec::new();
    // The server may say why before it closes.
    let _ = slow.read_to_end(&mut left);
    let waited = began.elapsed();
    assert!((5..20).contains(&waited.as_secs()), "{waited:?}");
    assert!(!String::from_utf8_lossy(&left).contains("200 OK"));
}

#[test]
fn more_connections_than_are_allowed_are_turned_away_and_others_go_on() {
    let home = home();
    home.start(json!([sleeper("app")]));
    let port = open(&home, &[]);
    let request = format!(
        "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n\r\n",
        port.bearer()
    );
    let mut streams = Vec::new();
    for _ in 0..MOST {
        let mut stream = port.connect().expect("a connection");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut first = [0; 12];
        stream.read_exact(&mut first).expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
        streams.push(stream);
    }
    let mut one_more = port.connect().expect("a connection");
    one_more.write_all(request.as_bytes()).expect("a request");
    let refused = read(&mut one_more).expect("an answer");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(
        refused.head.contains("Retry-After") && refused.body.contains("Too many connections"),
        "{refused:?}"
    );
    works(&home);
    streams.pop();
    home.wait_until("a place to be free", || answers(&port));
    home.ok(&["web", "--off"]);
    for stream in &mut streams {
        while !is_closed(stream) {}
    }
}

fn answers(port: &Port) -> bool {
    port.try_ask("GET", "/", &[("Host", "localhost")], "")
        .is_ok_and(|answer| answer.status == 200)
}

#[test]
fn a_body_that_is_too_large_or_no_json_is_refused() {
    let home = home();
    let port = open(&home, &[]);
    let bearer = port.bearer();
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let large = format!("\"{}\"", "x".repeat(70_000));
    for (body, words) in [
        (large.as_str(), "larger than 65536"),
        ("{", "not what was expected"),
        ("{}", "not what was expected"),
    ] {
        let answer = port.ask("POST", "/v1/operations", &headers, body);
        assert!(answer.status == 400 && answer.body.contains(words), "{answer:?}");
    }
    let long = "x".repeat(100_000);
    let answer = port.try_ask("GET", "/", &[("Host", "localhost"), ("X-Long", &long)], "");
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 431));
}

#[test]
fn who_guesses_is_slowed_down() {
    let home = home();
    let port = open(&home, &["--user", "ann", "--password", "correct horse"]);
    let sign_in = |password: &str| port.sign_in(&json!({ "user": "ann", "password": password }));
    for _ in 0..5 {
        assert_eq!(sign_in("guess").status, 401);
    }
    let refused = sign_in("correct horse");
    assert_eq!(refused.status, 429, "{refused:?}");
    let seconds: u64 = refused
        .header("retry-after")
        .expect("a time")
        .parse()
        .expect("a number");
    assert_eq!(seconds, 1);
    assert_eq!(port.get("/v1/ping").status, 200, "whoever has the token does not wait");
    assert_eq!(
        sign_in("correct horse").status,
        200,
        "and ends the wait for his address"
    );
}
