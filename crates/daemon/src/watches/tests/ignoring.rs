//! What is left out.

use super::Bed;
use ostler_core::LogFile;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether this process watches the folder: `/proc/self/fdinfo` names each watch's inode (proc(5)).
fn is_watched(folder: &Path) -> bool {
    let wanted = format!(" ino:{:x} ", folder.metadata().expect("the folder").ino());
    let descriptors = fs::read_dir("/proc/self/fdinfo").expect("fdinfo");
    let texts = descriptors.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .any(|line| line.starts_with("inotify ") && line.contains(&wanted))
}

#[test]
fn by_default_dot_files_and_node_modules_are_neither_reported_nor_watched() {
    let mut bed = Bed::new();
    bed.write("node_modules/express/index.js", "1");
    bed.write("packages/a/node_modules/b/index.js", "1");
    bed.write(".git/objects/x", "1");
    bed.write("src/a.js", "1");
    bed.watch();
    assert!(is_watched(&bed.path("src")) && is_watched(&bed.path("packages/a")));
    for ignored in [
        "node_modules",
        "node_modules/express",
        "packages/a/node_modules/b",
        ".git",
        ".git/objects",
    ] {
        assert!(!is_watched(&bed.path(ignored)), "{ignored}");
    }
    bed.write("node_modules/express/index.js", "2");
    bed.write(".env", "2");
    bed.write("src/.a.js.swp", "2");
    bed.quiet();
    bed.write("src/a.js", "2");
    bed.expect("src/a.js");
}

#[test]
fn a_new_ignored_folder_is_not_watched_either() {
    let mut bed = Bed::watched();
    bed.write("node_modules/a/index.js", "1");
    bed.quiet();
    assert!(!is_watched(&bed.path("node_modules")));
}

#[test]
fn names_paths_globs_and_expressions_are_understood() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("logs", &["logs/a", "src/logs/a"], &["logs.js"]),
        ("logs/", &["logs/a", "src/logs/a"], &["catalogs"]),
        ("./logs", &["logs/a"], &["src/logs"]),
        ("logs/**", &["logs/a", "logs/b/c"], &["src/logs"]),
        ("*.log", &["a.log", "src/a.log"], &["a.log.js"]),
        ("**/*.log", &["a.log", "src/deep/a.log"], &["a.js"]),
        ("public/*", &["public/a", "public/b/c"], &["publican"]),
        ("{tmp,var}/*.pid", &["tmp/a.pid", "var/a.pid"], &["opt.pid"]),
        (r"/\.(md|txt)$/i", &["README.MD", "src/a.txt"], &["txt.js"]),
        ("/^uploads/", &["uploads/a"], &["src/uploads"]),
        (r"/[\/\\]\./", &[".env", "src/.a"], &["a.b"]),
    ];
    for (entry, ignored, reported) in cases {
        let mut bed = Bed::ignoring(&[entry]);
        bed.write("src/deep/a.js", "");
        bed.write("public/index.html", "");
        bed.write("tmp/a", "");
        bed.write("var/a", "");
        bed.watch();
        for name in *ignored {
            // Folders on the way that are not ignored themselves may be reported.
            let missing = Path::new(name).ancestors().skip(1).map(|above| bed.cwd.join(above));
            bed.seen.extend(missing);
            bed.write(name, "1");
            assert!(!bed.seen.contains(&bed.path(name)));
        }
        bed.quiet();
        for name in *reported {
            bed.write(name, "1");
            bed.expect(name);
        }
    }
}

#[test]
fn absolute_paths_are_ignored_with_what_is_below() {
    let mut bed = Bed::new();
    bed.write("data/b/c", "1");
    bed.write("imgs/a", "1");
    // The first ends like an expression, the second as one with flags.
    bed.watch_spec().ignore = ["data/", "imgs"]
        .map(|name| bed.path(name).display().to_string())
        .to_vec();
    let spec = bed.spec.watch.clone().expect("watched");
    assert_eq!(spec.ignore.len(), 2);
    bed.watch();
    assert!(!is_watched(&bed.path("data")) && !is_watched(&bed.path("imgs")));
    bed.write("data/b/c", "2");
    bed.write("imgs/a", "2");
    bed.quiet();
    bed.write("database", "1");
    bed.expect("database");
}

#[test]
fn an_exclamation_mark_takes_out_of_what_is_ignored() {
    let mut bed = Bed::ignoring(&["*.json", "!package.json"]);
    bed.watch();
    bed.write("a.json", "1");
    bed.quiet();
    bed.write("package.json", "1");
    bed.expect("package.json");
}

#[test]
fn what_is_watched_by_name_is_not_ignored() {
    let mut bed = Bed::new();
    bed.write(".env", "1");
    bed.watch_spec().paths = vec![
        bed.path(".env").display().to_string(),
        bed.path("src").display().to_string(),
    ];
    bed.write("src/a", "1");
    bed.watch();
    bed.write(".env", "2");
    let env = bed.path(".env");
    assert_eq!(bed.next(super::DEADLINE), Some(env.clone()));
    bed.seen.insert(env);
    bed.quiet_in(&bed.path("src"));
}

#[test]
fn an_entry_that_cannot_be_understood_is_noted_and_the_others_hold() {
    let mut bed = Bed::ignoring(&["/(?!a)b/", "!(*.js)", "/[/", "logs"]);
    bed.watch();
    for entry in ["(?!a)b", "!(*.js)", "/[/"] {
        let note = bed.note();
        assert!(note.contains("ignore_watch of app") && note.contains(entry), "{note}");
    }
    bed.write("logs/a", "1");
    bed.quiet();
}

#[test]
fn the_apps_own_logs_and_pid_files_do_not_restart_it() {
    let mut bed = Bed::ignoring(&[]);
    let cwd = bed.cwd.clone();
    let text = |path: &str| cwd.join(path).display().to_string();
    bed.spec.pid_file = text("run/app-{id}.pid");
    bed.spec.logs.out = LogFile::Path(text("logs/out-{id}.log"));
    bed.spec.logs.error = LogFile::Path(text("error.log"));
    bed.spec.logs.combined = Some(LogFile::Path(text("combined")));
    bed.watch();
    // Made by Ostler, also the folders.
    let own = [
        "run/app-3.pid",
        "run/app-3.pid.new",
        "logs/out-3.log",
        "logs/out-17.log",
        "logs/out-3__2026-11-21_10-30-00.log",
        "logs/out-3__2026-11-21_10-30-00_2.log.gz.part",
        "error.log",
        "error.log.1",
        "error.log-20261121.gz",
        "error__2026-11-21_10-30-00.log.gz",
        "combined",
        "combined__2026-11-21_10-30-00",
    ];
    for name in own {
        bed.write(name, "1");
    }
    bed.quiet();
    for name in own {
        bed.write(name, "2");
        fs::remove_file(bed.path(name)).expect("deleted");
    }
    bed.quiet();
    for name in ["logs/out-x.log", "errors.log", "run/other.pid"] {
        bed.write(name, "1");
        bed.expect(name);
    }
}

#[test]
fn the_slots_number_may_be_in_a_folders_name() {
    let mut bed = Bed::ignoring(&[]);
    bed.spec.logs.out = LogFile::Path(bed.path("logs/{id}/today/out.log").display().to_string());
    bed.watch();
    bed.write("logs/12/today/out.log", "1");
    bed.quiet();
    bed.write("logs/12/today/other.log", "1");
    bed.expect("logs/12/today/other.log");
}

#[test]
fn own_logs_are_known_by_another_way_to_their_folder() {
    let mut bed = Bed::ignoring(&[]);
    let real = bed.cwd.with_file_name("logs");
    fs::create_dir(&real).expect("the logs' folder");
    std::os::unix::fs::symlink(&real, bed.path("logs")).expect("a link to it");
    bed.spec.logs.out = LogFile::Path(real.join("out.log").display().to_string());
    bed.watch();
    fs::write(real.join("out.log"), "1").expect("logged");
    bed.quiet();
    fs::write(real.join("other"), "1").expect("written");
    bed.expect("logs/other");
}
