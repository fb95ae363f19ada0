//! Nothing is dropped in silence, and no secret is told.

use crate::support::{Stage, shop, shown};
use ostler_export::probe::Paths;
use ostler_export::{dockerfile, kubernetes, systemd};
use serde_json::json;

#[test]
fn a_key_that_no_exporter_knows_is_told_or_carried_over() {
    let mut loaded = shop().load("ecosystem.config.js", None);
    loaded.specs.truncate(1);
    loaded.specs[0]
        .attributes
        .insert("key_of_later_times".into(), json!("value"));
    let units = systemd::systemd(&loaded.specs, &loaded.project).expect("units can say it");
    assert!(
        units
            .remarks
            .iter()
            .any(|remark| remark.text.contains("`key_of_later_times`")),
        "{:?}",
        units.remarks
    );
    let objects = kubernetes::kubernetes(&loaded.specs, &loaded.project, &kubernetes::Options::default());
    assert!(shown(&objects).contains("\"key_of_later_times\": \"value\""));
}

/// A value for each attribute there is; what neither the output nor a remark shows an effect of has been dropped.
#[test]
fn every_attribute_with_a_meaning_shows_in_the_units_or_is_told() {
    let stage = |entry: &str| Stage::new(&[("app.js", ""), ("a.env", ""), ("ecosystem.config.json", entry)]);
    let plain = json!({ "apps": [{ "name": "app", "script": "app.js" }] });
    let export = |config: &serde_json::Value| {
        let loaded = stage(&config.to_string()).load("ecosystem.config.json", None);
        shown(&systemd::systemd(&loaded.specs, &loaded.project).expect("units can say it"))
    };
    let before = export(&plain);
    let meanings = [
        ("args", json!(["x"])),
        ("node_args", json!("--x")),
        ("instances", json!(3)),
        ("uid", json!("nobody")),
        ("env", json!({ "A": "b" })),
        ("env_file", json!("a.env")),
        ("port", json!(80)),
        ("instance_var", json!("I")),
        ("autorestart", json!(false)),
        ("autostart", json!(false)),
        ("max_restarts", json!(3)),
        ("min_uptime", json!("5s")),
        ("restart_delay", json!(50)),
        ("exp_backoff_restart_delay", json!(50)),
        ("stop_exit_codes", json!([3])),
        ("cron_restart", json!("@daily")),
        ("max_memory_restart", json!("1G")),
        ("wait_ready", json!(true)),
        ("kill_timeout", json!(7)),
        ("kill_signal", json!("SIGHUP")),
        ("treekill", json!(false)),
        ("listen", json!("tcp://0.0.0.0:1")),
        ("out_file", json!("/o")),
        ("error_file", json!("/e")),
        ("disable_logs", json!(true)),
        ("log_file", json!("/l")),
        ("log_type", json!("json")),
        ("time", json!(true)),
        ("watch", json!(true)),
        ("shutdown_with_message", json!(true)),
        ("namespace", json!("n")),
        ("balance", json!("sticky")),
        ("min_ready", json!(3)),
        ("serialization", json!("advanced")),
        ("ready_timeout", json!("accept")),
        ("pmx", json!(true)),
        ("prom_client", json!(true)),
        ("source_map_support", json!(true)),
        ("log_rotate", json!({ "max_size": "1M" })),
    ];
    for (name, value) in meanings {
        let mut config = plain.clone();
        config["apps"][0][name] = value;
        assert_ne!(export(&config), before, "{name}");
    }
}

#[test]
fn no_value_that_looks_like_a_secret_is_written() {
    let loaded = shop().load("ecosystem.config.js", Some("production"));
    let texts = [
        shown(&kubernetes::kubernetes(
            &loaded.specs,
            &loaded.project,
            &kubernetes::Options::default(),
        )),
        shown(&systemd::systemd(&loaded.specs, &loaded.project).expect("units can say it")),
        shown(&dockerfile::dockerfile(
            &loaded.specs,
            &loaded.project,
            &Paths::default(),
        )),
    ];
    for text in texts {
        assert!(!text.contains("hunter2"), "{text}");
    }
    let mut python = loaded;
    python.specs.retain(|spec| spec.name == "prices" || spec.name == "api");
    python.project.config = None;
    let text = shown(&dockerfile::dockerfile(
        &python.specs,
        &python.project,
        &Paths::default(),
    ));
    assert!(text.contains("END_OF_CONFIG") && !text.contains("hunter2"), "{text}");
}
