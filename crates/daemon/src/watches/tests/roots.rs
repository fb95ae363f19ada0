//! Watched paths that come, go, are replaced, are links, files or globs; the end of a watch.

use super::{Bed, DEADLINE, SLOT};
use crate::watches::Report;
use ostler_core::SlotId;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Instant;

fn paths(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

/// Reads reports until one of `path` comes.
fn await_path(bed: &Bed, path: &PathBuf) {
    while bed.next(DEADLINE).expect("a report") != *path {}
}

#[test]
fn a_removed_and_remade_folder_is_watched_again() {
    let mut bed = Bed::new();
    bed.write("src/deep/a.js", "1");
    bed.watch();
    for round in 0..3 {
        fs::remove_dir_all(&bed.cwd).expect("removed");
        bed.next(DEADLINE).expect("a report");
        bed.write("src/deep/a.js", "2");
        await_path(&bed, &bed.cwd);
        bed.seen.insert(bed.cwd.clone());
        bed.seen
            .extend(["src", "src/deep", "src/deep/a.js"].map(|name| bed.path(name)));
        bed.quiet();
        bed.write("src/deep/a.js", &format!("round {round}"));
        bed.expect("src/deep/a.js");
    }
}

#[test]
fn a_folder_is_found_again_when_the_way_to_it_was_removed_too() {
    let mut bed = Bed::watched();
    let above = bed.cwd.parent().expect("a folder above").to_owned();
    // Held open, as an app that runs in it holds its cwd: the kernel then says nothing of the folder's end.
    let held = fs::File::open(&bed.cwd).expect("held");
    fs::remove_dir_all(&above).expect("removed");
    bed.next(DEADLINE).expect("a report");
    bed.write("a.js", "1");
    bed.seen.extend([bed.cwd.clone(), bed.path("a.js")]);
    bed.quiet();
    bed.write("a.js", "2");
    bed.expect("a.js");
    drop(held);
}

#[test]
fn a_path_that_does_not_exist_is_waited_for() {
    let mut bed = Bed::new();
    bed.watch_spec().paths = paths(&[bed.path("dist/server")]);
    bed.watch();
    let note = bed.note();
    assert!(
        note.contains("dist/server") && note.contains("does not exist"),
        "{note}"
    );
    fs::create_dir(bed.path("dist")).expect("made");
    fs::create_dir(bed.path("dist/server")).expect("made");
    await_path(&bed, &bed.path("dist/server"));
    bed.seen.insert(bed.path("dist/server"));
    bed.quiet_in(&bed.path("dist/server"));
}

#[test]
fn a_link_is_followed_and_watched_itself() {
    let mut bed = Bed::new();
    let releases = bed.cwd.with_file_name("releases");
    fs::create_dir_all(releases.join("1")).expect("a release");
    fs::create_dir_all(releases.join("2")).expect("a release");
    let current = bed.cwd.with_file_name("current");
    symlink(releases.join("1"), &current).expect("a link");
    bed.watch_spec().paths = paths(std::slice::from_ref(&current));
    bed.watch();
    fs::write(releases.join("1/a.js"), "1").expect("written");
    await_path(&bed, &current.join("a.js"));
    bed.seen.extend([current.join("a.js"), current.clone()]);
    bed.quiet_in(&current);
    // As deployments do it.
    symlink("releases/2", current.with_file_name("next")).expect("a link");
    fs::rename(current.with_file_name("next"), &current).expect("renamed over");
    await_path(&bed, &current);
    bed.quiet_in(&current);
    fs::write(releases.join("1/b.js"), "1").expect("the old one is not watched");
    bed.quiet_in(&current);
    fs::remove_dir_all(releases.join("2")).expect("removed");
    await_path(&bed, &current);
    fs::create_dir(releases.join("2")).expect("remade");
    bed.seen.insert(current.clone());
    await_path(&bed, &current);
    bed.quiet_in(&current);
}

#[test]
fn a_link_on_the_way_to_a_watched_path_may_be_changed() {
    let mut bed = Bed::new();
    bed.write("releases/1/src/a.js", "1");
    bed.write("releases/2/src/a.js", "2");
    symlink("releases/1", bed.path("current")).expect("a link");
    let root = bed.path("current/src");
    bed.watch_spec().paths = paths(std::slice::from_ref(&root));
    bed.watch();
    symlink("releases/2", bed.path("next")).expect("a link");
    fs::rename(bed.path("next"), bed.path("current")).expect("renamed over");
    await_path(&bed, &root);
    bed.seen.insert(root.clone());
    bed.quiet_in(&root);
    assert!(bed.path("releases/2/src/sentinel-1").is_dir());
}

#[test]
fn a_watched_file_may_be_replaced_in_any_way() {
    let mut bed = Bed::new();
    bed.write("server.js", "1");
    bed.write("other.js", "1");
    let file = bed.path("server.js");
    fs::create_dir(bed.path("src")).expect("made");
    bed.watch_spec().paths = paths(&[file.clone(), bed.path("src")]);
    bed.watch();
    bed.seen.insert(file.clone());
    let renamed = || {
        fs::write(bed.path("tmp"), "3").expect("written");
        fs::rename(bed.path("tmp"), &file).expect("renamed over");
    };
    let ways: [&dyn Fn(); 4] = [
        &|| fs::write(&file, "2").expect("written"),
        &renamed,
        &|| fs::remove_file(&file).expect("deleted"),
        &|| fs::write(&file, "4").expect("made anew"),
    ];
    let mut reports = Vec::new();
    for way in ways {
        way();
        reports.push(bed.next(DEADLINE).expect("a report"));
    }
    assert!(reports.iter().all(|path| *path == file));
    bed.write("other.js", "2");
    bed.quiet_in(&bed.path("src"));
}

#[test]
fn a_file_behind_a_link_is_watched() {
    let mut bed = Bed::new();
    bed.write("shared/config.json", "1");
    symlink("shared/config.json", bed.path("config.json")).expect("a link");
    let link = bed.path("config.json");
    bed.watch_spec().paths = paths(std::slice::from_ref(&link));
    bed.watch();
    bed.write("shared/config.json", "2");
    await_path(&bed, &link);
}

#[test]
fn a_glob_watches_what_it_matches() {
    let mut bed = Bed::new();
    bed.write("src/deep/a.js", "1");
    bed.watch_spec().paths = paths(&[bed.path("src/**/*.js"), bed.path("sentinel-*")]);
    bed.watch();
    bed.write("src/deep/a.css", "1");
    bed.write("b.js", "1");
    bed.quiet();
    bed.write("src/deep/a.js", "2");
    bed.expect("src/deep/a.js");
    bed.write("src/new/b.js", "2");
    bed.expect("src/new/b.js");
}

#[test]
fn links_in_circles_end() {
    let mut bed = Bed::new();
    bed.write("a/x", "1");
    bed.write("b/x", "1");
    symlink("../b", bed.path("a/to-b")).expect("a link");
    symlink("../a", bed.path("b/to-a")).expect("a link");
    symlink(".", bed.path("self")).expect("a link");
    symlink("nowhere", bed.path("dangling")).expect("a link");
    bed.watch();
    fs::remove_file(bed.path("a/to-b")).expect("deleted");
    bed.expect("a/to-b");
    fs::remove_file(bed.path("b/to-a")).expect("deleted");
    bed.expect("b/to-a");
    // Whichever way they were watched before, they are by the one that is left.
    bed.write("a/x", "2");
    bed.expect("a/x");
    bed.write("b/x", "2");
    bed.expect("b/x");
}

#[test]
fn two_slots_in_one_folder_are_told_each() {
    let mut bed = Bed::watched();
    let (send, other) = channel();
    let spec = Arc::new(bed.spec.clone());
    let report = move |report| send.send(report).expect("the test reads");
    bed.watches.watch(SlotId(8), &spec, report);
    bed.settled();
    fs::create_dir(bed.path("new")).expect("made");
    bed.expect("new");
    let path = bed.path("new");
    let expected = Report::Changed { slot: SlotId(8), path };
    assert_eq!(other.recv_timeout(DEADLINE), Ok(expected));
    bed.watches.unwatch(SlotId(8));
    bed.settled();
    while other.try_recv().is_ok() {}
    bed.write("new/a", "1");
    bed.expect("new/a");
    assert!(other.try_recv().is_err());
}

#[test]
fn a_new_watch_takes_the_place_of_the_slots_old_one() {
    let mut bed = Bed::new();
    bed.write("old/a", "1");
    bed.write("new/a", "1");
    for folder in ["old", "new"] {
        bed.watch_spec().paths = paths(&[bed.path(folder)]);
        bed.watch();
    }
    bed.write("old/a", "2");
    bed.quiet_in(&bed.path("new"));
}

#[test]
fn the_last_unwatch_ends_the_thread_and_its_reports() {
    let mut bed = Bed::new();
    let (send, reports) = channel::<Report>();
    let report = move |report| send.send(report).expect("the test reads");
    bed.watches.watch(SLOT, &Arc::new(bed.spec.clone()), report);
    bed.settled();
    let running = bed.watches.running.as_ref().expect("a thread");
    let of_thread = Arc::downgrade(&running.wake);
    bed.watches.unwatch(SLOT);
    assert!(bed.watches.running.is_none());
    bed.write("a.js", "1");
    // The tree is dropped, and the thread gives back what it had.
    let end = reports.recv_timeout(DEADLINE);
    assert_eq!(end, Err(RecvTimeoutError::Disconnected));
    let deadline = Instant::now() + DEADLINE;
    while of_thread.strong_count() > 0 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(of_thread.strong_count(), 0);
    bed.watches.unwatch(SLOT);
    bed.watch();
    bed.write("a.js", "2");
    bed.expect("a.js");
}
