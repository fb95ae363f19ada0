//! A real systemd boots, in name spaces of its own: the saved apps come back, and live through whatever is killed.

use ostler_testkit::{Home, Machine, Manager, skip, tools};
use std::path::Path;

/// A machine, unless it cannot be had here, which is said.
fn machine(test: &str) -> Option<Machine> {
    match Machine::boot(Path::new(env!("CARGO_BIN_EXE_ostler"))) {
        Ok(machine) => Some(machine),
        Err(reason) => {
            skip(test, &format!("no systemd can be booted here: {reason}"));
            None
        }
    }
}

/// An app that finishes what it is at when it is told to end, and says so.
const APP: &str = r#"#!/bin/sh
trap 'sleep 1; echo drained >> "$HOME/drained"; exit 0' INT TERM
while :; do sleep 0.1; done
"#;

/// Root's saved list with two apps; nothing runs then.
fn prepare(machine: &Machine) {
    machine
        .call(&["sh", "-c", "cat > /root/app.sh; chmod 755 /root/app.sh"])
        .input(APP)
        .ok();
    machine.shell(
        "ostler start /root/app.sh --name slow --kill-timeout 10000 && ostler start sleep --name plain -- 100000",
    );
    machine.shell("ostler save && ostler startup && ostler startup --check");
}

fn online(machine: &Machine) -> String {
    let each = "ostler jlist | tr '{' '\\n' | grep -c '\"status\":\"online\"' | grep -x 2 >/dev/null";
    machine.wait_for(
        "two apps online",
        &format!("{each} && ostler pid slow && ostler pid plain"),
    )
}

fn daemon(machine: &Machine) -> String {
    machine.property("ostler-root", "MainPID")
}

fn keeper(machine: &Machine) -> String {
    machine.shell("ostler daemon status | sed -n 's/^keeper *pid //p'")
}

#[test]
fn a_reboot_drains_the_apps_and_brings_them_back() {
    let Some(mut machine) = machine("a_reboot_drains_the_apps_and_brings_them_back") else {
        return;
    };
    prepare(&machine);
    machine.shell("ostler kill && rm -f /root/drained");
    machine.reboot();
    online(&machine);
    assert_eq!(machine.property("ostler-root", "ActiveState"), "active");
    assert_eq!(machine.property("ostler-root", "StatusText"), "2 of 2 processes online");
    assert_eq!(machine.property("ostler-root", "NRestarts"), "0");
    // The machine goes down with all of it running.
    machine.reboot();
    assert_eq!(machine.shell("cat /root/drained"), "drained");
    online(&machine);
    machine.shell("ostler startup --check");
    machine.shell("ostler unstartup");
    assert_eq!(machine.shell("ostler pid plain | wc -l"), "1", "what runs goes on");
    machine.reboot();
    machine.call(&["ostler", "daemon", "status"]).fails();
    machine.call(&["ostler", "startup", "--check"]).fails();
}

#[test]
fn no_kill_ends_an_app_and_systemd_starts_nothing_anew() {
    let Some(machine) = machine("no_kill_ends_an_app_and_systemd_starts_nothing_anew") else {
        return;
    };
    prepare(&machine);
    machine.shell("ostler kill && systemctl start ostler-root");
    let pids = online(&machine);
    for round in 0..4 {
        let main = daemon(&machine);
        let victim = if round % 2 == 0 { main.clone() } else { keeper(&machine) };
        machine.shell(&format!("kill -9 {victim}"));
        let changed = "systemctl show --value -p MainPID ostler-root";
        machine.wait_for(
            "the next daemon",
            &format!("now=$({changed}); test $now != {main} && test $now != 0 && echo $now"),
        );
        assert_eq!(online(&machine), pids, "{}", machine.report());
        assert_eq!(
            machine.property("ostler-root", "NRestarts"),
            "0",
            "{}",
            machine.report()
        );
        assert_eq!(machine.property("ostler-root", "ActiveState"), "active");
    }
    let told = machine.shell("ostler daemon status | sed -n 's/^daemon *pid \\([0-9]*\\).*/\\1/p'");
    assert_eq!(daemon(&machine), told);
    // A stop may take longer than systemd grants, as long as somebody drains.
    let drop_in = "/etc/systemd/system/ostler-root.service.d";
    machine.shell(&format!(
        "mkdir {drop_in} && printf '[Service]\\nTimeoutStopSec=500ms\\n' > {drop_in}/stop.conf && systemctl daemon-reload"
    ));
    machine.shell("rm /root/drained; systemctl stop ostler-root");
    assert_eq!(machine.shell("cat /root/drained"), "drained");
    let state = ["ActiveState", "Result"].map(|name| machine.property("ostler-root", name));
    assert_eq!(state, ["inactive", "success"], "{}", machine.report());
}

fn wait_until_dead(machine: &Machine) {
    machine.wait_for(
        "the end",
        "test $(systemctl show --value -p SubState ostler-root) = dead && echo dead",
    );
}

#[test]
fn a_daemon_that_hangs_is_replaced_and_its_apps_go_on() {
    let Some(machine) = machine("a_daemon_that_hangs_is_replaced_and_its_apps_go_on") else {
        return;
    };
    prepare(&machine);
    let drop_in = "/etc/systemd/system/ostler-root.service.d";
    machine.shell(&format!(
        "mkdir {drop_in} && printf '[Service]\\nWatchdogSec=2\\n' > {drop_in}/watchdog.conf"
    ));
    // What still ends when the unit is read anew would have to ping by the new time, of which it knows nothing.
    machine.shell("ostler kill");
    wait_until_dead(&machine);
    machine.shell("systemctl daemon-reload && systemctl start ostler-root");
    let (pids, main) = (online(&machine), daemon(&machine));
    machine.shell(&format!("kill -STOP {main}"));
    let attached = "test $(systemctl show --value -p NRestarts ostler-root) = 1 && systemctl is-active ostler-root";
    machine.wait_for("systemd to notice", attached);
    assert_eq!(online(&machine), pids, "{}", machine.report());
    assert_ne!(daemon(&machine), main);
    // And it is watched as before.
    let main = daemon(&machine);
    machine.shell(&format!("kill -STOP {main}"));
    machine.wait_for("systemd to notice", &attached.replace("= 1", "= 2"));
    assert_eq!(online(&machine), pids, "{}", machine.report());
    // All at once: nothing is left to go on with, so the saved list is started.
    machine.shell("systemctl kill --signal=KILL ostler-root");
    machine.wait_for("a new start", &attached.replace("= 1", "= 3"));
    assert_ne!(online(&machine), pids);
    // An end on purpose stays one.
    machine.shell("ostler kill");
    wait_until_dead(&machine);
}

#[test]
fn a_users_apps_come_back_as_his() {
    let Some(mut machine) = machine("a_users_apps_come_back_as_his") else {
        return;
    };
    let start = "ostler start sleep --name hers -- 100000 && ostler save && ostler kill";
    machine.call_as_alice(start).ok();
    let refused = machine.call_as_alice("ostler startup").fails();
    let line = refused.stdout.trim().to_owned();
    assert_eq!(
        line,
        "sudo env \"PATH=$PATH\" /usr/local/bin/ostler startup systemd -u alice --hp /home/alice"
    );
    // There is no sudo here; root types the rest.
    machine.shell(line.trim_start_matches("sudo "));
    machine.reboot();
    let hers = "pid=$(pgrep -u alice -x sleep) && test $(systemctl is-active ostler-alice) = active && echo $pid";
    machine.wait_for("the app of the system's service", hers);
    let owner = machine.shell("stat -c %U /proc/$(systemctl show --value -p MainPID ostler-alice)");
    assert_eq!(owner, "alice");
    machine.call_as_alice("ostler startup --check").ok();
    machine.shell("ostler unstartup systemd -u alice && systemctl stop ostler-alice");
    // The same by her own service manager.
    let own = machine.call_as_alice("ostler startup systemd-user").ok();
    assert!(own.stderr.contains("lingering is off"), "{own}");
    machine.call_as_alice("ostler startup --check").fails();
    machine.shell("loginctl enable-linger alice");
    machine.call_as_alice("ostler startup --check").ok();
    machine.reboot();
    let group = "pid=$(pgrep -u alice -x sleep) && grep -o 'user@4711.service.*ostler-alice.service' /proc/$pid/cgroup";
    machine.wait_for("the app of her own service manager", group);
    machine.call_as_alice("ostler startup --check").ok();
}

#[test]
fn a_script_of_system_v_starts_and_stops_the_saved_list() {
    const TEST: &str = "a_script_of_system_v_starts_and_stops_the_saved_list";
    let Some(machine) = machine(TEST) else {
        return;
    };
    if machine.call(&["sh", "-c", "command -v update-rc.d"]).run().code != Some(0) {
        return skip(TEST, "update-rc.d is missing (Debian: package init-system-helpers)");
    }
    machine
        .call_as_alice("ostler start sleep --name hers -- 100000 && ostler save && ostler kill")
        .ok();
    let script = "/etc/init.d/ostler-alice";
    machine.shell("ostler startup systemv -u alice && ostler startup systemv -u alice --check");
    machine.call(&[script, "status"]).fails();
    machine.shell(&format!("{script} start && {script} status && pgrep -u alice -x sleep"));
    machine.shell(&format!(
        "{script} reload && {script} restart && pgrep -u alice -x sleep"
    ));
    machine.shell(&format!("{script} stop"));
    assert_eq!(machine.shell("pgrep -u alice -x sleep || true"), "");
    machine.shell("ostler unstartup systemv -u alice");
    machine
        .call(&["ostler", "startup", "systemv", "-u", "alice", "--check"])
        .fails();
    assert_eq!(machine.shell("ls /etc/rc2.d /etc/init.d | grep ostler || true"), "");
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let analyze = match tools::systemd_analyze() {
        Ok(program) => program,
        Err(reason) => {
            return skip(
                "systemd_finds_no_fault_with_the_units",
                &format!("no systemd-analyze: {reason}"),
            );
        }
    };
    let home = Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")));
    let verified = |name: &str, manager: &str, unit: &str| {
        let unit = home.write(&format!("{name}.service"), unit);
        let mut command = analyze();
        command
            .args(["verify", "--man=no", manager])
            .arg(unit)
            .env("XDG_RUNTIME_DIR", home.work());
        let output = command.output().expect("systemd-analyze runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let about_it = said.lines().any(|line| line.contains(name));
        (output.status.code() == Some(0) && !about_it, said)
    };
    for (platform, option, manager) in [
        ("systemd", "--wait-ip", "--system"),
        ("systemd-user", "--service-name=own", "--user"),
    ] {
        let unit = home.ok(&["startup", platform, option, "--print"]).stdout;
        let (well, said) = verified(&format!("{platform}-unit"), manager, &unit);
        assert!(well, "{said}\n{unit}");
        let (well, said) = verified("misspelt-unit", manager, &unit.replace("KillMode=", "KillMood="));
        assert!(!well, "it looks at the keys: {said}");
    }
}
