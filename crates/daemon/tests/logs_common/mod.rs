//! What tests of the log thread share: a private folder, streams whose pipes the test writes to, and waiting on conditions.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use ostler_core::{LogFormat, Rotation, WorkerId};
use ostler_daemon::logs::{Logs, Note, StreamId, StreamKind, Target, Vault, rotated_files};
use std::fs::File;
use std::io::{PipeWriter, Read, Write, pipe};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A log thread with a private folder.
pub struct Bench {
    pub logs: Logs,
    pub folder: tempfile::TempDir,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    pub fn new() -> Self {
        Self::on(tempfile::tempdir().expect("a folder"))
    }

    pub fn on(folder: tempfile::TempDir) -> Self {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let heard = notes.clone();
        let hear = move |note: Note| heard.lock().expect("notes").push(note.to_string());
        let logs = Logs::start(Vault::create().expect("a vault"), hear).expect("a log thread");
        Self { logs, folder, notes }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn target(&self, name: &str) -> Target {
        raw_target(self.path(name))
    }

    /// Takes a stream on and gives the app's end of it.
    pub fn attach(&self, id: StreamId, target: Target) -> PipeWriter {
        let (read, write) = pipe().expect("a pipe");
        self.logs
            .attach(id, "app".into(), std::os::fd::OwnedFd::from(read), target);
        write
    }

    /// Waits until everything that is in the worker's pipes is in its files.
    pub fn ended(&self, id: StreamId) {
        let (sender, receiver) = channel();
        self.logs
            .ended(id.worker, move || sender.send(()).expect("a waiting test"));
        receiver.recv_timeout(PATIENCE).expect("the end of the worker's output");
    }

    pub fn reopen(&self) -> Vec<String> {
        let (sender, receiver) = channel();
        self.logs
            .reopen(move |failed| sender.send(failed).expect("a waiting test"));
        receiver
            .recv_timeout(PATIENCE)
            .expect("an answer")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    pub fn flush(&self, paths: Vec<PathBuf>) -> Vec<String> {
        let (sender, receiver) = channel();
        self.logs
            .flush(paths, move |failed| sender.send(failed).expect("a waiting test"));
        receiver
            .recv_timeout(PATIENCE)
            .expect("an answer")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().expect("notes").clone()
    }

    pub fn content(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_default()
    }

    /// Everything in the log's files, compressed or not, oldest first.
    pub fn all_content(&self, name: &str) -> Vec<u8> {
        all_content(&self.path(name))
    }
}

/// Everything in the log's files, compressed or not, oldest first.
pub fn all_content(log: &Path) -> Vec<u8> {
    let mut content = Vec::new();
    for file in rotated_files(log).expect("a listing") {
        let mut opened = File::open(&file).expect("a rotated file");
        let read = if file.extension().is_some_and(|extension| extension == "gz") {
            flate2::read::GzDecoder::new(opened).read_to_end(&mut content)
        } else {
            opened.read_to_end(&mut content)
        };
        read.expect("a readable file");
    }
    content.extend(std::fs::read(log).unwrap_or_default());
    content
}

pub fn raw_target(file: PathBuf) -> Target {
    Target {
        file: Some(file),
        combined: None,
        format: LogFormat::Raw,
        date_format: None,
        rotation: None,
        console: None,
        disabled: false,
    }
}

pub fn rotation(max_size: u64) -> Rotation {
    Rotation {
        max_size,
        max_age: None,
        keep: 10_000,
        max_total: None,
        compress: false,
    }
}

pub fn out(slot: u32) -> StreamId {
    stream(slot, 1, StreamKind::Out)
}

pub fn error(slot: u32) -> StreamId {
    stream(slot, 1, StreamKind::Error)
}

pub fn stream(slot: u32, generation: u32, kind: StreamKind) -> StreamId {
    StreamId {
        worker: WorkerId::new(slot, generation),
        kind,
    }
}

/// Writes all of it, as an app would.
pub fn write(mut pipe: &PipeWriter, bytes: &[u8]) {
    pipe.write_all(bytes).expect("a writable pipe");
}

/// Waits for a condition.
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::yield_now();
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A number that looks random, from a seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
