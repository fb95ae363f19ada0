//! What the log thread hands to followers: where each slot's output begins, chunks, events.

use super::super::follow::{Subscription, frame};
use super::super::target::StreamKind;
use super::super::transfer::now;
use super::{Engine, Flow};
use bytes::Bytes;
use ostler_core::{SlotId, WallTime};
use ostler_wire::control::FrameKind;

impl Engine {
    /// Takes a follower on: each slot's beginning, with what is held back of it.
    pub fn follow(&mut self, mut subscription: Subscription) {
        self.followers.retain(|follower| !follower.is_over());
        for known in std::mem::take(&mut subscription.filter.known) {
            let kind = FrameKind::Begin {
                out: self.files.end(known.out.as_deref()),
                error: self.files.end(known.error.as_deref()),
            };
            subscription.begin(known.slot);
            subscription.push(frame(kind, known.slot, known.name, WallTime(now()), Bytes::new()));
        }
        for (slot, name) in self.slots() {
            if (subscription.filter.slots)(slot, &name) && subscription.begin(slot) {
                subscription.push(frame(self.begin(slot), slot, name, WallTime(now()), Bytes::new()));
            }
        }
        for flow in self.streams.iter().flatten().map(|stream| &stream.flow) {
            let mut held = Vec::new();
            let Some(entry) = flow.entry.filter(|_| flow.wanted_by(&subscription)) else {
                continue;
            };
            if flow.state.held > 0 && self.journal.read_carry(entry, flow.state, &mut held).is_ok() {
                let at = WallTime(flow.state.held_since);
                subscription.push(frame(
                    flow.frame_kind(),
                    flow.id.worker.slot,
                    flow.name.clone(),
                    at,
                    held.into(),
                ));
            }
        }
        self.followers.push(subscription);
    }

    /// Hands a process event to the followers who want it.
    pub fn event(&mut self, slot: SlotId, name: &str, event: &str) {
        self.followers.retain(|follower| !follower.is_over());
        for follower in &self.followers {
            if follower.filter.events && (follower.filter.slots)(slot, name) {
                let kind = FrameKind::Event {
                    event: event.to_owned(),
                };
                follower.push(frame(kind, slot, name.to_owned(), WallTime(now()), Bytes::new()));
            }
        }
    }

    /// Hands a chunk to the followers who want it.
    pub fn publish(&mut self, flow: &Flow, bytes: &[u8], at: i64) {
        if self.followers.is_empty() {
            return;
        }
        self.followers.retain(|follower| !follower.is_over());
        let (mut shared, mut place) = (None, None);
        for follower in self.followers.iter().filter(|follower| flow.wanted_by(follower)) {
            let bytes = shared.get_or_insert_with(|| Bytes::copy_from_slice(bytes)).clone();
            let own = || flow.files[0].and_then(|key| self.files[key].end());
            let mut frame = frame(
                flow.frame_kind(),
                flow.id.worker.slot,
                flow.name.clone(),
                WallTime(at),
                bytes,
            );
            frame.header.place = *place.get_or_insert_with(own);
            follower.push(frame);
        }
    }

    /// Tells followers of a slot that began after they did, before its first chunk.
    pub(super) fn introduce(&mut self, flow: &Flow) {
        let slot = flow.id.worker.slot;
        let mut followers = std::mem::take(&mut self.followers);
        for follower in &mut followers {
            if flow.wanted_by(follower) && follower.begin(slot) {
                let kind = self.begin_with(slot, Some(flow));
                follower.push(frame(kind, slot, flow.name.clone(), WallTime(now()), Bytes::new()));
            }
        }
        self.followers = followers;
    }

    fn begin(&self, slot: SlotId) -> FrameKind {
        self.begin_with(slot, None)
    }

    /// Where the slot's files end; `taken` is a stream of it that is having its turn.
    fn begin_with(&self, slot: SlotId, taken: Option<&Flow>) -> FrameKind {
        let flows = self.streams.iter().flatten().map(|stream| &stream.flow).chain(taken);
        let of = |kind| {
            let own = flows
                .clone()
                .filter(move |flow| flow.id.worker.slot == slot && flow.id.kind == kind);
            own.filter_map(|flow| flow.files[0])
                .next_back()
                .and_then(|key| self.files[key].end())
        };
        FrameKind::Begin {
            out: of(StreamKind::Out),
            error: of(StreamKind::Error),
        }
    }
}
