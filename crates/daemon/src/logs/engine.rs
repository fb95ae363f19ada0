//! The log thread's state: which streams there are, what they write to, who follows. Called by the thread's loop; each
//! call returns soon.

mod followers;

use super::archive::{Archive, Notes};
use super::file::Surroundings;
use super::files::{CONSOLE, Files, Keys};
use super::follow::Subscription;
use super::format::Form;
use super::handle::Statistics;
use super::journal::{Entry, Journal, LineState, Settings};
use super::note::{FileError, Note};
use super::outlet::Outlet;
use super::target::{StreamId, StreamKind, Target};
use super::transfer::{CHUNK, Taken};
use super::vault::{Pipe, Vault};
use ostler_core::SlotId;
use ostler_wire::control::FrameKind;
use rustix::event::epoll;
use rustix::io::ioctl_fionread;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

/// The log thread's state.
pub(super) struct Engine {
    pub journal: Journal,
    pub staging: Pipe,
    pub peek: Pipe,
    pub null: OwnedFd,
    epoll: Arc<OwnedFd>,
    streams: Vec<Option<Stream>>,
    /// The files of a predecessor's streams that are not attached again yet: whoever shares one must know it.
    inherited: BTreeMap<StreamId, Keys>,
    /// Streams that wait for room on our own output.
    paused: Vec<usize>,
    pub files: Files,
    pub around: Surroundings,
    pub followers: Vec<Subscription>,
    statistics: Statistics,
    /// What is held back of the stream in its turn, then its chunk.
    pub input: Vec<u8>,
    /// A segment in its form.
    pub output: Vec<u8>,
    /// The journal's failure has been told.
    unguarded: bool,
}

/// A stream with its pipe.
struct Stream {
    pipe: Arc<OwnedFd>,
    flow: Flow,
}

/// A stream's way into its files.
pub(super) struct Flow {
    pub id: StreamId,
    pub name: String,
    /// Nobody is to get anything.
    pub discarded: bool,
    pub form: Form,
    /// Own file, combined file, what leads to our own output.
    pub files: Keys,
    /// Its region of the journal.
    pub entry: Option<Entry>,
    pub state: LineState,
    /// Output has been dropped, and its file has not been written since.
    ailing: bool,
}

impl Engine {
    /// Takes a vault over and finishes what a predecessor left in it.
    pub fn new(
        vault: Vault,
        outlets: &[Arc<Outlet>],
        epoll: Arc<OwnedFd>,
        notes: Notes,
        statistics: Statistics,
    ) -> io::Result<Self> {
        let mut engine = Self {
            journal: Journal::open(vault.journal)?,
            staging: vault.staging,
            peek: vault.peek,
            null: File::options().write(true).open("/dev/null")?.into(),
            epoll,
            streams: Vec::new(),
            inherited: BTreeMap::new(),
            paused: Vec::new(),
            files: Files::default(),
            around: Surroundings {
                archive: Archive::new(notes.clone()),
                notes,
            },
            followers: Vec::new(),
            statistics,
            input: Vec::with_capacity(2 * CHUNK),
            output: Vec::new(),
            unguarded: false,
        };
        engine.files.add_consoles(outlets);
        engine.recover()?;
        engine.inherit();
        Ok(engine)
    }

    /// Opens the files of the predecessor's streams.
    fn inherit(&mut self) {
        for entry in self.journal.entries(|_| true) {
            // Without settings it was killed before its attach came to an end, and will be attached as a new one.
            if let (Some((_, id)), Ok(settings)) = (self.journal.entry(entry.number()), self.journal.settings(entry)) {
                self.inherited.insert(id, self.files.acquire(&settings.target));
            }
        }
    }

    /// Takes a stream on.
    pub fn attach(&mut self, id: StreamId, name: String, pipe: Arc<OwnedFd>, target: &Target) {
        let mut flow = self.flow(id, name, target);
        if let Some(files) = self.inherited.remove(&id) {
            self.files.release(files);
        }
        if !flow.discarded {
            match self.register(id, &flow.name, target) {
                Ok((entry, state)) => {
                    flow.entry = Some(entry);
                    flow.state = state;
                }
                Err(error) => self.guard(Err(error)),
            }
        }
        let key = self
            .streams
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.streams.len());
        let data = epoll::EventData::new_u64(key as u64);
        let watched = epoll::add(&*self.epoll, &*pipe, data, epoll::EventFlags::IN);
        let stream = Stream { pipe, flow };
        if let Err(error) = watched {
            self.note(Note::Abandoned {
                stream: id,
                error: error.into(),
            });
            self.remove(&stream);
        } else if key == self.streams.len() {
            self.streams.push(Some(stream));
        } else {
            self.streams[key] = Some(stream);
        }
    }

    /// Lets go of those of the predecessor's streams that were not attached again: what is held back of them goes out.
    pub fn disown(&mut self, which: impl Fn(StreamId) -> bool) {
        let ids: Vec<StreamId> = self.inherited.keys().copied().filter(|id| which(*id)).collect();
        for id in ids {
            let ended = self.end_inherited(id);
            self.guard(ended);
            if let Some(files) = self.inherited.remove(&id) {
                self.files.release(files);
            }
        }
    }

    fn end_inherited(&mut self, id: StreamId) -> io::Result<()> {
        let Some((entry, state)) = self.journal.find(id)? else {
            return Ok(());
        };
        let settings = self.journal.settings(entry)?;
        let mut flow = self.flow(id, settings.name, &settings.target);
        flow.entry = Some(entry);
        flow.state = state;
        self.end_line(&mut flow);
        self.files.release(flow.files);
        self.journal.release(entry)
    }

    /// Whether there are files to be opened when there is time for it.
    pub fn has_unopened_files(&self) -> bool {
        self.files.are_unopened()
    }

    /// Opens the files of streams that have written nothing yet, so that they are there for whoever looks for them.
    pub fn open_files(&mut self) {
        self.files.open_early(&self.around);
    }

    /// Gives a stream one turn: at most one chunk.
    pub fn turn(&mut self, key: usize) {
        let Some(stream) = self.streams.get_mut(key).and_then(Option::take) else {
            return;
        };
        if self.files.are_congested(stream.flow.files) {
            // Whoever writes faster than our output is read has to wait, as for any other pipe.
            let _ = epoll::delete(&*self.epoll, stream.pipe.as_fd());
            self.paused.push(key);
            self.streams[key] = Some(stream);
            return;
        }
        let (stream, _) = self.read(stream);
        self.streams[key] = stream;
    }

    /// There is room on our own output again.
    pub fn resume(&mut self) {
        for key in std::mem::take(&mut self.paused) {
            if let Some(stream) = self.streams.get(key).and_then(Option::as_ref) {
                let data = epoll::EventData::new_u64(key as u64);
                // One that is watched already is another that has come in its place.
                let _ = epoll::add(&*self.epoll, stream.pipe.as_fd(), data, epoll::EventFlags::IN);
            }
        }
    }

    /// The main processes of a worker are gone: reads what is in its pipes now and ends unfinished lines.
    pub fn ended(&mut self, which: impl Fn(StreamId) -> bool) {
        for key in self.keys(which) {
            let Some(stream) = self.streams[key].take() else {
                continue;
            };
            self.streams[key] = self.read_out(stream);
        }
    }

    /// Reads what is in the pipes now and lets go of the streams.
    pub fn close(&mut self, which: impl Fn(StreamId) -> bool + Copy) {
        for key in self.keys(which) {
            let Some(stream) = self.streams[key].take() else {
                continue;
            };
            if let Some(stream) = self.read_out(stream) {
                self.remove(&stream);
            }
        }
        self.disown(which);
        for entry in self.journal.entries(which) {
            let released = self.journal.release(entry);
            self.guard(released);
        }
    }

    /// Lets go of everything of a slot.
    pub fn forget(&mut self, slot: SlotId) {
        self.close(|id| id.worker.slot == slot);
        let mut statistics = self.statistics.lock().expect("invariant: nobody panics with this lock");
        statistics.retain(|(of, _), _| *of != slot);
        self.followers.iter_mut().for_each(|follower| follower.forget(slot));
    }

    /// Empties files.
    pub fn flush(&mut self, paths: &[PathBuf]) -> Vec<FileError> {
        self.files.flush(paths)
    }

    /// Opens all files anew.
    pub fn reopen(&mut self) -> Vec<FileError> {
        self.files.reopen()
    }

    /// Puts a line of our own among those of apps.
    pub fn say(&mut self, line: &str) {
        self.files.say(line.as_bytes(), &self.around);
    }

    /// A stream's way into its files, as if nothing had been written.
    pub fn flow(&mut self, id: StreamId, name: String, target: &Target) -> Flow {
        let form = Form::of(target, id, &name);
        let files = self.files.acquire(target);
        Flow {
            id,
            name,
            discarded: target.disabled,
            form,
            files,
            entry: None,
            state: LineState::default(),
            ailing: false,
        }
    }

    /// Counts output of a stream that did not get into a file, and notes why; or that it does again.
    pub fn count_dropped(&mut self, flow: &mut Flow, length: usize) {
        let error = flow.files.into_iter().flatten().find_map(|key| self.files[key].error());
        if length == 0 && flow.ailing == error.is_some() {
            return;
        }
        flow.ailing = error.is_some();
        let mut statistics = self.statistics.lock().expect("invariant: nobody panics with this lock");
        let entry = statistics.entry((flow.id.worker.slot, flow.id.kind)).or_default();
        entry.dropped += length as u64;
        entry.last_error = error;
    }

    /// Tells of a failed journal, once. Logging goes on without.
    pub fn guard(&mut self, result: io::Result<()>) {
        if let Err(error) = result
            && !self.unguarded
        {
            self.unguarded = true;
            self.note(Note::Unguarded(error));
        }
    }

    pub fn note(&self, note: Note) {
        (self.around.notes)(note);
    }

    /// One chunk of a stream; the stream is gone when it has ended. The flag says whether there was anything.
    fn read(&mut self, mut stream: Stream) -> (Option<Stream>, usize) {
        self.introduce(&stream.flow);
        match self.take(&mut stream.flow, &stream.pipe) {
            Ok(Taken::Bytes(length)) => return (Some(stream), length),
            Ok(Taken::Nothing) => return (Some(stream), 0),
            Ok(Taken::End) => self.end_line(&mut stream.flow),
            Err(error) => {
                self.note(Note::Abandoned {
                    stream: stream.flow.id,
                    error,
                });
                self.end_line(&mut stream.flow);
            }
        }
        self.remove(&stream);
        (None, 0)
    }

    /// What is in the pipe now, however much is written meanwhile, and the end of an unfinished line.
    fn read_out(&mut self, stream: Stream) -> Option<Stream> {
        let mut left = ioctl_fionread(&stream.pipe).unwrap_or(0);
        let mut stream = stream;
        while left > 0 {
            let (back, length) = self.read(stream);
            stream = back?;
            left = if length == 0 {
                0
            } else {
                left.saturating_sub(length as u64)
            };
        }
        self.end_line(&mut stream.flow);
        Some(stream)
    }

    fn remove(&mut self, stream: &Stream) {
        // The keeper's copy of the pipe would keep it watched after it is closed here (epoll(7), questions and answers).
        let _ = epoll::delete(&*self.epoll, stream.pipe.as_fd());
        self.files.release(stream.flow.files);
        if let Some(entry) = stream.flow.entry {
            let released = self.journal.release(entry);
            self.guard(released);
        }
    }

    /// The stream's region of the journal, a predecessor's if there is one, with how it stands.
    fn register(&mut self, id: StreamId, name: &str, target: &Target) -> io::Result<(Entry, LineState)> {
        let (entry, state) = match self.journal.find(id)? {
            Some(found) => found,
            None => (self.journal.claim(id)?, LineState::default()),
        };
        self.journal.set_settings(
            entry,
            &Settings {
                name: name.to_owned(),
                target: target.clone(),
            },
        )?;
        Ok((entry, state))
    }

    fn keys(&self, which: impl Fn(StreamId) -> bool) -> Vec<usize> {
        let ours = |stream: &Option<Stream>| stream.as_ref().is_some_and(|stream| which(stream.flow.id));
        (0..self.streams.len())
            .filter(|key| ours(&self.streams[*key]))
            .collect()
    }

    /// The slots that have streams, with their apps' names.
    fn slots(&self) -> BTreeMap<SlotId, String> {
        let flows = self.streams.iter().flatten().map(|stream| &stream.flow);
        flows.map(|flow| (flow.id.worker.slot, flow.name.clone())).collect()
    }
}

impl Flow {
    /// Whether it goes to our own output.
    pub fn leads_out(&self) -> bool {
        self.files[CONSOLE].is_some()
    }

    fn wanted_by(&self, follower: &Subscription) -> bool {
        let kind = match self.id.kind {
            StreamKind::Out => follower.filter.out,
            StreamKind::Error => follower.filter.error,
        };
        kind && !self.discarded && (follower.filter.slots)(self.id.worker.slot, &self.name)
    }

    fn frame_kind(&self) -> FrameKind {
        match self.id.kind {
            StreamKind::Out => FrameKind::Out,
            StreamKind::Error => FrameKind::Error,
        }
    }
}

/// A moment at which tests kill the engine.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn kill_point() {}

#[cfg(test)]
pub(super) use super::kill::kill_point;
