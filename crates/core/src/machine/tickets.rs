//! Requests in flight: what is known of their slots so far. A ticket is answered when every slot has its verdict.

use crate::ids::{SlotId, Ticket};
use crate::machine::journal::{Awaited, TicketRecord};
use crate::outcome::{Outcome, SlotOutcome, Verdict};
use std::collections::BTreeMap;

/// All requests in flight.
#[derive(Debug, Default)]
pub(super) struct Tickets(BTreeMap<Ticket, TicketRecord>);

impl Tickets {
    /// Takes in a request that concerns these slots.
    pub(super) fn open(&mut self, ticket: Ticket, slots: Vec<Awaited>) {
        self.0.insert(ticket, TicketRecord { slots });
    }

    /// Sets a slot's verdict, if it has none yet.
    pub(super) fn conclude(&mut self, ticket: Ticket, slot: SlotId, verdict: Verdict) {
        let awaited = self.0.get_mut(&ticket).and_then(|record| {
            record
                .slots
                .iter_mut()
                .find(|awaited| awaited.slot == slot && awaited.verdict.is_none())
        });
        if let Some(awaited) = awaited {
            awaited.verdict = Some(verdict);
        }
    }

    /// Closes a ticket if every slot has its verdict.
    pub(super) fn take_complete(&mut self, ticket: Ticket) -> Option<Outcome> {
        if self
            .0
            .get(&ticket)?
            .slots
            .iter()
            .any(|awaited| awaited.verdict.is_none())
        {
            return None;
        }
        let record = self.0.remove(&ticket)?;
        let slots = record.slots.into_iter().filter_map(|awaited| {
            let Awaited { slot, name, verdict } = awaited;
            verdict.map(|verdict| SlotOutcome { slot, name, verdict })
        });
        Some(Outcome { slots: slots.collect() })
    }

    /// A request in flight.
    pub(super) fn get(&self, ticket: Ticket) -> Option<&TicketRecord> {
        self.0.get(&ticket)
    }

    /// Drops a request that was answered before a change of daemon.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.0.remove(&ticket);
    }

    /// Puts a request back after a change of daemon.
    pub(super) fn restore(&mut self, ticket: Ticket, record: TicketRecord) {
        self.0.insert(ticket, record);
    }
}
