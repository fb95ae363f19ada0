//! One chunk's way from an app's pipe into its files, exact over `kill -9` at any instruction; and how a successor goes on
//! with a chunk that it finds half done. `docs/design/0005-logs.md` goes through every moment of it.
//!
//! ```text
//! note "taking" → splice(app → staging) → tee(staging → peek), read(peek)
//!   → for each segment and file: note where it goes, append it
//!   → splice(staging → /dev/null)      this is the moment the chunk is done
//!   → note how the stream stands
//! ```
//!
//! Called by the engine.

use super::engine::{Engine, Flow, kill_point};
use super::file::{Step, Writing};
use super::files::{FileKey, PLACES};
use super::format::Circumstances;
use super::journal::{Entry, InFlight, LineState, Phase};
use super::note::Note;
use rustix::io::{Errno, ioctl_fionread, read};
use rustix::pipe::{SpliceFlags, splice, tee};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// How much is taken from a stream in a turn at most.
pub(super) const CHUNK: usize = 64 << 10;
/// How much of one that goes to our own output in a form that may be many times as long as what was written.
const PIECE: usize = 16 << 10;
/// How much is thrown away in a turn at most, where nobody wants it.
const DISCARD: usize = 1 << 20;

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// So many bytes.
    Bytes(usize),
    /// Nothing is there now.
    Nothing,
    /// All writers have gone and all is read.
    End,
}

impl Engine {
    /// Takes one chunk of a stream.
    pub(super) fn take(&mut self, flow: &mut Flow, pipe: &OwnedFd) -> io::Result<Taken> {
        if flow.discarded || (flow.files == [None; PLACES] && self.followers.is_empty()) {
            return moved(splice_now(pipe, &self.null, DISCARD));
        }
        let hold = flow.form.needs_whole_lines() || self.files.are_shared(flow.files);
        let entry = flow.entry.map_or(u32::MAX, Entry::number);
        let mut chunk = InFlight {
            phase: Phase::Taking,
            entry,
            hold,
            before: flow.state,
            at: now(),
            ..InFlight::default()
        };
        self.guard(self.journal.note(&chunk));
        let most = if flow.leads_out() && !flow.form.is_verbatim() {
            PIECE
        } else {
            CHUNK
        };
        let taken = moved(splice_now(pipe, &self.staging.write, most))?;
        kill_point();
        if let Taken::Bytes(length) = taken {
            chunk.length = length as u64;
            self.process(flow, chunk, false);
        }
        Ok(taken)
    }

    /// The stream ends, or its process has: what is held goes out, and an unfinished line is ended where lines have a
    /// form or share a file.
    pub(super) fn end_line(&mut self, flow: &mut Flow) {
        let Some(entry) = flow.entry else { return };
        if !flow.state.mid && flow.state.held == 0 {
            return;
        }
        let hold = flow.form.needs_whole_lines() || self.files.are_shared(flow.files);
        let chunk = InFlight {
            phase: Phase::Writing,
            entry: entry.number(),
            hold,
            last: true,
            before: flow.state,
            at: now(),
            ..InFlight::default()
        };
        self.process(flow, chunk, false);
        self.guard(self.journal.note(&InFlight::default()));
    }

    /// Finishes the chunk that a predecessor had in flight.
    pub(super) fn recover(&mut self) -> io::Result<()> {
        discard(&self.peek.read, &self.null)?;
        let mut chunk = self.journal.in_flight()?;
        let level = ioctl_fionread(&self.staging.read)?;
        if let Some((entry, id)) = self.journal.entry(chunk.entry) {
            match chunk.phase {
                Phase::Idle => {}
                Phase::Taking if level == 0 => {}
                Phase::Taking => {
                    chunk.length = level;
                    chunk.before = self.journal.state(entry)?;
                    self.redo(entry, id, chunk, false)?;
                }
                // Only a finished chunk leaves the staging pipe.
                Phase::Writing if level < chunk.length => self.journal.set_state(entry, chunk.after)?,
                Phase::Writing => self.redo(entry, id, chunk, true)?,
            }
        }
        discard(&self.staging.read, &self.null)?;
        self.journal.note(&InFlight::default())
    }

    fn redo(&mut self, entry: Entry, id: super::StreamId, chunk: InFlight, resume: bool) -> io::Result<()> {
        let settings = self.journal.settings(entry)?;
        let mut flow = self.flow(id, settings.name, &settings.target);
        flow.entry = Some(entry);
        // What is noted of the stream, not how it stood before this segment: it decides whether the end is to be noted.
        flow.state = self.journal.state(entry)?;
        self.process(&mut flow, chunk, resume);
        self.files.release(flow.files);
        Ok(())
    }

    /// Writes the chunk in the staging pipe (or, at a stream's end, what is held) and lets go of it.
    fn process(&mut self, flow: &mut Flow, mut chunk: InFlight, resume: bool) {
        chunk.phase = Phase::Writing;
        let mut input = std::mem::take(&mut self.input);
        input.clear();
        match self.load(flow, &chunk, &mut input) {
            Ok(()) => self.write_segments(flow, &mut chunk, &input, resume),
            Err(error) => {
                self.note(Note::Unguarded(error));
                self.count_dropped(flow, chunk.length as usize);
                chunk.after = LineState {
                    held: 0,
                    ..chunk.before
                };
            }
        }
        if chunk.length > 0 {
            self.publish(
                flow,
                input.get(chunk.before.held as usize..).unwrap_or_default(),
                chunk.at,
            );
        }
        self.input = input;
        kill_point();
        self.guard(discard(&self.staging.read, &self.null));
        kill_point();
        if let Some(entry) = flow.entry.filter(|_| flow.state != chunk.after) {
            self.guard(self.journal.set_state(entry, chunk.after));
        }
        flow.state = chunk.after;
    }

    /// Fills the input: what is held back, then the chunk. Consumes nothing.
    fn load(&mut self, flow: &Flow, chunk: &InFlight, input: &mut Vec<u8>) -> io::Result<()> {
        if let Some(entry) = flow.entry {
            self.journal.read_carry(entry, chunk.before, input)?;
        }
        let length = chunk.length as usize;
        if length == 0 {
            return Ok(());
        }
        let seen = tee(&self.staging.read, &self.peek.write, length, SpliceFlags::NONBLOCK)?;
        let start = input.len();
        input.resize(start + length, 0);
        let mut filled = start;
        while filled < start + seen {
            filled += read(&self.peek.read, &mut input[filled..])?;
        }
        if seen < length {
            return Err(io::Error::other("tee(2) duplicated only a part of the staging pipe"));
        }
        Ok(())
    }

    fn write_segments(&mut self, flow: &mut Flow, chunk: &mut InFlight, input: &[u8], resume: bool) {
        let mut resume = resume;
        let mut output = std::mem::take(&mut self.output);
        let first_at = (chunk.before.held > 0).then_some(chunk.before.held_since);
        let how = Circumstances {
            at: chunk.at,
            first_at,
            hold: chunk.hold,
            last: chunk.last,
        };
        loop {
            let start = (chunk.start as usize).min(input.len());
            let segment = flow.form.segment(input, start, chunk.before.mid, how, &mut output);
            let body = segment.verbatim.clone().map_or(&output[..], |range| &input[range]);
            let begun = chunk.before.begun || !body.is_empty();
            chunk.after = LineState {
                mid: segment.mid,
                begun,
                ..chunk.before
            };
            let complete = segment.end == input.len();
            if complete {
                self.hold_back(flow, chunk, &input[segment.held_from..], segment.held_from == 0);
            }
            self.deliver(flow, chunk, body, resume);
            if complete {
                break;
            }
            resume = false;
            chunk.start = segment.end as u64;
            chunk.before = LineState {
                mid: segment.mid,
                begun,
                ..chunk.before
            };
            chunk.marks = Default::default();
        }
        output.shrink_to(2 * CHUNK);
        self.output = output;
    }

    /// Keeps the beginning of an unfinished line. The other area, from which this chunk's input came, stays as it is
    /// until the chunk is done.
    fn hold_back(&mut self, flow: &mut Flow, chunk: &mut InFlight, held: &[u8], from_the_first: bool) {
        chunk.after.held = 0;
        let Some(entry) = flow.entry.filter(|_| !held.is_empty()) else {
            return;
        };
        let since = if from_the_first && chunk.before.held > 0 {
            chunk.before.held_since
        } else {
            chunk.at
        };
        let area = 1 - chunk.before.area;
        let kept = self.journal.write_carry(entry, area, held);
        if kept.is_ok() {
            chunk.after.area = area;
            chunk.after.held = held.len() as u32;
            chunk.after.held_since = since;
        } else {
            self.count_dropped(flow, held.len());
        }
        self.guard(kept);
    }

    /// Appends a segment's output to each file of the stream.
    fn deliver(&mut self, flow: &mut Flow, chunk: &mut InFlight, output: &[u8], resume: bool) {
        let (mut noted, mut dropped) = (false, 0);
        for (place, key) in flow.files.into_iter().enumerate() {
            if let Some(key) = key {
                dropped += self.deliver_to(chunk, output, (place, key), resume, &mut noted);
            }
        }
        self.count_dropped(flow, dropped);
        if !noted {
            self.guard(self.journal.note(chunk));
        }
    }

    /// Appends a segment's output to one file, and gives how much of it was dropped. `noted` becomes true when the chunk
    /// was noted on the way.
    fn deliver_to(
        &mut self,
        chunk: &mut InFlight,
        output: &[u8],
        (place, key): (usize, FileKey),
        resume: bool,
        noted: &mut bool,
    ) -> usize {
        let mut from = 0;
        if resume {
            let mark = chunk.marks[place];
            from = (mark.from as usize).min(output.len());
            from += self.files[key].already_there(mark, &output[from..]);
        }
        let mut dropped = 0;
        while from < output.len() {
            let mid = if from == 0 {
                chunk.before.mid
            } else {
                output[from - 1] != b'\n'
            };
            let first = from == 0 && !chunk.before.begun;
            let writing = Writing {
                rest: &output[from..],
                mid,
                first,
                at: chunk.at,
            };
            let mut trouble = Ok(());
            let step = self.files[key].append(writing, &self.around, &mut |mark| {
                chunk.marks[place] = super::journal::Mark {
                    from: from as u64,
                    ..mark
                };
                trouble = self.journal.note(chunk);
                *noted = true;
            });
            self.guard(trouble);
            match step {
                Step::Wrote(length) => from += length,
                Step::Dropped(length) => {
                    from += length;
                    dropped += length;
                }
            }
        }
        dropped
    }
}

/// Moves what is there without waiting.
fn splice_now(from: impl AsFd, to: impl AsFd, length: usize) -> rustix::io::Result<usize> {
    splice(from, None, to, None, length, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)
}

fn moved(result: rustix::io::Result<usize>) -> io::Result<Taken> {
    match result {
        Ok(0) => Ok(Taken::End),
        Ok(length) => Ok(Taken::Bytes(length)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Taken::Nothing),
        Err(error) => Err(error.into()),
    }
}

/// Empties a pipe of ours.
fn discard(pipe: &OwnedFd, null: &OwnedFd) -> io::Result<()> {
    while ioctl_fionread(pipe)? > 0 {
        splice_now(pipe, null, DISCARD)?;
    }
    Ok(())
}

/// The wall clock, ms since the epoch.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
