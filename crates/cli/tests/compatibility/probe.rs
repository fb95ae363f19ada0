//! Carries out the steps of a case.

use crate::case::{Ask, At, Case, Step, WORKERS};
use crate::driver::{Driver, Session};
use ostler_testkit::{DEADLINE, Runtime, apps, process, tools, wait_within};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

/// How long workers may take to do what they are waited for. Where something does not work, all of it passes.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs a case.
///
/// # Errors
/// Why it does not work, as a sentence without numbers of this run.
pub fn run(case: &Case, runtime: &Runtime, driver: Driver) -> Result<(), String> {
    let mut session = driver.start(case, runtime)?;
    session.settle(WORKERS);
    for step in &case.steps {
        if let Err(reason) = carry_out(step, &mut session) {
            let circumstances = session.circumstances();
            let whole = if circumstances.is_empty() {
                reason
            } else {
                format!("{reason} ({circumstances})")
            };
            return Err(without_numbers(&whole, &session));
        }
    }
    Ok(())
}

fn carry_out(step: &Step, session: &mut Session) -> Result<(), String> {
    match step {
        Step::Ask(ask) => client(ask, session).map(|_| ()),
        Step::Says(workers, line) => says(*workers, line, session),
        Step::Leave => leave(session),
        Step::Stop => session.stop(),
    }
}

fn says(workers: usize, line: &Value, session: &Session) -> Result<(), String> {
    let wanted = line.as_object().expect("invariant: a line is an object");
    let has_all = |said: &Value| wanted.iter().all(|(key, value)| said[key] == *value);
    let who = || -> BTreeSet<u64> {
        let lines = session.place.said();
        lines
            .iter()
            .filter(|said| has_all(said))
            .filter_map(|said| said["pid"].as_u64())
            .collect()
    };
    let heard = wait_within(PATIENCE, || (who().len() >= workers).then_some(()));
    heard.map_err(|_| {
        let mut said = session.place.said();
        said.iter_mut()
            .for_each(|line| drop(line.as_object_mut().map(|line| line.remove("pid"))));
        let other: BTreeSet<String> = said.iter().map(Value::to_string).collect();
        let other: Vec<String> = other.into_iter().collect();
        format!(
            "{} of {workers} workers said {line}; said was: {}",
            who().len(),
            other.join(" ")
        )
    })
}

fn leave(session: &Session) -> Result<(), String> {
    let once = json!({ "path": "/leave", "requests": 1 });
    let ask = Ask {
        workers: 0,
        ..Ask::http()
    };
    let gone = client(&ask.with(once), session)?;
    let pid = gone.first().copied().ok_or("nobody answered /leave")?;
    let dead = || (!process::is_alive(pid)).then_some(());
    wait_within(PATIENCE, dead).map_err(|_| "the worker that was to go is still there")?;
    session.settle(WORKERS + 1);
    client(&Ask::http().with(json!({ "without": [pid], "losses": true })), session).map(|_| ())
}

/// Runs `client.cjs`, and gives the pids that answered.
fn client(ask: &Ask, session: &Session) -> Result<Vec<i32>, String> {
    let target = target(ask, session)?;
    let mut command = Command::new(tools::typescript_node()?);
    command.arg(apps::path("cluster/client.cjs")).arg(target.to_string());
    let output = command.output().map_err(|error| format!("the client: {error}"))?;
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("the client: {}", String::from_utf8_lossy(&output.stderr)))?;
    if let Some(failure) = answer["failure"].as_str() {
        return Err(failure.to_owned());
    }
    let pids = answer["pids"].as_array().into_iter().flatten();
    let pids = pids.filter_map(|pid| i32::try_from(pid.as_i64()?).ok());
    Ok(pids.collect())
}

fn target(ask: &Ask, session: &Session) -> Result<Value, String> {
    let place = &session.place;
    let mut target = match ask.at {
        At::Host(host) => json!({ "host": host, "port": place.port }),
        At::Second => json!({ "host": "127.0.0.1", "port": place.second }),
        At::Socket => json!({ "socket": place.socket() }),
        At::Said => {
            let said = || place.said().iter().find_map(|line| line["listening"]["port"].as_u64());
            let port = wait_within(DEADLINE, said).map_err(|_| "no worker said which port it listens on")?;
            json!({ "host": "127.0.0.1", "port": port })
        }
    };
    target["kind"] = json!(ask.kind);
    target["workers"] = json!(ask.workers);
    target["expect"] = ask.expect.clone();
    target["patience"] = json!(PATIENCE.as_millis());
    for (key, value) in ask.more.as_object().into_iter().flatten() {
        target[key] = value.clone();
    }
    Ok(target)
}

/// One line, ports and directories of this run named, so that two runs give the same sentence.
fn without_numbers(reason: &str, session: &Session) -> String {
    let place = &session.place;
    let socket = place.socket().to_string_lossy().into_owned();
    let named = reason
        .replace(&socket, "$SOCKET")
        .replace(&place.port.to_string(), "$PORT")
        .replace(&place.second.to_string(), "$SECOND");
    let pieces = named.split_whitespace().map(without_long_numbers);
    pieces.collect::<Vec<_>>().join(" ")
}

/// Ports the app was given and pids: `{"port":37819}` becomes `{"port":N}`.
fn without_long_numbers(word: &str) -> String {
    let mut text = String::new();
    for piece in word.split_inclusive(|letter: char| !letter.is_ascii_digit()) {
        let digits = piece.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        text += &piece.replacen(digits, if digits.len() > 3 { "N" } else { digits }, 1);
    }
    text
}
