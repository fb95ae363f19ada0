//! In name spaces of its own, with a read-only root, as a user that nobody knows.

use crate::{home, job};
use ostler_testkit::{Container, DEADLINE, Signal, Writable, process, skip, wait_within};
use serde_json::json;

#[test]
fn the_first_process_of_a_read_only_container_of_an_unknown_user_does_its_duties() {
    let home = home();
    // An orphan that ends, and one that goes on.
    let script = "sh -c '(sleep 0.1; exit 0) & (exec sleep 1000) & exit 0'; echo ready; exec sleep 1000";
    let mut app = job("app", script);
    app["cwd"] = home.work().to_string_lossy().into();
    app["treekill"] = true.into();
    let file = home.ecosystem(json!([app]));
    let container = match Container::run(&home, Writable::SharedMemory, &["runtime", &file.to_string_lossy()]) {
        Ok(container) => container,
        Err(reason) => return skip("containers in a container", &reason),
    };
    let ready = wait_within(DEADLINE, || {
        container.running().stdout().contains("ready\n").then_some(())
    });
    assert!(ready.is_ok(), "{}", container.running().stderr());
    for user in [None, Some("0")] {
        let list = container.beside(user, &["list"]).ok();
        assert!(list.stdout.contains("app"), "{list}");
    }
    container.beside(None, &["restart", "app"]).ok();
    let zombies = || {
        process::descendants(container.first())
            .iter()
            .filter(|process| process.state == 'Z')
            .count()
    };
    assert!(
        wait_within(DEADLINE, || (zombies() == 0).then_some(())).is_ok(),
        "orphans are waited for"
    );
    let daemon = process::descendants(container.first());
    let daemon = daemon
        .iter()
        .find(|process| process.command.ends_with("__daemon"))
        .expect("a daemon");
    process::signal(daemon.pid, Signal::KILL);
    assert!(container.beside(None, &["list"]).ok().stdout.contains("online"));
    process::signal(container.first(), Signal::TERM);
    let output = container.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("/dev/shm/ostler-12345"), "{output}");
}

#[test]
fn where_nothing_can_be_written_it_still_runs() {
    let home = home();
    let mut app = job("app", "echo ready; exec sleep 1000");
    app["cwd"] = home.work().to_string_lossy().into();
    let file = home.ecosystem(json!([app]));
    let container = match Container::run(&home, Writable::Nothing, &["runtime", &file.to_string_lossy()]) {
        Ok(container) => container,
        Err(reason) => return skip("containers without a place to write to", &reason),
    };
    let ready = wait_within(DEADLINE, || {
        container.running().stdout().contains("ready\n").then_some(())
    });
    assert!(ready.is_ok(), "{}", container.running().stderr());
    let list = container.beside(None, &["list"]).ok();
    assert!(list.stdout.contains("app"), "{list}");
    process::signal(container.first(), Signal::TERM);
    let output = container.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
}
