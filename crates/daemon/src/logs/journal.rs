//! What a successor must know: which chunk is in flight, and how each stream stands between chunks. A memory file,
//! written with pwrite(2) in records that lie within one page, so that a kill leaves either the old or the new one.
//!
//! ```text
//! 0        magic
//! 64       the chunk in flight (see InFlight)
//! 256 KiB  region of stream 0: state at +0, settings (JSON) at +256, carry 0 at +64 KiB, carry 1 at +128 KiB
//! 512 KiB  region of stream 1 …
//! ```
//!
//! The file is sparse: a stream costs one page, and its carry only what is in it. Called by the engine only.

use super::files::PLACES;
use super::target::{StreamId, StreamKind, Target};
use ostler_core::WorkerId;
use rustix::fs::{FallocateFlags, fallocate, fstat};
use rustix::io::{pread, pwrite};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::OwnedFd;

const MAGIC: u64 = u64::from_le_bytes(*b"ostlog\0\x02");
const IN_FLIGHT: u64 = 64;
const REGION: u64 = 256 << 10;
const SETTINGS: u64 = 256;
const SETTINGS_MAX: usize = (64 << 10) - 256;
const CARRY: u64 = 64 << 10;

/// How many bytes of an unfinished line are held back at most.
pub(super) const CARRY_MAX: usize = 64 << 10;

/// The number of a stream's region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u32);

/// How a stream stands between two chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LineState {
    /// The beginning of the current line is in the files already.
    pub mid: bool,
    /// At least one byte of this stream is in the files.
    pub begun: bool,
    /// Which of the two carry areas holds the beginning of a line that is not in the files yet.
    pub area: u8,
    /// How much is in it.
    pub held: u32,
    /// When its first byte came, ms since the epoch.
    pub held_since: i64,
}

/// From where on a segment's output is being appended to a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// The file's device.
    pub device: u64,
    /// The file's inode; 0 when none has been chosen yet.
    pub inode: u64,
    /// The file's size before.
    pub base: u64,
    /// `output[from..]` goes there; what is before is in earlier files.
    pub from: u64,
}

/// What is being done to the chunk in the staging pipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing; the staging pipe is empty.
    #[default]
    Idle,
    /// It is being spliced from the stream's pipe; whatever the staging pipe holds is this stream's.
    Taking,
    /// It is being written.
    Writing,
}

/// The chunk in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InFlight {
    pub phase: Phase,
    pub entry: u32,
    /// Its length; the staging pipe holds as much until all is written, and less afterwards.
    pub length: u64,
    /// Where in the input (held bytes, then the chunk) the current segment begins.
    pub start: u64,
    /// When the chunk was read, ms since the epoch.
    pub at: i64,
    /// Unfinished lines are held back.
    pub hold: bool,
    /// The stream ends: what is held goes out and the line is ended.
    pub last: bool,
    /// How the stream stood at the segment's beginning.
    pub before: LineState,
    /// How it stands after the segment.
    pub after: LineState,
    /// Own file, combined file, what leads to our own output.
    pub marks: [Mark; PLACES],
}

/// What a successor must know of a stream before anyone attaches it again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    pub name: String,
    pub target: Target,
}

/// The journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: OwnedFd,
    /// Regions in use, by number.
    used: Vec<Option<StreamId>>,
}

impl LineState {
    fn words(self) -> [u64; 3] {
        let flags = u64::from(self.mid) | u64::from(self.begun) << 1 | u64::from(self.area) << 2;
        [flags, u64::from(self.held), self.held_since.cast_unsigned()]
    }

    fn from_words(words: &[u64]) -> Self {
        Self {
            mid: words[0] & 1 != 0,
            begun: words[0] & 2 != 0,
            area: u8::from(words[0] & 4 != 0),
            held: u32::try_from(words[1]).unwrap_or(0).min(CARRY_MAX as u32),
            held_since: words[2].cast_signed(),
        }
    }
}

impl InFlight {
    fn words(&self) -> [u64; 24] {
        let phase = match self.phase {
            Phase::Idle => 0,
            Phase::Taking => 1,
            Phase::Writing => 2,
        };
        let flags = u64::from(self.hold) | u64::from(self.last) << 1;
        let head = [
            phase,
            u64::from(self.entry),
            self.length,
            self.start,
            self.at.cast_unsigned(),
            flags,
        ];
        let mut words = [0; 24];
        words[..6].copy_from_slice(&head);
        words[6..9].copy_from_slice(&self.before.words());
        words[9..12].copy_from_slice(&self.after.words());
        for (place, mark) in words[12..].chunks_exact_mut(4).zip(self.marks) {
            place.copy_from_slice(&[mark.device, mark.inode, mark.base, mark.from]);
        }
        words
    }

    fn from_words(words: &[u64; 24]) -> Self {
        let mark = |at: usize| Mark {
            device: words[at],
            inode: words[at + 1],
            base: words[at + 2],
            from: words[at + 3],
        };
        Self {
            phase: match words[0] {
                1 => Phase::Taking,
                2 => Phase::Writing,
                _ => Phase::Idle,
            },
            entry: u32::try_from(words[1]).unwrap_or(u32::MAX),
            length: words[2],
            start: words[3],
            at: words[4].cast_signed(),
            hold: words[5] & 1 != 0,
            last: words[5] & 2 != 0,
            before: LineState::from_words(&words[6..9]),
            after: LineState::from_words(&words[9..12]),
            marks: [mark(12), mark(16), mark(20)],
        }
    }
}

impl Entry {
    /// Its number, for [`InFlight::entry`].
    pub fn number(self) -> u32 {
        self.0
    }

    fn offset(self) -> u64 {
        REGION * (u64::from(self.0) + 1)
    }

    fn carry(self, area: u8) -> u64 {
        self.offset() + CARRY * (1 + u64::from(area))
    }
}

impl Journal {
    /// Opens a predecessor's journal, or begins an empty one.
    ///
    /// # Errors
    /// The file cannot be read or written, or was written by another version.
    pub fn open(file: OwnedFd) -> io::Result<Self> {
        let size = u64::try_from(fstat(&file)?.st_size).unwrap_or(0);
        let mut journal = Self { file, used: Vec::new() };
        if size == 0 {
            journal.put(&[MAGIC], 0)?;
            return Ok(journal);
        }
        let [magic] = journal.words(0)?;
        if magic != MAGIC {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the log journal was written by another version",
            ));
        }
        for number in 0..u32::try_from(size.div_ceil(REGION)).unwrap_or(0).saturating_sub(1) {
            let id = journal.owner(Entry(number))?;
            journal.used.push(id);
        }
        Ok(journal)
    }

    /// The chunk that was in flight when the file was last written.
    pub fn in_flight(&self) -> io::Result<InFlight> {
        Ok(InFlight::from_words(&self.words(IN_FLIGHT)?))
    }

    /// Notes the chunk in flight.
    pub fn note(&self, chunk: &InFlight) -> io::Result<()> {
        super::engine::kill_point();
        self.put(&chunk.words(), IN_FLIGHT)?;
        super::engine::kill_point();
        Ok(())
    }

    /// The region with this number, if it is in use.
    pub fn entry(&self, number: u32) -> Option<(Entry, StreamId)> {
        let id = (*self.used.get(number as usize)?)?;
        Some((Entry(number), id))
    }

    /// The stream's region, from a predecessor, with how the stream stands.
    pub fn find(&self, id: StreamId) -> io::Result<Option<(Entry, LineState)>> {
        let Some(number) = self.used.iter().position(|used| *used == Some(id)) else {
            return Ok(None);
        };
        let entry = Entry(number as u32);
        Ok(Some((entry, self.state(entry)?)))
    }

    /// Gives the stream a region.
    pub fn claim(&mut self, id: StreamId) -> io::Result<Entry> {
        let free = self.used.iter().position(Option::is_none).unwrap_or(self.used.len());
        let entry = Entry(free as u32);
        let kind = match id.kind {
            StreamKind::Out => 1,
            StreamKind::Error => 2,
        };
        let worker = id.worker;
        self.put(
            &[0, 0, 0, kind, u64::from(worker.slot.0), u64::from(worker.generation.0)],
            entry.offset(),
        )?;
        if free == self.used.len() {
            self.used.push(None);
        }
        self.used[free] = Some(id);
        Ok(entry)
    }

    /// Gives a region back, and its memory.
    pub fn release(&mut self, entry: Entry) -> io::Result<()> {
        self.used[entry.0 as usize] = None;
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(&self.file, hole, entry.offset(), REGION)?)
    }

    /// The regions of streams for which `which` holds.
    pub fn entries(&self, which: impl Fn(StreamId) -> bool) -> Vec<Entry> {
        let numbered = (0..).map(Entry).zip(&self.used);
        numbered
            .filter(|(_, id)| id.is_some_and(&which))
            .map(|(entry, _)| entry)
            .collect()
    }

    /// How the stream stands.
    pub fn state(&self, entry: Entry) -> io::Result<LineState> {
        Ok(LineState::from_words(&self.words::<3>(entry.offset())?))
    }

    /// Notes how the stream stands.
    pub fn set_state(&self, entry: Entry, state: LineState) -> io::Result<()> {
        super::engine::kill_point();
        self.put(&state.words(), entry.offset())?;
        super::engine::kill_point();
        Ok(())
    }

    /// Notes a stream's settings.
    pub fn set_settings(&self, entry: Entry, settings: &Settings) -> io::Result<()> {
        let text = serde_json::to_vec(settings).map_err(io::Error::other)?;
        if text.len() > SETTINGS_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the settings of the log are too long",
            ));
        }
        let mut record = (text.len() as u64).to_le_bytes().to_vec();
        record.extend_from_slice(&text);
        self.put_bytes(&record, entry.offset() + SETTINGS)
    }

    /// A stream's settings.
    pub fn settings(&self, entry: Entry) -> io::Result<Settings> {
        let [length] = self.words(entry.offset() + SETTINGS)?;
        let mut text = vec![0; usize::try_from(length).unwrap_or(0).min(SETTINGS_MAX)];
        self.get_bytes(&mut text, entry.offset() + SETTINGS + 8)?;
        serde_json::from_slice(&text).map_err(io::Error::other)
    }

    /// Appends the bytes held back in `area` to `out`.
    pub fn read_carry(&self, entry: Entry, state: LineState, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        out.resize(start + state.held as usize, 0);
        self.get_bytes(&mut out[start..], entry.carry(state.area))
    }

    /// Holds bytes back in `area`. What the other area holds stays, until the state says otherwise.
    pub fn write_carry(&self, entry: Entry, area: u8, bytes: &[u8]) -> io::Result<()> {
        super::engine::kill_point();
        self.put_bytes(bytes, entry.carry(area))
    }

    fn owner(&self, entry: Entry) -> io::Result<Option<StreamId>> {
        let [_, _, _, kind, slot, generation] = self.words(entry.offset())?;
        let kind = match kind {
            1 => StreamKind::Out,
            2 => StreamKind::Error,
            _ => return Ok(None),
        };
        let (Ok(slot), Ok(generation)) = (u32::try_from(slot), u32::try_from(generation)) else {
            return Ok(None);
        };
        Ok(Some(StreamId {
            worker: WorkerId::new(slot, generation),
            kind,
        }))
    }

    fn put(&self, words: &[u64], offset: u64) -> io::Result<()> {
        let mut record = [0; 192];
        for (place, word) in record.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.put_bytes(&record[..words.len() * 8], offset)
    }

    /// Reads whole words; what was never written is 0.
    fn words<const N: usize>(&self, offset: u64) -> io::Result<[u64; N]> {
        let mut words = [0; N];
        for (number, word) in words.iter_mut().enumerate() {
            let mut bytes = [0; 8];
            self.get_bytes(&mut bytes, offset + 8 * number as u64)?;
            *word = u64::from_le_bytes(bytes);
        }
        Ok(words)
    }

    fn put_bytes(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = pwrite(&self.file, bytes, offset)?;
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }

    fn get_bytes(&self, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let read = pread(&self.file, &mut *bytes, offset)?;
            if read == 0 {
                bytes.fill(0);
                return Ok(());
            }
            bytes = &mut bytes[read..];
            offset += read as u64;
        }
        Ok(())
    }
}
