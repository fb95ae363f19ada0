//! The output of what is selected: the ends of its log files, then what is written, each byte once, also over a change of
//! daemon. The hand-over from file to stream is that of `logs`.

use super::log_pane::LogLine;
use super::model::Input;
use crate::client::{CallError, Client};
use crate::frames::Frame;
use crate::home::Home;
use crate::logs::begin::{Begun, begin};
use crate::logs::format::Stream;
use crate::logs::source::{Key, Source};
use crate::logs::tail;
use ostler_core::SlotId;
use ostler_wire::control::{Follow, FrameKind, LogPlace, Processes, Selector};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// So many lines of each file come first.
const LINES: usize = 200;

/// Somebody who moves through the table is not shown the output of each app on the way.
const SETTLING: Duration = Duration::from_millis(120);

/// Between two attempts to follow.
const RETRY_INTERVAL: Duration = Duration::from_millis(300);

/// Where facts go; nobody is left to take them once the page is closed.
type Inputs = mpsc::Sender<Input>;

/// Why following ended.
enum Ended {
    /// The daemon has gone, or does not answer: who asks it every second says so.
    Daemon,
    /// The page is closed.
    Page,
}

impl From<CallError> for Ended {
    fn from(_: CallError) -> Self {
        Self::Daemon
    }
}

impl From<mpsc::error::SendError<Input>> for Ended {
    fn from(_: mpsc::error::SendError<Input>) -> Self {
        Self::Page
    }
}

/// Follows what is wanted, until nobody is left to be told.
pub async fn follow(home: Home, mut wanted: watch::Receiver<Vec<SlotId>>, inputs: Inputs) {
    loop {
        let slots = wanted.borrow_and_update().clone();
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = one(&home, slots, &inputs) => return,
        }
    }
}

/// Follows these slots; ends with the page.
async fn one(home: &Home, slots: Vec<SlotId>, inputs: &Inputs) {
    sleep(SETTLING).await;
    if slots.is_empty() {
        return std::future::pending().await;
    }
    let mut output = Output {
        slots,
        sources: BTreeMap::new(),
        inputs,
        first: true,
    };
    while let Err(Ended::Daemon) | Ok(()) = output.stream(home).await {
        output.sources.values_mut().for_each(Source::broke);
        sleep(RETRY_INTERVAL).await;
    }
}

struct Output<'a> {
    slots: Vec<SlotId>,
    sources: BTreeMap<Key, Source>,
    inputs: &'a Inputs,
    first: bool,
}

impl Output<'_> {
    /// One stream, to its end.
    async fn stream(&mut self, home: &Home) -> Result<(), Ended> {
        let mut client = Client::connect(home).await?;
        let all: Processes = client.get("/v1/processes/full").await?;
        let chosen = all
            .processes
            .iter()
            .filter(|process| self.slots.contains(&process.view.id));
        for source in chosen.flat_map(Source::of) {
            self.sources.entry((source.id, source.stream)).or_insert(source);
        }
        let mut following = client.follow(&self.request()).await?;
        if self.first {
            self.inputs.send(Input::LogBegins(self.slots.clone())).await?;
        }
        let Begun { ends, early } = begin(&mut following, self.sources.keys()).await?;
        self.files(&ends).await?;
        self.first = false;
        for frame in early {
            self.take(&frame).await?;
        }
        while let Some(frame) = following.next().await? {
            self.take(&frame).await?;
        }
        Ok(())
    }

    fn request(&self) -> Follow {
        Follow {
            selector: Some(Selector {
                words: self.slots.iter().map(ToString::to_string).collect(),
                cwd: "/".to_owned(),
            }),
            out: true,
            error: true,
            events: false,
        }
    }

    /// What the files have before a stream that begins where they end here: of each the end at first, later what was missed. The file written to last comes last.
    async fn files(&mut self, ends: &BTreeMap<Key, Option<LogPlace>>) -> Result<(), Ended> {
        let mut order: Vec<Key> = self.sources.keys().copied().collect();
        order.sort_by_key(|key| self.sources[key].modified());
        let mut seen = BTreeSet::new();
        for key in order {
            let (Some(source), Some(end)) = (self.sources.get_mut(&key), ends.get(&key).copied()) else {
                continue;
            };
            let missed = source.begin(end);
            let Some(path) = source.path.clone().filter(|path| seen.insert(path.clone())) else {
                continue;
            };
            if let Some(mut missed) = missed {
                let mut bytes = Vec::new();
                // What cannot be read any more is left out, as what comes too quickly.
                let _ = missed.read_to_end(&mut bytes);
                self.tell(key, &bytes).await?;
            } else if let Some(end) = end.filter(|_| self.first) {
                // A file of several does not tell whose a line is.
                let shared = self
                    .sources
                    .values()
                    .filter(|other| other.path.as_ref() == Some(&path))
                    .count()
                    > 1;
                let id = (!shared).then_some(key.0);
                let lines = tail::last_lines_of(&path, LINES, Some(end)).unwrap_or_default();
                let lines = lines.iter().map(|line| LogLine::new(id, key.1, line)).collect();
                self.inputs.send(Input::LogLines(lines)).await?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, frame: &Frame) -> Result<(), Ended> {
        let id = frame.header.id;
        let stream = match &frame.header.kind {
            FrameKind::Out => Stream::Out,
            FrameKind::Error => Stream::Error,
            FrameKind::Begin { .. } | FrameKind::Event { .. } => return Ok(()),
            FrameKind::Lagged { bytes, .. } => return Ok(self.inputs.send(Input::LogLeftOut(*bytes)).await?),
        };
        let name = &frame.header.name;
        let source = self.sources.entry((id, stream));
        source
            .or_insert_with(|| Source::unknown(id, name.clone(), stream))
            .advance(frame.header.place);
        self.tell((id, stream), &frame.bytes).await
    }

    async fn tell(&mut self, key: Key, bytes: &[u8]) -> Result<(), Ended> {
        let Some(source) = self.sources.get_mut(&key) else {
            return Ok(());
        };
        let mut lines = Vec::new();
        source
            .lines
            .feed(bytes, |line| lines.push(LogLine::new(Some(key.0), key.1, line)));
        if !lines.is_empty() {
            self.inputs.send(Input::LogLines(lines)).await?;
        }
        Ok(())
    }
}
