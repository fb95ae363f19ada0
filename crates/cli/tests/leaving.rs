//! A program that says that it is ending by itself (`STOPPING=1` of sd_notify(3)).

use ostler_testkit::{Home, Manager, Signal, apps, process};
use serde_json::json;

#[test]
fn a_program_that_says_so_is_let_end_by_itself_and_judged_by_its_restart_rules() {
    let home = Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")));
    let go = home.work().join("go");
    home.start(json!([{
        "name": "web", "script": apps::path("activated/leaving.py"), "wait_ready": true, "listen_timeout": "20s",
        "stop_exit_codes": [7], "kill_timeout": "20s", "env": { "GO": go, "CODE": 7 },
    }]));
    let pid = home.pid("web");
    process::signal(pid, Signal::USR1);
    let row = home.wait_status("web", "stopping");
    assert_eq!((row.pid(), row.restarts()), (pid, 0), "{}", home.report());
    // What it said is known to the next daemon too.
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_recovered(before);
    assert_eq!((home.status("web").as_str(), home.pid("web")), ("stopping", pid));
    std::fs::write(&go, "").expect("a file");
    let row = home.wait_status("web", "stopped");
    assert_eq!((row.number("exit_code"), row.restarts()), (7, 0));
    let why = home.ok(&["why", "web"]).stdout;
    assert!(why.contains("by itself, as it had said"), "{why}");
}
