//! The hand-over from files to the live stream, and from one daemon to the next.

use super::View;
use super::begin::{Begun, begin};
use super::format::{Form, Formatter, Origin, Stream};
use super::source::{Key, Source};
use crate::client::{CallError, Client, Following};
use crate::error::{Error, Result};
use crate::frames::Frame;
use crate::printer::FAINT;
use crate::selection;
use crate::session::Session;
use ostler_core::{SlotId, WallTime};
use ostler_wire::control::{Follow, FrameKind, LogPlace, Processes};
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::io::Read;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// How long we look for a daemon after one has gone.
const DAEMON_DEADLINE: Duration = Duration::from_secs(3);

/// Between two looks.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// How much of a file is read at once.
const BLOCK: usize = 64 << 10;

/// Shows output as a [`View`] asks for it.
pub struct Follower<'a> {
    session: &'a Session,
    view: View,
    formatter: Formatter,
    sources: BTreeMap<Key, Source>,
    /// Told once the stream has begun.
    begun: Option<oneshot::Sender<()>>,
}

impl<'a> Follower<'a> {
    /// One for the whole run.
    pub fn new(session: &'a Session, view: View) -> Self {
        let zone = jiff::tz::TimeZone::system();
        let colour = session.printer.colours_out();
        let formatter = Formatter::new(
            view.form,
            colour,
            view.timestamp.as_deref(),
            view.highlight.clone(),
            zone,
        );
        Self {
            session,
            view,
            formatter,
            sources: BTreeMap::new(),
            begun: None,
        }
    }

    /// Tells when everything that is written from then on will be shown.
    pub fn tell_begun(mut self, begun: oneshot::Sender<()>) -> Self {
        self.begun = Some(begun);
        self
    }

    /// Shows the last lines of the files and ends.
    pub async fn show_files(mut self) -> Result {
        let Some(mut client) = self.session.daemon_if_any().await? else {
            self.session.printer.warn("no daemon is running");
            return Ok(());
        };
        self.learn(&mut client, true).await?;
        self.announce();
        for key in self.oldest_first() {
            self.show_tail(key, None)?;
            self.finish_line(key)?;
        }
        Ok(())
    }

    /// Shows the last lines of the files, then what is written, until the daemon ends for good.
    pub async fn follow(mut self) -> Result {
        let mut client = self.session.daemon().await?;
        self.learn(&mut client, true).await?;
        self.announce();
        let mut first = true;
        loop {
            match client.follow(&self.request()).await {
                Ok(following) => self.show_stream(following, first).await?,
                Err(CallError::Lost { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            first = false;
            self.sources.values_mut().for_each(Source::broke);
            client = match self.next_daemon().await? {
                Some(client) => client,
                None => {
                    self.session.printer.say("the daemon has ended");
                    return Ok(());
                }
            };
            self.learn(&mut client, false).await?;
        }
    }

    fn request(&self) -> Follow {
        Follow {
            selector: self.view.selector.clone(),
            out: self.view.out,
            error: self.view.error,
            events: self.view.form == Form::Json,
        }
    }

    async fn next_daemon(&self) -> Result<Option<Client>> {
        let began = Instant::now();
        loop {
            match self.session.daemon().await {
                Ok(client) => return Ok(Some(client)),
                Err(CallError::NoDaemon) if began.elapsed() < DAEMON_DEADLINE => sleep(RETRY_INTERVAL).await,
                Err(CallError::NoDaemon) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gets to know the selected processes that are not known yet.
    async fn learn(&mut self, client: &mut Client, must_match: bool) -> Result {
        let all: Processes = client.get("/v1/processes/full").await?;
        let chosen = match &self.view.selector {
            Some(selector) => selection::select(&all.processes, selector)?,
            None => all.processes.iter().collect(),
        };
        if let (true, true, Some(selector)) = (must_match, chosen.is_empty(), &self.view.selector)
            && selector.words != ["all"]
        {
            return Err(selection::not_found(&selector.words.join(", ")));
        }
        for source in chosen.into_iter().flat_map(Source::of) {
            let wanted = match source.stream {
                Stream::Out => self.view.out,
                Stream::Error => self.view.error,
            };
            if wanted {
                match self.sources.entry((source.id, source.stream)) {
                    Entry::Vacant(vacant) => drop(vacant.insert(source)),
                    Entry::Occupied(mut known) => known.get_mut().learn(source),
                }
            }
        }
        Ok(())
    }

    async fn show_stream(&mut self, mut following: Following, first: bool) -> Result {
        let Begun { ends, early } = begin(&mut following, self.sources.keys()).await?;
        self.show_before(&ends, first)?;
        if let Some(begun) = self.begun.take() {
            // Nobody waits for it any more if the input has ended.
            let _ = begun.send(());
        }
        for frame in early {
            self.show_frame(&frame)?;
        }
        while let Some(frame) = following.next().await? {
            self.show_frame(&frame)?;
        }
        Ok(())
    }

    /// Shows what of the files comes before a stream that begins where they end here.
    fn show_before(&mut self, ends: &BTreeMap<Key, Option<LogPlace>>, first: bool) -> Result {
        let mut seen = BTreeSet::new();
        for key in self.oldest_first() {
            let (Some(end), Some(source)) = (ends.get(&key).copied(), self.sources.get_mut(&key)) else {
                continue;
            };
            let missed = source.begin(end);
            // Several streams may go to one file.
            if source.path.clone().is_some_and(|path| !seen.insert(path)) {
                continue;
            }
            match (missed, end) {
                (Some(missed), _) => self.show_file(key, missed)?,
                (None, Some(end)) if first => self.show_tail(key, Some(end))?,
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn show_frame(&mut self, frame: &Frame) -> Result {
        let header = &frame.header;
        match &header.kind {
            FrameKind::Out => self.show_live((header.id, Stream::Out), frame),
            FrameKind::Error => self.show_live((header.id, Stream::Error), frame),
            FrameKind::Begin { out, error } => self.begin_late(header.id, *out, *error),
            FrameKind::Lagged { stream, bytes, place } => self.catch_up((header.id, *stream), *bytes, *place),
            FrameKind::Event { event } => match self.formatter.event(&header.name, header.at, event) {
                Some(line) => Ok(self.session.printer.data(line)?),
                None => Ok(()),
            },
        }
    }

    /// A process that came later: what is in its files from before was not asked for.
    fn begin_late(&mut self, id: SlotId, out: Option<LogPlace>, error: Option<LogPlace>) -> Result {
        for (stream, end) in [(Stream::Out, out), (Stream::Error, error)] {
            let missed = self.sources.get_mut(&(id, stream)).and_then(|source| source.begin(end));
            if let Some(missed) = missed {
                self.show_file((id, stream), missed)?;
            }
        }
        Ok(())
    }

    /// What came too quickly for us is in the file of the stream, unless others write there, too.
    fn catch_up(&mut self, key: Key, bytes: u64, place: Option<LogPlace>) -> Result {
        let missed = self.sources.get_mut(&key).and_then(|source| source.catch_up(place));
        let Some(missed) = missed else {
            let warning = format!("{bytes} bytes were left out: this terminal is too slow");
            self.session.printer.warn(&warning);
            return Ok(());
        };
        self.show_file(key, missed)
    }

    fn show_live(&mut self, key: Key, frame: &Frame) -> Result {
        let name = &frame.header.name;
        self.sources
            .entry(key)
            .or_insert_with(|| Source::unknown(key.0, name.clone(), key.1))
            .advance(frame.header.place);
        self.show_bytes(key, Some(frame.header.at), &frame.bytes)
    }

    fn show_bytes(&mut self, key: Key, at: Option<WallTime>, bytes: &[u8]) -> Result {
        if self.view.form == Form::Raw {
            return self.put(key.1, bytes);
        }
        let Some(source) = self.sources.get_mut(&key) else {
            return Ok(());
        };
        let origin = Origin {
            id: source.id,
            name: &source.name,
            stream: source.stream,
            at,
        };
        let mut text = Vec::new();
        let (lines, date) = (&mut source.lines, source.date.as_ref());
        lines.feed(bytes, |line| {
            text.extend(self.formatter.line(&origin, &self.formatter.dated(date, at, line)));
        });
        self.put(key.1, &text)
    }

    fn finish_line(&mut self, key: Key) -> Result {
        let Some(source) = self.sources.get_mut(&key) else {
            return Ok(());
        };
        let origin = Origin {
            id: source.id,
            name: &source.name,
            stream: source.stream,
            at: None,
        };
        let mut text = Vec::new();
        source
            .lines
            .finish(|line| text.extend(self.formatter.line(&origin, line)));
        self.put(key.1, &text)
    }

    /// Only raw output keeps the two streams apart: everything else is read as one.
    fn put(&self, stream: Stream, bytes: &[u8]) -> Result {
        match (self.view.form, stream) {
            (Form::Raw, Stream::Error) => Ok(self.session.printer.error_data(bytes)?),
            (Form::Raw | Form::Labelled | Form::Json | Form::KeyValue, _) => Ok(self.session.printer.data(bytes)?),
        }
    }

    fn announce(&self) {
        if self.view.form == Form::Labelled && self.view.lines > 0 {
            let whose = self
                .view
                .selector
                .as_ref()
                .map_or_else(|| "all".to_owned(), |own| own.words.join(", "));
            let lines = self.view.lines;
            self.session
                .printer
                .say(&format!("last {lines} lines of {whose} (--lines changes that):"));
        }
    }

    fn show_tail(&mut self, key: Key, before: Option<LogPlace>) -> Result {
        let Some(path) = self.sources.get(&key).and_then(|source| source.path.clone()) else {
            return Ok(());
        };
        if self.view.lines == 0 {
            return Ok(());
        }
        let tail = match ostler_daemon::logs::tail(&path, self.view.lines, before) {
            Ok(tail) => tail,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::system(format!("reading {}: {error}", path.display()))),
        };
        if self.view.form == Form::Labelled {
            let title = format!("{} last {} lines:\n", path.display(), self.view.lines);
            self.session.printer.data(self.session.printer.paint(FAINT, &title))?;
        }
        self.show_file(key, tail)
    }

    /// Shows a part of a stream's file.
    fn show_file(&mut self, key: Key, mut part: impl Read) -> Result {
        let mut block = vec![0; BLOCK];
        loop {
            match part.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(length) => self.show_bytes(key, None, &block[..length])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let path = self.sources.get(&key).and_then(|source| source.path.as_ref());
                    let name = path.map_or_else(|| "a log".to_owned(), |path| path.display().to_string());
                    return Err(Error::system(format!("reading {name}: {error}")));
                }
            }
        }
    }

    /// As PM2: the file written to last is shown last.
    fn oldest_first(&self) -> Vec<Key> {
        let mut keys: Vec<_> = self
            .sources
            .iter()
            .map(|(key, source)| (source.modified(), *key))
            .collect();
        keys.sort();
        keys.into_iter().map(|(_, key)| key).collect()
    }
}

#[cfg(test)]
mod tests;
