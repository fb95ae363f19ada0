//! The reference in `docs/` is made from the tables.

use ostler_config::pm2::attributes;
use ostler_config::reference;
use std::collections::BTreeSet;

/// Set to write the reference instead of comparing it.
const WRITE: &str = "OSTLER_WRITE_REFERENCE";

#[test]
fn the_reference_says_what_the_tables_say() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");
    let text = std::fs::read_to_string(file).expect("docs/config.md");
    const MARK: &str = "<!-- attributes: made by ostler_config::reference, do not edit below -->\n";
    let (introduction, _tables) = text.split_once(MARK).expect("the mark");
    let wanted = format!("{introduction}{MARK}\n{}", reference::markdown());
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(file, &wanted).expect("docs/config.md is written");
    } else {
        assert!(
            text == wanted,
            "docs/config.md is out of date: run this test with {WRITE}=1"
        );
    }
}

#[test]
fn no_name_means_two_attributes() {
    let mut seen = BTreeSet::new();
    for attribute in attributes() {
        for name in std::iter::once(&attribute.name).chain(attribute.aliases) {
            assert!(seen.insert(*name), "{name} is there twice");
        }
    }
}

#[test]
fn every_key_of_pm2_is_known() {
    let keys = "script exec cmd command name name_prefix namespace filter_env install_url cwd args exec_interpreter \
        interpreter node_args interpreter_args out_file out output out_log error_file error err err_file err_log log_file \
        log disable_logs log_type log_date_format time env max_memory_restart pid_file pid restart_delay \
        exp_backoff_restart_delay source_map_support disable_source_map_support wait_ready instances kill_timeout \
        shutdown_with_message listen_timeout cron_restart cron merge_logs combine_logs vizion autostart autorestart \
        stop_exit_codes watch_delay watch ignore_watch watch_options min_uptime max_restarts execute_command exec_mode \
        force append_env_to_name post_update trace disable_trace v8 event_loop_inspector deep_monitoring io \
        increment_var instance_var pmx automation treekill port username uid user gid windowsHide kill_retry_time write \
        exec_timeout";
    let known: BTreeSet<&str> = attributes()
        .flat_map(|attribute| std::iter::once(&attribute.name).chain(attribute.aliases))
        .copied()
        .collect();
    let missing: Vec<&str> = keys.split_whitespace().filter(|key| !known.contains(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
