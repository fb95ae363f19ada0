//! The process with the log thread is killed with SIGKILL again and again while apps write; its successors get the same
//! vault and pipes; the files must hold every byte once.
//!
//! The daemon's part is played by this test binary itself, started again with [`ROLE`] set. It opens the vault and the
//! pipes of its parent through `/proc`.

mod logs_common;

use logs_common::{Random, all_content, out, raw_target, rotation, wait_for};
use ostler_core::LogFormat;
use ostler_daemon::logs::{Logs, Target, Vault};
use rustix::io::ioctl_fionread;
use rustix::process::{Signal, getpid, kill_process};
use std::fs::File;
use std::io::{PipeReader, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Set in the process that plays the daemon: what it is to do.
const ROLE: &str = "OSTLER_TEST_LOG_DAEMON";
/// How often a daemon is killed in each scene.
const KILLS: &str = "OSTLER_TEST_KILLS";
/// The length of a line that does not fit into a pipe.
const LONG: u64 = 200_000;

/// A scene of streams and how they are logged.
#[derive(serde::Serialize, serde::Deserialize)]
struct Scene {
    targets: Vec<Target>,
    vault: Vec<String>,
    pipes: Vec<String>,
    /// After so many microseconds of work it dies, if at all.
    life: Option<u64>,
}

fn address(fd: &impl AsFd) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), fd.as_fd().as_raw_fd())
}

fn opened(address: &str, write: bool) -> OwnedFd {
    File::options()
        .read(!write)
        .write(write)
        .open(address)
        .expect("a descriptor of the parent")
        .into()
}

/// Plays the daemon, if asked to. Never returns then.
#[test]
fn daemon_process() {
    let Ok(text) = std::env::var(ROLE) else { return };
    let scene: Scene = serde_json::from_str(&text).expect("a scene");
    let [_, staging_read, staging_write, peek_read, peek_write] = &scene.vault[..] else {
        panic!("five descriptors")
    };
    let journal = File::options()
        .read(true)
        .write(true)
        .open(&scene.vault[0])
        .expect("the journal")
        .into();
    let pipes = [
        (staging_read, false),
        (staging_write, true),
        (peek_read, false),
        (peek_write, true),
    ];
    let [a, b, c, d] = pipes.map(|(address, write)| opened(address, write));
    let logs = Logs::start(Vault::from_descriptors([journal, a, b, c, d]), |note| panic!("{note}")).expect("logs");
    for (number, (target, pipe)) in scene.targets.iter().zip(&scene.pipes).enumerate() {
        logs.attach(out(number as u32), "app".into(), opened(pipe, false), target.clone());
    }
    if let Some(life) = scene.life {
        thread::sleep(Duration::from_micros(life));
        kill_process(getpid(), Signal::KILL).expect("death");
    }
    loop {
        thread::park();
    }
}

fn start_daemon(scene: &Scene, life: Option<u64>) -> Child {
    let scene = Scene {
        life,
        targets: scene.targets.clone(),
        vault: scene.vault.clone(),
        pipes: scene.pipes.clone(),
    };
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "daemon_process"])
        .env(ROLE, serde_json::to_string(&scene).expect("text"))
        .stdout(Stdio::null())
        .spawn()
        .expect("a daemon")
}

/// Lines of 1 to 300 bytes, now and then a `long` one, in random pieces, until told to stop. Gives all that was written.
fn write_lines(number: usize, long: u64, mut pipe: impl Write, stop: &AtomicBool) -> Vec<u8> {
    let mut random = Random(number as u64);
    let (mut written, mut waiting) = (Vec::new(), Vec::new());
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let length = if random.below(2000) == 0 {
            long
        } else {
            random.below(300)
        };
        waiting.extend(format!("{number}:{count}:").bytes());
        waiting.extend((0..length).map(|_| b"abc\0\xff\xc3\xa9 "[random.below(8) as usize]));
        waiting.push(b'\n');
        count += 1;
        let piece = random.below(70_000) as usize;
        if waiting.len() > piece || random.below(3) == 0 {
            let piece: Vec<u8> = waiting.drain(..piece.min(waiting.len())).collect();
            pipe.write_all(&piece).expect("a reader for ever");
            written.extend(piece);
        }
    }
    pipe.write_all(&waiting).expect("a reader for ever");
    written.extend(waiting);
    written
}

/// Kills daemons while apps write; gives what each app wrote, once all of it has been taken.
fn kill_daemons(targets: Vec<Target>, long: u64) -> Vec<Vec<u8>> {
    let vault = Vault::create().expect("a vault");
    let (readers, writers): (Vec<PipeReader>, Vec<_>) = targets.iter().map(|_| pipe().expect("a pipe")).unzip();
    let scene = Scene {
        targets,
        vault: vault.descriptors().iter().map(address).collect(),
        pipes: readers.iter().map(address).collect(),
        life: None,
    };
    // Apps are started only when all streams are attached.
    let mut first = start_daemon(&scene, None);
    let attached = |target: &Target| target.file.as_ref().is_some_and(|file| file.exists());
    wait_for("all logs", || scene.targets.iter().all(attached));
    first.kill().expect("a kill");
    first.wait().expect("an end");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let app = |(number, pipe)| {
            scope.spawn({
                let stop = &stop;
                move || write_lines(number, long, pipe, stop)
            })
        };
        let apps: Vec<_> = writers.into_iter().enumerate().map(app).collect();
        let kills = std::env::var(KILLS)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(60);
        let mut random = Random(u64::from(std::process::id()));
        for _ in 0..kills {
            start_daemon(&scene, Some(random.below(4000))).wait().expect("a death");
        }
        let mut last = start_daemon(&scene, None);
        stop.store(true, Ordering::Relaxed);
        let written = apps
            .into_iter()
            .map(|app| app.join().expect("what was written"))
            .collect();
        wait_for("empty pipes", || {
            readers.iter().all(is_empty) && is_empty(&vault.descriptors()[1])
        });
        last.kill().expect("a kill");
        last.wait().expect("an end");
        written
    })
}

fn is_empty(pipe: &impl AsFd) -> bool {
    ioctl_fionread(pipe).expect("a level") == 0
}

fn assert_same(found: &[u8], wanted: &[u8], file: &Path) {
    let differ = found.iter().zip(wanted).position(|(found, wanted)| found != wanted);
    assert!(
        found == wanted,
        "{}: {} bytes for {}, differing at {differ:?}",
        file.display(),
        found.len(),
        wanted.len()
    );
    assert!(wanted.len() > 100_000, "enough was written to mean something");
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

#[test]
fn a_killed_daemon_loses_and_doubles_no_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let targets: Vec<Target> = (0..3)
        .map(|number| raw_target(folder.path().join(format!("{number}.log"))))
        .collect();
    for (written, target) in kill_daemons(targets.clone(), LONG).iter().zip(&targets) {
        let file = target.file.as_ref().expect("a path");
        assert_same(&std::fs::read(file).expect("the log"), written, file);
    }
}

#[test]
fn a_killed_daemon_loses_and_doubles_no_byte_over_rotations() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = |name: &str, max_size| Target {
        rotation: Some(rotation(max_size)),
        ..raw_target(folder.path().join(name))
    };
    let targets = vec![target("a.log", 100_000), target("b.log", 30_000)];
    for (written, target) in kill_daemons(targets.clone(), LONG).iter().zip(&targets) {
        let file = target.file.as_ref().expect("a path");
        assert_same(&all_content(file), written, file);
    }
}

#[test]
fn a_killed_daemon_dates_each_line_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let pattern = Some("[<]YYYY-MM-DD HH:mm:ss.SSS[>]".into());
    let target = |name: &str| Target {
        date_format: pattern.clone(),
        ..raw_target(folder.path().join(name))
    };
    let targets = vec![target("a.log"), target("b.log")];
    for (written, target) in kill_daemons(targets.clone(), LONG).iter().zip(&targets) {
        let file = target.file.as_ref().expect("a path");
        let dated = std::fs::read(file).expect("the log");
        let plain: Vec<u8> = lines(&dated).flat_map(without_date).copied().collect();
        assert_same(&plain, written, file);
    }
}

/// What is behind the one date of a line.
fn without_date(line: &[u8]) -> &[u8] {
    let (date, rest) = line.split_at(27);
    assert!(
        date.starts_with(b"<20") && date.ends_with(b">: "),
        "{:?}",
        String::from_utf8_lossy(line)
    );
    rest
}

#[test]
fn a_killed_daemon_keeps_the_lines_of_a_combined_file_whole_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let both = folder.path().join("both.log");
    let target = |name: &str| Target {
        combined: Some(both.clone()),
        ..raw_target(folder.path().join(name))
    };
    let targets = vec![target("a.log"), target("b.log"), target("c.log")];
    // Lines longer than what is held back may be cut by another stream's.
    let written = kill_daemons(targets.clone(), 50_000);
    let combined = std::fs::read(&both).expect("the log");
    for (number, (written, target)) in written.iter().zip(&targets).enumerate() {
        let file = target.file.as_ref().expect("a path");
        assert_same(&std::fs::read(file).expect("the log"), written, file);
        let of_app = |line: &&[u8]| line.starts_with(format!("{number}:").as_bytes());
        let found: Vec<u8> = lines(&combined).filter(of_app).flatten().copied().collect();
        assert_same(&found, written, &both);
    }
    assert_eq!(combined.len(), written.iter().map(Vec::len).sum::<usize>());
}

#[test]
fn a_killed_daemon_makes_one_object_of_each_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.log");
    let target = Target {
        format: LogFormat::Json,
        ..raw_target(file.clone())
    };
    let written = kill_daemons(vec![target], LONG);
    let content = std::fs::read(&file).expect("the log");
    let (mut messages, mut whole) = (Vec::new(), String::new());
    for line in lines(&content) {
        let object: serde_json::Value = serde_json::from_slice(line).expect("an object");
        whole.push_str(object["message"].as_str().expect("a message"));
        if object.get("partial").is_none() {
            messages.push(std::mem::take(&mut whole));
        }
    }
    let wanted: Vec<_> = lines(&written[0]).map(String::from_utf8_lossy).collect();
    assert!(
        messages == wanted,
        "{} objects for {} lines",
        messages.len(),
        wanted.len()
    );
}
