//! Saved lists: PM2's own files are read, ours come back exactly.

use crate::place::Place;
use ostler_config::saved::{self, SavedError};
use ostler_core::{Interpreter, LogFile, RestartLimit, SavedInstance};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// Written by `pm2 save` of PM2 7.0.4 (probe data shortened, paths neutral): seven processes of five apps.
const DUMP: &[u8] = include_bytes!("fixtures/dump.pm2");
/// Written by PM2's daemon on SIGTERM, three of the same processes, on one line.
const DUMP_BY_DAEMON: &[u8] = include_bytes!("fixtures/dump-by-daemon.pm2");

fn read(bytes: &[u8]) -> saved::Saved {
    saved::read(bytes, &Place::new().context).expect("a saved list")
}

fn path(text: &str) -> LogFile {
    LogFile::Path(text.to_owned())
}

#[test]
fn pm2s_own_list_is_understood() {
    let list = read(DUMP);
    let names: Vec<_> = list
        .instances
        .iter()
        .map(|one| (one.spec.name.as_str(), one.instance, one.running))
        .collect();
    assert_eq!(
        names,
        [
            ("api", 0, false),
            ("shell job", 0, true),
            ("workers", 0, true),
            ("web", 0, true),
            ("workers", 1, true),
            ("web", 1, true),
            ("cli", 0, true)
        ]
    );
    let spec = |index: usize| &*list.instances[index].spec;
    assert_eq!(spec(0).program.path, "/srv/shop/sub/app.js");
    assert_eq!(
        (spec(0).program.cwd.as_str(), spec(0).username.as_str()),
        ("/srv/shop", "u")
    );
    let inherited = &spec(0).environment.inherited;
    assert_eq!(
        (inherited["PORT"].as_str(), inherited["OPTIONS"].as_str()),
        ("3000", "{\"a\":1}")
    );
    assert!(
        !inherited.contains_key("api") && !inherited.contains_key("PM2_HOME"),
        "{inherited:?}"
    );
    assert_eq!(spec(1).program.interpreter, Interpreter::None);
    assert_eq!(spec(1).program.args, ["-c", "sleep 1000"]);
    assert_eq!(spec(2).restart.stop_exit_codes, [3, 4]);
    assert_eq!(spec(2).watch.as_ref().expect("a watch").paths, ["/srv/shop/sub"]);
    assert_eq!(spec(3).program.interpreter_args, ["--max-old-space-size=64"]);
    assert_eq!(spec(3).memory_limit, Some(200 << 20));
    assert_eq!(spec(6).restart.limit, RestartLimit::Unstable { max_restarts: 5 });
    assert_eq!(spec(6).cron.as_deref(), Some("0 0 * * *"));
}

#[test]
fn ids_in_pm2s_log_paths_become_placeholders() {
    let list = read(DUMP);
    let logs = |index: usize| list.instances[index].spec.logs.clone();
    assert_eq!(logs(0).out, path("/home/u/.pm2/logs/api-out.log"));
    assert_eq!(logs(2).out, path("/home/u/.pm2/logs/workers-out-{id}.log"));
    assert_eq!(logs(5).error, path("/home/u/.pm2/logs/web-error-{id}.log"));
    assert_eq!(logs(6).out, path("/home/u/o.log"));
}

#[test]
fn processes_of_one_app_share_their_spec() {
    for bytes in [DUMP, DUMP_BY_DAEMON] {
        let list = read(bytes);
        let workers: Vec<_> = list.instances.iter().filter(|one| one.spec.name == "workers").collect();
        assert!(Arc::ptr_eq(&workers[0].spec, &workers[1].spec));
        assert_eq!(workers[0].spec.instances, 2);
    }
}

#[test]
fn what_pm2_says_by_itself_is_no_reason_to_warn() {
    let said: Vec<String> = read(DUMP).warnings.iter().map(ToString::to_string).collect();
    assert!(said.is_empty(), "{said:?}");
}

fn ours() -> Vec<SavedInstance> {
    let place = Place::new();
    place.file(".env", "SECRET=never written\n");
    let text = "{ apps: [
        { script: 'app.js', name: 'a', instances: 2, args: 'x y', env: { A: 1, PATH: '/opt' }, env_file: '.env', watch: ['src'],
          max_restarts: 3, kill_signal: 'SIGTERM', log_rotate: { max_age: '7d' }, cron: '0 0 * * *', port: 80, log: true },
        { script: 'app.js', name: 'b', ready_timeout: 'accept', uid: 'root', out: 'NULL' },
    ] }";
    let loaded = place.load("a.json", text).expect("a usable config");
    let specs: Vec<_> = loaded.specs.into_iter().map(Arc::new).collect();
    let one = |index: usize, instance, running| SavedInstance {
        spec: Arc::clone(&specs[index]),
        instance,
        running,
    };
    vec![one(0, 0, true), one(0, 1, false), one(1, 0, true)]
}

#[test]
fn our_own_list_comes_back_exactly() {
    let instances = ours();
    let bytes = saved::write(&instances, Path::new("/home/u/.ostler"));
    let list = read(&bytes);
    assert_eq!(list.instances, instances);
    assert!(list.warnings.is_empty());
    assert!(Arc::ptr_eq(&list.instances[0].spec, &list.instances[1].spec));
    assert!(!String::from_utf8_lossy(&bytes).contains("never written"));
}

#[test]
fn our_list_without_our_key_still_means_the_same_apps() {
    let instances = ours();
    let bytes = saved::write(&instances, Path::new("/home/u/.ostler"));
    let mut list: Value = serde_json::from_slice(&bytes).expect("JSON");
    for entry in list.as_array_mut().expect("a list") {
        let entry = entry.as_object_mut().expect("an entry");
        entry.remove("ostler");
        assert!(
            !entry.contains_key("instances") && !entry.contains_key("pm_id"),
            "PM2 leaves these out"
        );
    }
    let list = read(list.to_string().as_bytes());
    for (old, new) in instances.iter().zip(&list.instances) {
        assert_eq!(
            (&new.spec.name, new.instance, new.running),
            (&old.spec.name, old.instance, old.running)
        );
        assert_eq!((&new.spec.program, &new.spec.logs), (&old.spec.program, &old.spec.logs));
        assert_eq!(
            (&new.spec.restart, &new.spec.stop, &new.spec.cron),
            (&old.spec.restart, &old.spec.stop, &old.spec.cron)
        );
        assert_eq!(new.spec.environment.inherited["PATH"], {
            let declared = old.spec.environment.declared.get("PATH");
            declared.unwrap_or(&old.spec.environment.inherited["PATH"]).clone()
        });
    }
}

#[test]
fn a_spec_of_another_version_falls_back_to_pm2s_keys() {
    let bytes = saved::write(&ours()[..1], Path::new("/h"));
    let text = String::from_utf8(bytes)
        .expect("text")
        .replace("\"interpreter_args\"", "\"renamed\"");
    let list = read(text.as_bytes());
    assert_eq!(list.instances[0].spec.name, "a");
    assert!(
        list.warnings[0].message.contains("another version"),
        "{:?}",
        list.warnings
    );
}

#[test]
fn broken_lists_are_refused_with_their_place() {
    let context = Place::new().context;
    let error = |bytes: &[u8]| saved::read(bytes, &context).expect_err("an error");
    let cut = &DUMP[..DUMP.len() / 2];
    assert!(matches!(error(cut), SavedError::Malformed { position, .. } if position.line > 200));
    assert!(matches!(error(b""), SavedError::Malformed { .. }));
    assert_eq!(error(b"{}").to_string(), "the file: it is no list");
    assert_eq!(error(b"[{}]").to_string(), "[0]: it has no pm_exec_path");
    assert_eq!(error(b"[1]").to_string(), "[0]: it is no process");
}

#[test]
fn an_empty_list_is_a_list() {
    assert_eq!(saved::write(&[], Path::new("/h")), b"[]\n");
    assert!(read(b"[]").instances.is_empty());
}

#[test]
fn genuine_values_that_mean_nothing_are_warnings() {
    let text = r#"[{ "name": "x", "pm_exec_path": "/x.js", "pm_cwd": "/", "kill_timeout": "never", "env": {}, "status": "errored" },
                   { "name": "module", "pm_exec_path": "/m.js", "pmx_module": true }]"#;
    let list = read(text.as_bytes());
    assert_eq!((list.instances.len(), list.instances[0].running), (1, true));
    let said: Vec<String> = list
        .warnings
        .iter()
        .map(|warning| format!("{}: {}", warning.key, warning.message))
        .collect();
    assert_eq!(
        said,
        [
            "[0].kill_timeout: \"never\" is not valid here",
            "[1]: a module of PM2, it is left out"
        ]
    );
}
