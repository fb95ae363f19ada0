//! The engine is killed at every moment there is, and the successor as well; the files must always be the same.

use super::engine::Engine;
use super::kill::run_until;
use super::rotate::rotated_files;
use super::target::{StreamId, StreamKind, Target};
use super::vault::Vault;
use ostler_core::{LogFormat, Rotation, WorkerId};
use proptest::prelude::*;
use rustix::event::epoll;
use rustix::pipe::{PipeFlags, pipe_with};
use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

/// How the output is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Raw,
    Dated,
    Json,
}

/// A stream under test: what is written to it, piece by piece.
struct Source {
    id: StreamId,
    target: Target,
    read: OwnedFd,
    write: OwnedFd,
}

/// What survives the engines.
struct World {
    directory: tempfile::TempDir,
    vault: Vault,
    sources: Vec<Source>,
}

/// What happens to the world: it is the same however often somebody dies on the way.
struct Story<'a> {
    look: Look,
    rotation: Option<u64>,
    /// All streams write to one file.
    merged: bool,
    /// Which stream writes what.
    pieces: &'a [(usize, &'a [u8])],
}

impl World {
    fn new(story: &Story<'_>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let streams = 1 + story.pieces.iter().map(|(stream, _)| *stream).max().unwrap_or(0);
        let sources = (0..streams)
            .map(|number| source(story, number, directory.path()))
            .collect();
        Self {
            directory,
            vault: Vault::create().expect("a vault"),
            sources,
        }
    }

    fn engine(&self) -> Engine {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll descriptor");
        let vault = self.vault.try_clone().expect("a copy of the vault");
        let mut engine = Engine::new(
            vault,
            &[],
            Arc::new(epoll),
            Arc::new(|note| panic!("{note}")),
            Arc::default(),
        )
        .expect("an engine");
        for source in &self.sources {
            let pipe = source.read.try_clone().expect("a copy of the pipe");
            engine.attach(source.id, "app".into(), pipe.into(), &source.target);
        }
        engine
    }

    /// Everything in the log's files, oldest first.
    fn content(&self, file: &str) -> Vec<u8> {
        let log = self.directory.path().join(file);
        let mut files = rotated_files(&log).expect("a listing");
        files.push(log);
        files
            .iter()
            .flat_map(|file| std::fs::read(file).unwrap_or_default())
            .collect()
    }
}

fn source(story: &Story<'_>, number: usize, directory: &Path) -> Source {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
    let worker = WorkerId::new(number as u32, 1);
    let name = if story.merged {
        "merged.log".into()
    } else {
        format!("{number}.log")
    };
    Source {
        id: StreamId {
            worker,
            kind: StreamKind::Out,
        },
        target: target(story, &directory.join(name)),
        read,
        write,
    }
}

fn target(story: &Story<'_>, file: &Path) -> Target {
    let rotation = |max_size| Rotation {
        max_size,
        max_age: None,
        keep: 10_000,
        max_total: None,
        compress: false,
    };
    Target {
        file: Some(file.to_owned()),
        combined: story.merged.then(|| file.with_file_name("both.log")),
        format: if story.look == Look::Json {
            LogFormat::Json
        } else {
            LogFormat::Raw
        },
        date_format: (story.look != Look::Raw).then(|| "[T]".into()),
        rotation: story.rotation.map(rotation),
        console: None,
        disabled: false,
    }
}

/// Plays a story with deaths at the given moments, each counted from the successor's birth on. False if somebody outlived
/// the story's end.
fn play(story: &Story<'_>, world: &World, deaths: &[u32]) -> bool {
    let (written, done) = (Cell::new(0), Cell::new(0));
    let live = || {
        let mut engine = world.engine();
        while let Some((stream, piece)) = story.pieces.get(done.get()) {
            if written.get() == done.get() {
                let length = rustix::io::write(&world.sources[*stream].write, piece).expect("room in the pipe");
                assert_eq!(length, piece.len(), "a piece fits into a pipe");
                written.set(written.get() + 1);
            }
            engine.turn(*stream);
            engine.turn(*stream);
            done.set(done.get() + 1);
        }
        engine.ended(|_| true);
    };
    let outlived = deaths.iter().any(|moment| run_until(*moment, live).is_some());
    if !outlived {
        live();
    }
    !outlived
}

/// What the file of one stream must hold.
fn expected(look: Look, process: usize, content: &[u8]) -> Vec<u8> {
    let lines = content.split_inclusive(|byte| *byte == b'\n');
    match look {
        Look::Raw => content.to_vec(),
        Look::Dated => {
            let mut dated: Vec<u8> = lines.flat_map(|line| [b"T: ", line].concat()).collect();
            if dated.last().is_some_and(|byte| *byte != b'\n') {
                dated.push(b'\n');
            }
            dated
        }
        Look::Json => lines.flat_map(|line| json(process, line)).collect(),
    }
}

fn json(process: usize, line: &[u8]) -> Vec<u8> {
    let message = serde_json::Value::from(String::from_utf8_lossy(line)).to_string();
    let rest = format!("\"timestamp\":\"T\",\"type\":\"out\",\"process_id\":{process},\"app_name\":\"app\"}}\n");
    format!("{{\"message\":{message},{rest}").into_bytes()
}

fn written_by(story: &Story<'_>, stream: usize) -> Vec<u8> {
    story
        .pieces
        .iter()
        .filter(|(of, _)| *of == stream)
        .flat_map(|(_, piece)| piece.to_vec())
        .collect()
}

/// Plays the story with a death at every moment, and a second death at several moments after each.
fn play_every_death(story: &Story<'_>, check: impl Fn(&World)) {
    let second = [None, Some(1), Some(2), Some(5)];
    for moment in 0.. {
        let mut died = true;
        for later in second {
            let world = World::new(story);
            let deaths: Vec<u32> = std::iter::once(moment).chain(later).collect();
            died &= play(story, &world, &deaths) || later.is_some();
            check(&world);
        }
        if !died {
            assert!(moment > 20, "there are more moments than that");
            return;
        }
    }
}

const PIECES: [(usize, &[u8]); 6] = [
    (0, b"one\ntw"),
    (0, b"o\n"),
    (0, b"\n\nthree is a longer line than the others are\nfo"),
    (0, b"u"),
    (0, b"r\nfive comes with it\nand six\n"),
    (0, b"end"),
];

fn every_death_leaves_the_same(look: Look, rotation: Option<u64>) {
    let story = Story {
        look,
        rotation,
        merged: false,
        pieces: &PIECES,
    };
    let wanted = expected(look, 0, &written_by(&story, 0));
    play_every_death(&story, |world| {
        let found = world.content("0.log");
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&wanted));
    });
}

#[test]
fn a_death_at_any_moment_leaves_raw_output_whole() {
    every_death_leaves_the_same(Look::Raw, None);
}

#[test]
fn a_death_at_any_moment_leaves_one_date_a_line() {
    every_death_leaves_the_same(Look::Dated, None);
}

#[test]
fn a_death_at_any_moment_leaves_one_object_a_line() {
    every_death_leaves_the_same(Look::Json, None);
}

#[test]
fn a_death_at_any_moment_of_a_rotation_leaves_all_pieces() {
    every_death_leaves_the_same(Look::Raw, Some(20));
    every_death_leaves_the_same(Look::Dated, Some(20));
}

#[test]
fn a_death_at_any_moment_leaves_merged_lines_whole_in_both_files() {
    let pieces: [(usize, &[u8]); 6] = [
        (0, b"a1\na2"),
        (1, b"b1\nb"),
        (0, b"-\na"),
        (1, b"2\n"),
        (1, b"b3"),
        (0, b"3\n"),
    ];
    let story = Story {
        look: Look::Dated,
        rotation: Some(30),
        merged: true,
        pieces: &pieces,
    };
    let wanted = "T: a1\nT: b1\nT: a2-\nT: b2\nT: a3\nT: b3\n";
    play_every_death(&story, |world| {
        for file in ["merged.log", "both.log"] {
            assert_eq!(String::from_utf8_lossy(&world.content(file)), wanted, "{file}");
        }
    });
}

fn a_piece() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => Just(b'a'), 2 => Just(b'\n'), 1 => any::<u8>(), 1 => Just(0xC3), 1 => Just(0xA9)];
    prop_oneof![
        9 => proptest::collection::vec(byte, 1..60),
        1 => (1usize..20_000).prop_map(|length| vec![b'x'; length]),
    ]
}

fn a_look() -> impl Strategy<Value = Look> {
    prop_oneof![Just(Look::Raw), Just(Look::Dated), Just(Look::Json)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_chunks_nor_rotation_nor_deaths_change_what_is_logged(
        pieces in proptest::collection::vec(a_piece(), 1..12),
        look in a_look(),
        rotation in proptest::option::of(100u64..3000),
        deaths in proptest::collection::vec(0u32..40, 0..6),
    ) {
        let total: usize = pieces.iter().map(Vec::len).sum();
        prop_assume!(look != Look::Json || total < 60_000);
        let pieces: Vec<(usize, &[u8])> = pieces.iter().map(|piece| (0, &piece[..])).collect();
        let story = Story { look, rotation, merged: false, pieces: &pieces };
        let world = World::new(&story);
        play(&story, &world, &deaths);
        let wanted = expected(look, 0, &written_by(&story, 0));
        let found = world.content("0.log");
        let differ = found.iter().zip(&wanted).position(|(found, wanted)| found != wanted);
        prop_assert!(found == wanted, "{} bytes for {}, differing at {differ:?}", found.len(), wanted.len());
        if let Some(max) = rotation {
            for file in rotated_files(&world.directory.path().join("0.log")).expect("a listing") {
                let content = std::fs::read(file).expect("a rotated file");
                prop_assert!(content.len() as u64 <= 2 * max, "a file of {} bytes", content.len());
                let longest = wanted.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap_or(0);
                prop_assert!(longest as u64 > max || content.ends_with(b"\n"), "a line was split");
            }
        }
    }
}
