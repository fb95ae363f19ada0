//! Socket.IO: a client that talks all the time loses no message when its worker is replaced.

use crate::support::{Example, installed};
use ostler_testkit::{Connections, DEADLINE, Signal, process, skip, tools};

#[test]
fn socketio_is_reloaded_without_a_lost_message() {
    if let Err(reason) = story() {
        skip("socketio_is_reloaded_without_a_lost_message", &reason);
    }
}

fn story() -> Result<(), String> {
    let node = tools::in_path("node").ok_or("there is no node in PATH")?;
    let example = Example::start("socketio", &[], |_| installed("socketio"))?;
    let url = format!("http://127.0.0.1:{}", example.port);
    let client = example
        .home
        .program(node)
        .args(&["client.js", &url])
        .within(example.directory())
        .spawn();
    let answers_come_from = |pid: i32| client.stdout().contains(&format!("answers come from process {pid}\n"));
    let of_any = || example.pids().into_iter().find(|pid| answers_come_from(*pid));
    let first = example.home.wait_for("an answer", of_any);
    example.loses_nothing("/", Connections::KeptAlive)?;
    let second = example.home.wait_for("an answer of another worker", of_any);
    assert_ne!(first, second);
    assert!(process::signal(client.pid(), Signal::INT));
    let output = client.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    Ok(())
}
