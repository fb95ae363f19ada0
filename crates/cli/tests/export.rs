//! `ostler export`: what it prints, what it writes, and what it refuses.

use ostler_testkit::{Home, Manager, Output, free_port, http_get, tools};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const CONFIG: &str = "module.exports = { apps: [
  { name: 'api', script: 'app.js', cwd: __dirname, instances: 2, watch: true, env: { PORT: 3000 },
    env_production: { NODE_ENV: 'production', API_TOKEN: 'hunter2' } },
  { name: 'report', script: 'app.js', cwd: __dirname, cron_restart: '0 3 * * *', autorestart: false },
] };";

fn home() -> Home {
    let home = Home::new(Manager::under_test(env!("CARGO_BIN_EXE_ostler")));
    home.write("shop/app.js", "");
    home.write("shop/package.json", "{ \"engines\": { \"node\": \"22\" } }");
    home.write("shop/ecosystem.config.js", CONFIG);
    home
}

fn to_kubernetes(home: &Home, options: &[&str]) -> Output {
    let command = [
        "export",
        "kubernetes",
        "shop/ecosystem.config.js",
        "--env",
        "production",
    ];
    home.ok(&[&command, options].concat())
}

#[test]
fn objects_are_printed_and_remarks_stand_on_standard_error_and_at_their_top() {
    let home = home();
    let output = to_kubernetes(&home, &["--image", "reg.example.com/shop:1.2"]);
    for words in [
        "kind: Deployment\n",
        "kind: HorizontalPodAutoscaler\n",
        "kind: CronJob\n",
        "image: \"reg.example.com/shop:1.2\"\n",
        "API_TOKEN: REPLACE-ME\n",
        "\"cwd\": \"/app\"",
    ] {
        assert!(output.stdout.contains(words), "{words}: {output}");
    }
    assert!(output.stderr.contains("warning: api: `watch` is left out"), "{output}");
    assert!(output.stdout.contains("# - `watch` is left out"), "{output}");
    assert!(
        !output.stdout.contains("hunter2") && !output.stderr.contains("hunter2"),
        "{output}"
    );
    assert!(!home.path().exists(), "nothing is started, and no home is made");
}

#[test]
fn files_are_written_once_and_not_over_others() {
    let home = home();
    let export = ["export", "systemd", "--env", "production", "--output", "units"];
    let shop = home.work().join("shop");
    let output = home.call(&export).within(&shop).ok();
    let unit = fs::read_to_string(shop.join("units/api@.service")).expect("a unit");
    let node = tools::in_path("node").expect("node in PATH");
    assert!(
        unit.contains(&format!("ExecStart={} {}/app.js\n", node.display(), shop.display())),
        "{unit}"
    );
    assert!(output.stderr.contains("units/report.timer\n"), "{output}");
    let secrets = fs::metadata(shop.join("units/api.env")).expect("a file of secrets");
    assert_eq!(secrets.permissions().mode() & 0o777, 0o600);
    // The same again loses nothing.
    home.call(&export).within(&shop).ok();
    fs::write(shop.join("units/api.env"), "API_TOKEN=\"filled in\"\n").expect("a secret");
    let refused = home.call(&export).within(&shop).fails();
    assert!(
        refused.stderr.contains("has another api.env already") && refused.stderr.contains("--force"),
        "{refused}"
    );
    home.call(&export).arg("--force").within(&shop).ok();
    assert!(
        fs::read_to_string(shop.join("units/api.env"))
            .expect("a file")
            .contains("REPLACE-ME")
    );
}

#[test]
fn a_dockerfile_stands_alone_on_standard_output() {
    let home = home();
    let output = home
        .call(&["export", "dockerfile"])
        .within(home.work().join("shop"))
        .ok();
    assert!(
        output.stdout.starts_with("# syntax=docker/dockerfile:1\n") && output.stdout.contains("ARG NODE_VERSION=22\n"),
        "{output}"
    );
    assert!(
        output
            .stdout
            .ends_with("CMD [\"ostler\",\"runtime\",\"ecosystem.config.js\",\"--shutdown-timeout\",\"32s\"]\n"),
        "{output}"
    );
    assert!(output.stderr.contains(".dockerignore"), "{output}");
    home.call(&["export", "dockerfile", "--output", "."])
        .within(home.work().join("shop"))
        .ok();
    assert!(home.work().join("shop/.dockerignore").exists());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let home = home();
    let cases: [(&[&str], &str); 4] = [
        (&["export", "kubernetes", "shop/app.js"], "is no config file"),
        (
            &["export", "systemd", "shop/ecosystem.config.js", "--image", "x"],
            "--image has no meaning for systemd",
        ),
        (
            &["export", "nomad", "shop/ecosystem.config.js"],
            "kubernetes, systemd, dockerfile",
        ),
        (&["export", "kubernetes"], "has no ecosystem.config.js"),
    ];
    for (words, expected) in cases {
        let output = home.call(words).fails();
        assert!(output.stderr.contains(expected), "{expected}: {output}");
    }
    let piped = r#"{ "apps": [{ "name": "piped", "script": "shop/app.js" }] }"#;
    let output = home.call(&["export", "kubernetes", "-"]).input(piped).ok();
    assert!(output.stdout.contains("name: piped\n"), "{output}");
}

/// The config that a pod is given, at the place of the project.
fn config_of_a_pod(objects: &str, project: &str) -> String {
    let lines = objects
        .lines()
        .skip_while(|line| *line != "  ecosystem.config.json: |")
        .skip(1);
    let config: Vec<&str> = lines.map_while(|line| line.strip_prefix("    ")).collect();
    config.join("\n").replace("/app", project)
}

#[test]
fn the_config_of_a_pod_runs_one_worker_with_the_settings_here_and_the_variables_from_outside() {
    let home = home();
    home.write(
        "shop/app.js",
        "require('http').createServer((_, answer) => answer.end(process.env.API_TOKEN)).listen(process.env.PORT);",
    );
    let output = to_kubernetes(&home, &["--only", "api"]);
    let config = config_of_a_pod(&output.stdout, &home.work().join("shop").display().to_string());
    let file = home.write("pod/ecosystem.config.json", config);
    let port = free_port();
    let start = home
        .call(&["start"])
        .arg(&file)
        .env("PORT", port.to_string())
        .env("API_TOKEN", "filled in");
    start.ok();
    assert_eq!(home.wait_for("an answer", || http_get(port).ok()), "filled in");
    let row = home.row("api");
    assert_eq!(
        (row.status(), row.0["pm2_env"]["exec_mode"].as_str()),
        ("online", Some("cluster_mode"))
    );
}
