//! What is typed and what is understood.

use super::*;
use serde_json::{Value, json};

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn understood(line: &str) -> Parsed {
    match parse(&words(line)) {
        Ok(parsed) => parsed,
        Err(error) => panic!("{line}: {error}"),
    }
}

fn started(line: &str) -> (Vec<String>, app_options::AppOptions, Option<Vec<String>>) {
    let parsed = understood(line);
    match parsed.line.verb {
        Verb::Start(start) => (start.targets, start.options, parsed.app_args),
        other => panic!("{line} is {other:?}"),
    }
}

/// The attributes that `ostler start x <options>` declares.
fn declared(options: &[&str]) -> Value {
    let mut line: Vec<String> = vec!["start".into(), "x".into()];
    line.extend(options.iter().map(|option| (*option).to_owned()));
    let parsed = match parse(&line) {
        Ok(parsed) => parsed,
        Err(error) => panic!("{options:?}: {error}"),
    };
    match parsed.line.verb {
        Verb::Start(start) => Value::Object(attributes::attributes(&start.options, parsed.app_args.as_deref())),
        other => panic!("{options:?} is {other:?}"),
    }
}

#[test]
fn each_flag_of_pm2_becomes_its_attribute() {
    let table: &[(&[&str], Value)] = &[
        (&[], json!({})),
        (&["-n", "api"], json!({"name": "api"})),
        (&["--name=api"], json!({"name": "api"})),
        (&["--namespace", "front"], json!({"namespace": "front"})),
        (&["--cwd", "/srv"], json!({"cwd": "/srv"})),
        (&["--interpreter", "python3"], json!({"exec_interpreter": "python3"})),
        (&["--interpreter-args", "-u -O"], json!({"node_args": "-u -O"})),
        (&["--node-args", "--harmony"], json!({"node_args": "--harmony"})),
        (&["--node-args=--a --b"], json!({"node_args": "--a --b"})),
        (&["-i", "4"], json!({"instances": 4})),
        (&["-i", "max"], json!({"instances": "max"})),
        (&["-i", "-1"], json!({"instances": -1})),
        (&["-i4"], json!({"instances": 4})),
        (&["-x"], json!({"execute_command": true})),
        (&["-u", "www"], json!({"uid": "www"})),
        (&["--user", "www"], json!({"uid": "www"})),
        (&["--uid", "1000", "--gid", "www"], json!({"gid": "www", "uid": "1000"})),
        (&["-p", "/run/x.pid"], json!({"pid_file": "/run/x.pid"})),
        (
            &["-o", "/o.log", "-e", "/e.log"],
            json!({"out_file": "/o.log", "error_file": "/e.log"}),
        ),
        (&["-l"], json!({"log_file": true})),
        (&["--log", "/all.log"], json!({"log_file": "/all.log"})),
        (
            &["--filter-env", "AWS", "--filter-env", "TOKEN"],
            json!({"filter_env": ["AWS", "TOKEN"]}),
        ),
        (&["--log-type", "json"], json!({"log_type": "json"})),
        (
            &["--log-date-format", "YYYY-MM-DD"],
            json!({"log_date_format": "YYYY-MM-DD"}),
        ),
        (&["--time"], json!({"time": true})),
        (&["--disable-logs"], json!({"disable_logs": true})),
        (&["--merge-logs"], json!({"merge_logs": true})),
        (&["-f"], json!({"force": true})),
        (&["-k", "3000"], json!({"kill_timeout": 3000})),
        (&["--listen-timeout", "5000"], json!({"listen_timeout": 5000})),
        (&["--balance", "direct"], json!({"balance": "direct"})),
        (&["--drain-timeout", "5000"], json!({"drain_timeout": 5000})),
        (
            &["--listen", "tcp://127.0.0.1:3000", "--listen=unix:/tmp/a"],
            json!({"listen": ["tcp://127.0.0.1:3000", "unix:/tmp/a"]}),
        ),
        (&["--max-memory-restart", "150M"], json!({"max_memory_restart": "150M"})),
        (&["--max-memory-kill", "300M"], json!({"max_memory_kill": "300M"})),
        (&["--health", "/healthz"], json!({"health": "/healthz"})),
        (&["--ready=tcp"], json!({"ready": "tcp"})),
        (&["--restart-delay", "100"], json!({"restart_delay": 100})),
        (
            &["--exp-backoff-restart-delay", "100"],
            json!({"exp_backoff_restart_delay": 100}),
        ),
        (&["--max-restarts", "3"], json!({"max_restarts": 3})),
        (&["--max-restarts"], json!({})),
        (&["-c", "0 4 * * *"], json!({"cron_restart": "0 4 * * *"})),
        (&["--cron", "0"], json!({"cron_restart": "0"})),
        (&["--cron-restart", "@hourly"], json!({"cron_restart": "@hourly"})),
        (&["--stop-exit-codes", "0 143"], json!({"stop_exit_codes": [0, 143]})),
        (&["--stop-exit-codes", "x"], json!({"stop_exit_codes": ["x"]})),
        (&["--wait-ready"], json!({"wait_ready": true})),
        (&["--prom-client"], json!({"prom_client": true})),
        (&["--shutdown-with-message"], json!({"shutdown_with_message": true})),
        (&["--watch"], json!({"watch": true})),
        (
            &["--watch", "server", "--watch", "client"],
            json!({"watch": ["server", "client"]}),
        ),
        (
            &["--ignore-watch", "node_modules log"],
            json!({"ignore_watch": "node_modules log"}),
        ),
        (&["--watch-delay", "1.5"], json!({"watch_delay": 1500})),
        (&["--watch-delay", "4000ms"], json!({"watch_delay": 4000})),
        (&["--watch-delay", "soon"], json!({"watch_delay": "soon"})),
        (&["--no-autorestart"], json!({"autorestart": false})),
        (&["--no-autostart"], json!({"autostart": false})),
        (&["--no-treekill"], json!({"treekill": false})),
        (&["--kill-timeout", "soon"], json!({"kill_timeout": "soon"})),
        (
            &["--", "--flag", "-x", "--", "y"],
            json!({"args": ["--flag", "-x", "--", "y"]}),
        ),
        (&["--"], json!({"args": []})),
    ];
    for (options, attributes) in table {
        assert_eq!(declared(options), *attributes, "{options:?}");
    }
}

#[test]
fn options_stand_before_or_after_the_verb() {
    let expected = started("start app.js --name api --watch -i 2");
    assert_eq!(started("--name api --watch start app.js -i2"), expected);
    assert_eq!(started("-i 2 start --name=api app.js --watch"), expected);
    assert_eq!(started("-n api -i=2 start app.js --watch"), expected);
}

#[test]
fn short_options_are_combined() {
    let (targets, options, _) = started("start app.js -fan api");
    assert_eq!(targets, ["app.js"]);
    assert!(options.force && options.update_env);
    assert_eq!(options.name.as_deref(), Some("api"));
}

#[test]
fn what_follows_two_hyphens_is_the_apps() {
    let (targets, options, app_args) = started("start npm --name web -- start --name other -f");
    assert_eq!(targets, ["npm"]);
    assert_eq!(options.name.as_deref(), Some("web"));
    assert!(!options.force);
    assert_eq!(app_args, Some(words("start --name other -f")));
}

#[test]
fn elsewhere_two_hyphens_end_the_options() {
    let parsed = understood("stop -- -odd-name");
    assert!(matches!(parsed.line.verb, Verb::Stop(stop) if stop.selectors == ["-odd-name"]));
}

#[test]
fn options_that_a_verb_has_no_use_for_are_taken_and_reported() {
    let parsed = understood("delete all --env production --update-env -f --watch");
    assert!(matches!(parsed.line.verb, Verb::Delete(delete) if delete.selectors == ["all"]));
    assert_eq!(parsed.unused, ["--env", "--update-env", "-f", "--watch"]);
    assert!(understood("stop api --watch -s").unused.is_empty());
}

#[test]
fn aliases_mean_their_verbs() {
    let table = [
        ("ls", "list"),
        ("l", "list"),
        ("ps", "list"),
        ("status", "list"),
        ("del x", "delete"),
        ("log", "logs"),
        ("desc x", "describe"),
        ("show x", "describe"),
        ("info x", "describe"),
        ("dump", "save"),
        ("startOrGracefulReload x.json", "startOrReload"),
    ];
    for (typed, verb) in table {
        assert_eq!(understood(typed).verb, verb, "{typed}");
    }
}

#[test]
fn silence_and_colour_are_options_of_every_verb() {
    for line in ["-s list", "list -s", "--silent jlist --no-color", "stop all --silent"] {
        assert!(understood(line).line.common.silent, "{line}");
    }
    assert!(understood("--no-color list").line.common.no_color);
}

#[test]
fn selectors_may_be_several_and_one_hyphen() {
    let parsed = understood("stop api 0 /^w/ -");
    assert!(matches!(parsed.line.verb, Verb::Stop(stop) if stop.selectors == ["api", "0", "/^w/", "-"]));
}

#[test]
fn relative_numbers_are_no_options() {
    let parsed = understood("scale api -2");
    assert!(matches!(parsed.line.verb, Verb::Scale(scale) if scale.number == "-2"));
}

#[test]
fn options_of_pm2_without_effect_are_taken() {
    let line = "start x --parallel 4 --no-vizion --no-pmx --no-automation --trace --v8 --deep-monitoring \
                --event-loop-inspector --source-map-support --hp /home/x --wait-ip --service-name y";
    let (_, options, _) = started(line);
    let expected = [
        "--source-map-support",
        "--trace",
        "--v8",
        "--event-loop-inspector",
        "--deep-monitoring",
        "--hp",
        "--wait-ip",
        "--service-name",
    ];
    assert_eq!(options.without_effect.noticeable(), expected);
}

#[test]
fn mistakes_are_answered_with_what_is_meant() {
    let error = |line: &str| parse(&words(line)).expect_err(line).to_string();
    assert!(error("strat app.js").contains("'start'"), "{}", error("strat app.js"));
    assert!(
        error("start app.js --nmae api").contains("'--name'"),
        "{}",
        error("start app.js --nmae api")
    );
    assert!(error("stop").contains("<SELECTOR>"), "{}", error("stop"));
}

#[test]
fn the_version_has_three_names() {
    for name in ["-v", "-V", "--version"] {
        let error = parse(&words(name)).expect_err(name);
        assert_eq!(error.kind(), clap::error::ErrorKind::DisplayVersion, "{name}");
    }
}

#[test]
fn every_verb_has_a_help_with_an_example() {
    let mut root = grammar().term_width(100);
    root.build();
    let mut text = format!("$ ostler --help\n{}\n", root.render_help());
    for verb in root.get_subcommands_mut().filter(|verb| verb.get_name() != "help") {
        let help = verb.render_long_help().to_string();
        assert!(help.contains("Example"), "{} has no example", verb.get_name());
        text.push_str(&format!("$ ostler {} --help\n{help}\n", verb.get_name()));
    }
    insta::assert_snapshot!("help", text);
}

#[test]
fn verbs_of_pm2_that_there_are_not_have_a_word_of_their_own() {
    for verb in ["update", "serve", "install", "link", "slist", "deploy"] {
        let error = parse(&words(&format!("-s {verb} x"))).expect_err(verb);
        assert_eq!(unknown_verb(&error), Some(verb));
        assert!(of_pm2::instead_of(verb).is_some(), "{verb}");
    }
    let error = parse(&words("strat app.js")).expect_err("a slip");
    assert_eq!(unknown_verb(&error).and_then(of_pm2::instead_of), None);
    for verb in Verb::all() {
        let names = verb.get_all_aliases().chain([verb.get_name()]);
        assert!(
            names.into_iter().all(|name| of_pm2::instead_of(name).is_none()),
            "{verb}"
        );
    }
    for line in ["link delete", "--silent unlink", "unmonitor api"] {
        assert!(of_pm2::is_so_anyway(&words(line)).is_some(), "{line}");
    }
    assert_eq!(of_pm2::is_so_anyway(&words("link secret public")), None);
}

#[test]
fn the_grammar_is_sound() {
    grammar().debug_assert();
}

#[test]
fn a_verb_by_itself_is_what_the_parser_would_make_of_it() {
    let names = Verb::all().flat_map(|verb| {
        let others = verb.get_all_aliases().map(str::to_owned);
        others.chain([verb.get_name().to_owned()]).collect::<Vec<_>>()
    });
    let alone: Vec<String> = names.filter(|name| Verb::alone(name).is_some()).collect();
    for usual in ["list", "ls", "jlist", "ping", "save", "kill"] {
        assert!(alone.iter().any(|name| name == usual), "{usual}");
    }
    for name in alone {
        let (at_once, parsed) = (understood(&name), parse_words(&words(&name)).expect("it stands alone"));
        assert_eq!(format!("{at_once:?}"), format!("{parsed:?}"));
    }
}
