//! A pump is killed at every moment there is, and its successor as well; what comes out must always be the same.

use super::kill::run_until;
use super::outlet::Outlet;
use super::pump::{Audience, Pump};
use rustix::pipe::{PipeFlags, pipe_with};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what it is told.
#[derive(Default)]
struct Ear {
    rooms: AtomicUsize,
    troubles: AtomicUsize,
}

struct Listener(Arc<Ear>);

impl Audience for Listener {
    fn room(&self) {
        self.0.rooms.fetch_add(1, Ordering::SeqCst);
    }

    fn trouble(&self, _: Option<io::Error>) {
        self.0.troubles.fetch_add(1, Ordering::SeqCst);
    }
}

/// The same outlet, as a successor has it.
fn inherited(outlet: &Outlet) -> Arc<Outlet> {
    let copies = outlet.descriptors().map(|fd| fd.try_clone_to_owned().expect("a copy"));
    Arc::new(Outlet::from_descriptors(copies))
}

fn append(outlet: &Outlet, bytes: &[u8]) {
    let mut buffer = std::fs::File::from(outlet.buffer().try_clone().expect("a copy"));
    buffer.write_all(bytes).expect("room");
}

/// Passes on all there is.
fn pump_dry(outlet: &Outlet, sink: &OwnedFd, ear: &Arc<Ear>) {
    let mut pump = Pump::new(
        inherited(outlet),
        sink.try_clone().expect("a copy"),
        Listener(Arc::clone(ear)),
    );
    pump.outlet.recover().expect("it can be recovered");
    loop {
        pump.empty().expect("it can be emptied");
        if pump.outlet.fill(&mut Vec::new()).expect("it can be filled").length == 0 {
            return;
        }
    }
}

fn numbered(from: usize, to: usize) -> Vec<u8> {
    (from..to)
        .flat_map(|number| format!("{number}\n").into_bytes())
        .collect()
}

fn every_death_passes_the_same_on(sink: &dyn Fn() -> (OwnedFd, Box<dyn Fn() -> Vec<u8>>)) {
    for moment in 0..12 {
        for later in [None, Some(0), Some(1), Some(3)] {
            let (outlet, ear) = (Outlet::create().expect("an outlet"), Arc::default());
            let (sink, read) = sink();
            let (expected, found) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
            for (part, death) in [Some(moment), later, None, Some(moment)].into_iter().enumerate() {
                let bytes = numbered(part * 1000, part * 1000 + 700);
                append(&outlet, &bytes);
                expected.borrow_mut().extend(bytes);
                let _ = death.map(|death| run_until(death, || pump_dry(&outlet, &sink, &ear)));
                pump_dry(&outlet, &sink, &ear);
                found.borrow_mut().extend(read());
            }
            assert!(found == expected, "death at {moment}, then {later:?}");
            assert_eq!(outlet.left(), 0);
        }
    }
}

#[test]
fn a_death_at_any_moment_neither_loses_nor_doubles_what_goes_into_a_pipe() {
    every_death_passes_the_same_on(&|| {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
        let all = move || {
            let mut all = Vec::new();
            let mut read = std::fs::File::from(read.try_clone().expect("a copy"));
            // Ends where there is nothing left.
            let _ = read.read_to_end(&mut all);
            all
        };
        (write, Box::new(all))
    });
}

#[test]
fn a_file_that_is_appended_to_cannot_be_spliced_to_and_gets_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("output");
    every_death_passes_the_same_on(&|| {
        let _ = std::fs::remove_file(&path);
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .expect("a file");
        let mut seen = std::fs::File::open(&path).expect("the file");
        let seen = RefCell::new(move || {
            let mut new = Vec::new();
            seen.read_to_end(&mut new).expect("it can be read");
            new
        });
        (file.into(), Box::new(move || seen.borrow_mut()()))
    });
}

#[test]
fn whoever_waits_for_room_is_told_and_memory_is_given_back() {
    let (outlet, ear) = (Outlet::create().expect("an outlet"), Arc::<Ear>::default());
    let null = std::fs::File::options()
        .write(true)
        .open("/dev/null")
        .expect("/dev/null");
    append(&outlet, &vec![b'x'; 1 << 20]);
    let shared = inherited(&outlet);
    assert!(shared.is_congested() && !shared.is_full());
    let mut pump = Pump::new(Arc::clone(&shared), null.into(), Listener(Arc::clone(&ear)));
    let mut told = false;
    while !told {
        pump.empty().expect("it can be emptied");
        told = pump.outlet.fill(&mut Vec::new()).expect("it can be filled").room;
    }
    assert!(!shared.is_congested());
    pump_dry(&outlet, &pump.sink, &ear);
    append(&outlet, b"more");
    pump_dry(&outlet, &pump.sink, &ear);
    let blocks = rustix::fs::fstat(outlet.buffer()).expect("it is there").st_blocks;
    assert!(blocks * 512 <= 512 << 10, "{blocks} blocks are still held");
    append(&outlet, &vec![b'x'; 9 << 20]);
    assert!(shared.is_full());
}

#[test]
fn an_output_without_reader_is_told_of_once_and_holds_nothing_up() {
    let (outlet, ear) = (Outlet::create().expect("an outlet"), Arc::<Ear>::default());
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    drop(read);
    append(&outlet, &numbered(0, 50_000));
    pump_dry(&outlet, &write, &ear);
    assert_eq!(outlet.left(), 0);
    assert_eq!(ear.troubles.load(Ordering::SeqCst), 1);
}
