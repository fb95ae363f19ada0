//! A full disk, no descriptors left, a flood next door: the app is never blocked, what is lost is counted and told.

mod logs_common;

use logs_common::{Bench, PATIENCE, out, rotation, wait_for, write};
use ostler_core::{Rotation, SlotId};
use ostler_daemon::logs::{StreamKind, Target, rotated_files};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A small file system, unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// None where this process may not mount.
    fn mount(at: &'a Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "none"])
            .arg(at)
            .output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(self.0)
            .status()
            .expect("umount");
        assert!(
            unmounted.success(),
            "the small disk is left mounted at {}",
            self.0.display()
        );
    }
}

/// Says that a test has not been made.
#[allow(clippy::print_stderr, reason = "a test that was left out must be seen")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

#[test]
fn a_full_disk_stops_the_file_and_not_the_app() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_owned();
    let Some(_disk) = SmallDisk::mount(&place) else {
        return skipped("mounting a small disk needs root");
    };
    let bench = Bench::on(folder);
    let pipe = bench.attach(out(0), bench.target("a.log"));
    let line = [b'x'; 99];
    let lines: Vec<u8> = std::iter::repeat_n([&line[..], b"\n"].concat(), 40_000)
        .flatten()
        .collect();
    write(&pipe, &lines);
    bench.ended(out(0));
    let stats = bench
        .logs
        .stats()
        .remove(&(SlotId(0), StreamKind::Out))
        .expect("statistics");
    let kept = bench.content("a.log");
    assert_eq!(stats.dropped + kept.len() as u64, lines.len() as u64);
    assert!(lines.starts_with(&kept) && kept.len() > 900_000);
    assert!(stats.last_error.expect("an error").contains("No space left"));
    assert_eq!(bench.notes().len(), 1, "{:?}", bench.notes());
    assert_eq!(bench.flush(vec![bench.path("a.log")]), Vec::<String>::new());
    wait_for("the end of the trouble", || {
        write(&pipe, b"again\n");
        bench.ended(out(0));
        bench.notes().len() == 2
    });
    assert!(bench.content("a.log").starts_with(b"again\n"));
}

#[test]
fn on_a_full_disk_the_oldest_rotated_files_make_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_owned();
    let Some(_disk) = SmallDisk::mount(&place) else {
        return skipped("mounting a small disk needs root");
    };
    let bench = Bench::on(folder);
    let pipe = bench.attach(
        out(0),
        Target {
            rotation: Some(rotation(100_000)),
            ..bench.target("a.log")
        },
    );
    let lines: String = (0..400_000).map(|number| format!("{number:09}\n")).collect();
    write(&pipe, lines.as_bytes());
    bench.ended(out(0));
    let kept = bench.all_content("a.log");
    assert!(
        lines.as_bytes().ends_with(&kept) && kept.len() > 800_000,
        "the newest output is kept"
    );
    assert_eq!(
        (bench.notes(), bench.logs.stats().len()),
        (Vec::new(), 0),
        "nothing was dropped"
    );
}

#[test]
fn nothing_is_compressed_where_it_might_fill_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_owned();
    let Some(_disk) = SmallDisk::mount(&place) else {
        return skipped("mounting a small disk needs root");
    };
    let bench = Bench::on(folder);
    std::fs::write(bench.path("a__2026-01-01_00-00-00.log"), vec![0; 600_000]).expect("a large rotated file");
    std::fs::write(bench.path("a__2026-01-02_00-00-00.log"), vec![0; 1000]).expect("a small one");
    let compress = Rotation {
        compress: true,
        ..rotation(1 << 20)
    };
    let _pipe = bench.attach(
        out(0),
        Target {
            rotation: Some(compress),
            ..bench.target("a.log")
        },
    );
    wait_for("compression", || bench.path("a__2026-01-02_00-00-00.log.gz").exists());
    assert!(bench.path("a__2026-01-01_00-00-00.log").exists());
}

#[test]
fn without_descriptors_output_is_dropped_until_there_are_some() {
    let bench = Bench::new();
    let pipe = bench.attach(out(0), bench.target("a.log"));
    wait_for("the log", || bench.path("a.log").exists());
    std::fs::remove_file(bench.path("a.log")).expect("a deletion");
    let before = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let none = rustix::process::Rlimit {
        current: Some(3),
        maximum: before.maximum,
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, none).expect("a limit");
    write(&pipe, b"lost\n");
    bench.ended(out(0));
    rustix::process::setrlimit(rustix::process::Resource::Nofile, before).expect("the old limit");
    assert!(bench.notes()[0].contains("Too many open files"), "{:?}", bench.notes());
    assert_eq!(bench.logs.stats()[&(SlotId(0), StreamKind::Out)].dropped, 5);
    wait_for("a written line", || {
        write(&pipe, b"found\n");
        bench.ended(out(0));
        bench.content("a.log").starts_with(b"found\n")
    });
}

#[test]
fn a_flood_does_not_delay_the_line_of_a_quiet_app() {
    let bench = Bench::new();
    let flood = bench.attach(
        out(0),
        Target {
            file: None,
            ..bench.target("-")
        },
    );
    let also = bench.attach(out(1), bench.target("flood.log"));
    let quiet = bench.attach(out(2), bench.target("quiet.log"));
    let stop = AtomicBool::new(false);
    let _follower_makes_it_work = bench.logs.follow(ostler_daemon::logs::Filter {
        slots: Box::new(|_, _| true),
        out: true,
        error: true,
        events: false,
        known: Vec::new(),
    });
    let slowest = std::thread::scope(|scope| {
        for pipe in [flood, also] {
            let (stop, bench) = (&stop, &bench);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    write(&pipe, &[b'x'; 60_000]);
                    if std::fs::metadata(bench.path("flood.log")).is_ok_and(|data| data.len() > 100 << 20) {
                        bench.flush(vec![bench.path("flood.log")]);
                    }
                }
            });
        }
        let mut slowest = Duration::ZERO;
        for count in 1..=100 {
            let start = Instant::now();
            write(&quiet, b"tick\n");
            while std::fs::metadata(bench.path("quiet.log")).map_or(0, |data| data.len()) < 5 * count {
                assert!(start.elapsed() < PATIENCE, "the quiet app's line never came");
                std::thread::yield_now();
            }
            slowest = slowest.max(start.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        slowest
    });
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

#[test]
fn rotation_goes_on_failing_quietly_where_the_folder_cannot_be_written() {
    if rustix::process::geteuid().is_root() {
        return skipped("root may write everywhere");
    }
    let bench = Bench::new();
    let pipe = bench.attach(
        out(0),
        Target {
            rotation: Some(rotation(100)),
            ..bench.target("a.log")
        },
    );
    bench.ended(out(0));
    let read_only = std::os::unix::fs::PermissionsExt::from_mode(0o500);
    std::fs::set_permissions(bench.folder.path(), read_only).expect("a read-only folder");
    write(&pipe, &b"line\n".repeat(100));
    bench.ended(out(0));
    let writable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(bench.folder.path(), writable).expect("a writable folder");
    assert_eq!((bench.content("a.log").len(), bench.notes().len()), (500, 1));
    assert!(rotated_files(&bench.path("a.log")).expect("a listing").is_empty());
}
