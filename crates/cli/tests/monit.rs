//! `ostler monit` in a terminal of its own: what it shows, what its keys do, and that it leaves the terminal as it was.

use ostler_testkit::{
    Connections, Home, Load, Manager, PseudoTerminal, Signal, apps, process, shown, skip, sleeper, tools, wait_within,
};
use serde_json::json;
use std::time::Duration;

/// How long the dashboard may take to end.
const END: Duration = Duration::from_secs(10);

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// The dashboard in a terminal of that size, once it shows something.
fn monit(home: &Home, columns: u16, lines: u16) -> PseudoTerminal {
    let command = home
        .program("setsid")
        .args(&["--ctty", env!("CARGO_BIN_EXE_ostler"), "monit"]);
    let page = PseudoTerminal::run(command.env("TERM", "xterm-256color"), columns, lines);
    page.wait_for("quit");
    assert!(page.is_taken());
    page
}

#[test]
fn apps_are_shown_chosen_and_restarted_and_the_terminal_is_as_before() {
    let home = home();
    home.start(json!([sleeper("one"), { "name": "ticker", "script": apps::path("ticker") }]));
    let mut page = monit(&home, 80, 24);
    let shown = page.wait_until("both apps to be online", |text| text.matches("online").count() >= 3);
    assert!(shown.contains("2 apps, 2 of 2 workers online"), "{shown}");
    assert_eq!(shown.lines().count(), 24);
    page.types("j");
    page.wait_for("│");
    let before = home.pid("ticker");
    page.types("R");
    page.wait_for("Restart ticker?");
    assert_eq!(home.pid("ticker"), before, "nothing is done without a yes");
    page.types("y");
    page.wait_for("restarted ticker (1)");
    assert_ne!(home.pid("ticker"), before);
    page.types("\x1b[C");
    page.wait_for("`monit: restart` by");
    page.types("s");
    page.wait_for("Stop ticker?");
    page.types("\r");
    page.wait_for("stopped ticker (1)");
    home.wait_status("ticker", "stopped");
    page.types("q");
    assert_eq!(page.wait_end(END), Some(0));
    assert!(page.is_as_before());
    home.wait_status("one", "online");
}

#[test]
fn output_is_followed_searched_and_paused() {
    let home = home();
    home.start(json!([{ "name": "echo", "script": apps::path("echo.py"), "interpreter": "python3" }]));
    let page = monit(&home, 80, 24);
    page.wait_for("no output yet");
    home.ok(&["send", "0", "first \u{1b}[2Jtrap"]);
    page.wait_for("first trap");
    for number in 0..30 {
        home.ok(&["send", "0", &format!("line {number}")]);
    }
    page.wait_for("line 29");
    page.types("/FIRST\r");
    page.wait_until("the match", |text| {
        text.contains("first trap") && !text.contains("line 29")
    });
    page.wait_for("paused, 30 below");
    page.types("G");
    page.wait_for("line 29");
}

#[test]
fn it_follows_the_size_and_comes_back_from_the_shell() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let mut page = monit(&home, 80, 24);
    page.wait_for("one");
    page.resize(120, 40);
    page.wait_until("the last line to be the keys", |text| {
        text.lines().count() == 40 && text.lines().last().is_some_and(|line| line.contains("quit"))
    });
    for stop in ["\x1a", ""] {
        if stop.is_empty() {
            process::signal(page.pid(), Signal::TSTP);
        } else {
            page.types(stop);
        }
        home.wait_until("the dashboard to stop", || {
            process::read(page.pid()).is_some_and(|it| it.state == 'T')
        });
        assert!(page.is_as_before());
        process::signal(page.pid(), Signal::CONT);
        home.wait_until("the terminal to be taken again", || page.is_taken());
        page.wait_until("the whole page", |text| text.contains("one") && text.contains("quit"));
    }
    process::signal(page.pid(), Signal::TERM);
    assert_eq!(page.wait_end(END), Some(0));
    assert!(page.is_as_before());
}

#[test]
fn it_ends_with_its_terminal() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let mut page = monit(&home, 80, 24);
    page.close();
    assert_eq!(page.wait_end(END), Some(0));
}

#[test]
fn it_waits_for_a_daemon_and_goes_on_with_the_next() {
    let home = home();
    let page = monit(&home, 80, 24);
    page.wait_for("waiting for the daemon: no daemon is running");
    home.start(json!([{ "name": "echo", "script": apps::path("echo.py"), "interpreter": "python3" }]));
    page.wait_for("1 app, 1 of 1 worker online");
    home.ok(&["send", "0", "said before"]);
    page.wait_for("said before");
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_recovered(before);
    home.ok(&["send", "0", "said after"]);
    let shown = page.wait_for("said after");
    assert_eq!(shown.matches("said before").count(), 1, "{shown}");
    home.ok(&["stop", "echo"]);
    page.wait_for("0 of 1 worker online");
}

#[test]
fn a_reload_is_shown_step_by_step() {
    if tools::in_path("node").is_none() {
        return skip("monit: a reload", "there is no node");
    }
    let home = home();
    let port = ostler_testkit::free_port();
    let app = json!({
        "name": "web", "script": apps::path("shared.js"), "exec_mode": "cluster", "instances": 2, "min_ready": 700,
        "env": { "PORT": port },
    });
    home.start(json!([app]));
    let page = monit(&home, 100, 30);
    page.wait_for("1 app, 2 of 2 workers online");
    let before = home.pids("web");
    page.types("r");
    page.wait_for("Reload web (2 workers)?");
    page.types("y");
    page.wait_for("reloading web (2 workers)");
    page.wait_for("web (1): waits for its turn");
    page.wait_for("is ready and has to stay up");
    page.wait_for("reloaded web (0-1), 2 instances");
    assert!(home.pids("web").iter().all(|pid| !before.contains(pid)));
    page.types("+");
    page.wait_for("How many instances of web? It has 2.");
    page.types("\r");
    page.wait_for("3 of 3 workers online");
    assert_eq!(home.pids("web").len(), 3);
}

#[test]
fn without_a_terminal_it_says_so() {
    let home = home();
    let output = home.call(&["dash"]).env("TERM", "xterm").fails();
    assert!(output.stderr.contains("standard output is no terminal"), "{output}");
    assert!(output.stderr.contains("`ostler list`"), "{output}");
    let command = home
        .program("setsid")
        .args(&["--ctty", env!("CARGO_BIN_EXE_ostler"), "monit"]);
    let mut page = PseudoTerminal::run(command.env("TERM", "dumb"), 80, 24);
    page.wait_for("TERM names no terminal");
    assert_eq!(page.wait_end(END), Some(1));
    assert!(page.is_as_before());
}

/// Whatever docs/monit.md shows.
#[test]
fn pictures() {
    if std::env::var_os(shown::WRITE).is_none() {
        return skip("pictures", &format!("they are made with {}=1", shown::WRITE));
    }
    let home = home();
    let port = shown::start(&home);
    let visitors = Load::begin(port, "/orders", 4, Connections::KeptAlive);
    let page = monit(&home, 80, 24);
    let is_charted = |text: &String| text.chars().filter(|one| ('▁'..='█').contains(one)).count() > 16;
    let overview = wait_within(Duration::from_secs(90), || Some(page.text()).filter(is_charted));
    let overview = overview.unwrap_or_else(|_| panic!("nothing to see in the charts\n{}", page.text()));
    page.types("r");
    page.wait_for("Reload api (4 workers)?");
    page.types("y");
    let reload = page.wait_for("has to stay up");
    page.wait_for("reloaded api (0-3), 4 instances");
    visitors.end_without_loss("the reload that is shown");
    let is_step = |line: &&str| line.contains("api (") && line.contains("): ");
    let steps: String = reload.lines().filter(is_step).map(|line| format!("{line}\n")).collect();
    let file = tools::workspace().join("docs/monit.md");
    let text = std::fs::read_to_string(&file).expect("the page");
    let text = with_block(&with_block(&text, "<!-- the page", &overview), "<!-- a reload", &steps);
    std::fs::write(file, text).expect("the page");
}

/// A page of Markdown with other text in the block of code after a mark.
fn with_block(page: &str, mark: &str, text: &str) -> String {
    let (before, after) = page.split_once(mark).expect("the mark");
    let (comment, after) = after.split_once("```\n").expect("a block after it");
    let (_, after) = after.split_once("```\n").expect("the block's end");
    format!("{before}{mark}{comment}```\n{text}```\n{after}")
}
