//! The kernel's limits.

use super::{Bed, start_with};
use crate::watches::kernel::Kernel;
use rustix::io::Errno;
use std::fs;
use std::process::Command;

/// Tells the test that it runs in a user namespace of its own, with few inotify watches.
const INSIDE: &str = "OSTLER_TEST_FEW_WATCHES";

#[test]
fn without_inotify_files_are_looked_at() {
    let mut bed = Bed::new();
    bed.write("src/a.js", "1");
    bed.write("node_modules/a.js", "1");
    bed.watches.running = Some(start_with(|| Kernel::new(Err(Errno::MFILE))));
    bed.watch();
    let note = bed.note();
    assert!(note.contains("fs.inotify.max_user_instances"), "{note}");
    bed.seen.insert(bed.cwd.clone());
    let mut changes: [&mut dyn FnMut(); 4] = [
        &mut || bed.write("src/a.js", "22"),
        &mut || fs::rename(bed.path("src/a.js"), bed.path("src/b.js")).expect("renamed"),
        &mut || fs::remove_file(bed.path("src/b.js")).expect("deleted"),
        &mut || fs::create_dir(bed.path("src/new")).expect("made"),
    ];
    for change in &mut changes {
        bed.write("node_modules/a.js", "2");
        bed.write("src/.a.js.swp", "2");
        change();
        assert_eq!(bed.next(super::DEADLINE), Some(bed.cwd.clone()));
    }
}

#[test]
fn beyond_max_user_watches_the_rest_is_looked_at_and_the_user_told() {
    if std::env::var_os(INSIDE).is_some() {
        return with_few_watches();
    }
    let test = "watches::tests::limits::beyond_max_user_watches_the_rest_is_looked_at_and_the_user_told";
    let script = "echo 20 > /proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\"";
    let this = std::env::current_exe().expect("this test");
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "sh", "-c", script])
        .arg(this);
    let done = command
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare");
    if !String::from_utf8_lossy(&done.stdout).contains("running 1 test") {
        // Where user namespaces are forbidden the limit cannot be lowered without touching the whole machine's.
        return;
    }
    assert!(done.status.success(), "{done:?}");
}

fn with_few_watches() {
    let mut bed = Bed::new();
    for number in 0..24 {
        bed.write(&format!("{number}/a.js"), "1");
    }
    bed.watch();
    let note = bed.note();
    assert!(note.contains("fs.inotify.max_user_watches"), "{note}");
    for number in 0..24 {
        bed.write(&format!("{number}/a.js"), "22");
        // A watched folder is reported by its file's name, one that is looked at by its own.
        bed.seen
            .extend([bed.path(&format!("{number}/a.js")), bed.path(&number.to_string())]);
        let mut next = bed.next(super::DEADLINE).expect("a report");
        while !next.starts_with(bed.path(&number.to_string())) {
            next = bed.next(super::DEADLINE).expect("a report");
        }
    }
}

#[test]
fn lost_events_count_as_a_change_and_everything_is_watched_afterwards() {
    let mut bed = Bed::new();
    let length: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .expect("the limit")
        .trim()
        .parse()
        .expect("a number");
    bed.write("a", "");
    bed.write("src/c", "");
    let (held, release) = std::sync::mpsc::channel::<()>();
    bed.watch();
    // A second watch whose report does not return holds the thread up until the queue has overflown.
    let mut other = bed.spec.clone();
    other.watch = Some(ostler_core::WatchSpec {
        ignore: vec!["/[/".to_owned()],
        ..other.watch.clone().expect("watched")
    });
    let wait = move |_| {
        let _ = release.recv();
    };
    bed.watches
        .watch(ostler_core::SlotId(9), &std::sync::Arc::new(other), wait);
    // Each is two events.
    for _ in 0..=length / 4 {
        fs::rename(bed.path("a"), bed.path("b")).expect("renamed");
        fs::rename(bed.path("b"), bed.path("a")).expect("renamed");
    }
    drop(held);
    let note = loop {
        if let Ok(super::Report::Note(note)) = bed.reports.1.recv_timeout(super::DEADLINE) {
            break note;
        }
    };
    assert!(note.contains("max_queued_events"), "{note}");
    bed.seen.extend([bed.path("a"), bed.path("b"), bed.cwd.clone()]);
    bed.quiet();
    bed.write("src/c", "2");
    bed.expect("src/c");
}
