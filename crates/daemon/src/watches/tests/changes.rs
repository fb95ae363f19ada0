//! What is reported, and when.

use super::{Bed, DEADLINE, PATIENCE};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

#[test]
fn making_writing_renaming_and_deleting_a_file_are_changes() {
    let mut bed = Bed::watched();
    bed.write("a.js", "1");
    bed.expect("a.js");
    fs::write(bed.path("a.js"), "2").expect("written");
    bed.expect("a.js");
    fs::rename(bed.path("a.js"), bed.path("b.js")).expect("renamed");
    bed.expect("b.js");
    fs::remove_file(bed.path("b.js")).expect("deleted");
    bed.expect("b.js");
}

#[test]
fn reading_and_chmod_are_no_changes_but_touch_is() {
    let mut bed = Bed::new();
    bed.write("a.js", "1");
    bed.watch();
    fs::read(bed.path("a.js")).expect("read");
    fs::set_permissions(bed.path("a.js"), fs::Permissions::from_mode(0o600)).expect("chmod");
    bed.quiet();
    let touched = Command::new("touch").arg(bed.path("a.js")).status().expect("touch");
    assert!(touched.success());
    bed.expect("a.js");
}

#[test]
fn a_file_opened_for_writing_and_closed_unwritten_is_no_change() {
    let mut bed = Bed::new();
    bed.write("data.db", "1");
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    let file = File::options().write(true).open(bed.path("data.db")).expect("opened");
    file.set_modified(long_ago).expect("an old time");
    drop(file);
    bed.watch();
    drop(
        File::options()
            .read(true)
            .write(true)
            .open(bed.path("data.db"))
            .expect("opened"),
    );
    bed.quiet();
}

#[test]
fn a_save_as_vim_does_it_is_reported_by_the_files_name() {
    let mut bed = Bed::new();
    bed.write("a.js", "1");
    bed.watch();
    // `:set backup& writebackup& backupcopy=no`: probe, move aside, write anew, delete the backup.
    bed.write("4913", "");
    fs::remove_file(bed.path("4913")).expect("the probe goes");
    fs::rename(bed.path("a.js"), bed.path("a.js~")).expect("moved aside");
    bed.write("a.js", "2");
    fs::remove_file(bed.path("a.js~")).expect("the backup goes");
    bed.seen.extend([bed.path("4913"), bed.path("a.js~")]);
    bed.expect("a.js");
    fs::write(bed.path("a.js"), "3").expect("the new file is watched as well");
    bed.expect("a.js");
}

#[test]
fn a_save_in_place_and_one_by_rename_are_both_seen() {
    let mut bed = Bed::new();
    bed.write("a.js", "1");
    bed.watch();
    // VSCode truncates and writes in place; others write a temporary file beside and rename it.
    let mut file = File::options()
        .write(true)
        .truncate(true)
        .open(bed.path("a.js"))
        .expect("opened");
    std::io::Write::write_all(&mut file, b"22").expect("written");
    drop(file);
    bed.expect("a.js");
    bed.write(".a.js.tmp", "3");
    fs::rename(bed.path(".a.js.tmp"), bed.path("a.js")).expect("renamed over");
    bed.expect("a.js");
    fs::remove_file(bed.path("a.js")).expect("deleted");
    bed.write("a.js", "4");
    bed.expect("a.js");
}

#[test]
fn what_is_made_in_a_new_folder_at_once_is_watched_at_any_depth() {
    let mut bed = Bed::watched();
    let script = "mkdir -p a/b/c && touch a/b/c/d";
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(&bed.cwd)
        .status()
        .expect("sh");
    assert!(made.success());
    bed.seen.extend(["a/b", "a/b/c", "a/b/c/d"].map(|name| bed.path(name)));
    bed.expect("a");
    fs::write(bed.path("a/b/c/d"), "1").expect("written");
    bed.expect("a/b/c/d");
}

#[test]
fn files_that_appear_while_a_new_folder_is_entered_are_not_missed() {
    let mut bed = Bed::watched();
    for round in 0..50 {
        // Only the file counts, so that the folder's own report cannot stand for it.
        bed.watch_spec().paths = vec![bed.path(&format!("{round}-*/*.js")).display().to_string()];
        bed.watch();
        let name = format!("{round}-folder/late.js");
        bed.write(&name, "");
        bed.seen.insert(bed.path(&name));
        let next = bed.next(DEADLINE).expect("a report");
        assert!(bed.seen.contains(&next), "{}", next.display());
    }
}

#[test]
fn a_moved_folder_is_watched_where_it_is_now_only() {
    let mut bed = Bed::new();
    bed.write("src/deep/a.js", "1");
    let away = bed.cwd.with_file_name("away");
    bed.watch();
    fs::rename(bed.path("src"), bed.path("lib")).expect("renamed");
    bed.seen.insert(bed.path("src"));
    bed.expect("lib");
    fs::write(bed.path("lib/deep/a.js"), "2").expect("written");
    bed.expect("lib/deep/a.js");
    fs::rename(bed.path("lib"), &away).expect("moved out");
    bed.expect("lib");
    fs::write(away.join("deep/a.js"), "3").expect("written");
    bed.quiet();
}

#[test]
fn a_checkout_of_500_files_gives_few_reports() {
    let mut bed = Bed::new();
    let git = |arguments: &[&str], cwd: &Path| {
        let identity = [
            "-c",
            "user.name=n",
            "-c",
            "user.email=e",
            "-c",
            "init.defaultBranch=one",
        ];
        let done = Command::new("git")
            .args(identity)
            .args(arguments)
            .current_dir(cwd)
            .output()
            .expect("git");
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "-q"], &bed.cwd);
    for (branch, content) in [("one", "1"), ("two", "22")] {
        git(&["checkout", "-q", "-B", branch], &bed.cwd);
        for number in 0..500 {
            bed.write(&format!("folder-{}/{number}.js", number % 10), content);
        }
        git(&["add", "."], &bed.cwd);
        git(&["commit", "-q", "-m", branch], &bed.cwd);
    }
    bed.watch();
    let began = Instant::now();
    git(&["checkout", "-q", "one"], &bed.cwd);
    let (mut reports, mut took) = (0, began.elapsed());
    while bed.next(PATIENCE).is_some() {
        (reports, took) = (reports + 1, began.elapsed());
    }
    let most = took.as_millis() / 10 + 1;
    assert!(
        reports >= 1 && reports <= most,
        "{reports} reports, at most {most} expected"
    );
}
