//! Operations under way and answered: who waits for what.
//!
//! A client names its operation. If the connection breaks because this daemon is killed, the client sends the same
//! operation to the next one, which finds it here (the records live in the journal) and joins it instead of doing it
//! twice. Invariant: each operation is given to the machine once, whichever daemon answers it.

use crate::api::Reply;
use ostler_core::{Outcome, Ticket};
use ostler_wire::control::{Answer, ApiError, ApiErrorKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many answers are remembered for clients that ask again.
const REMEMBERED: usize = 64;

/// What is known of one operation; kept in the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The client's name for it.
    pub id: String,
    /// How its outcomes become an answer.
    pub form: Form,
    /// The machine's requests it consists of, each with its outcome once there is one.
    pub parts: Vec<(Ticket, Option<Outcome>)>,
    /// The answer, once there is one.
    pub answer: Option<Result<Answer, ApiError>>,
    /// Which answer of all it was: the oldest ones are forgotten first, whichever daemon gave them.
    #[serde(default)]
    pub turn: u64,
}

/// How outcomes become an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Form {
    /// [`Answer::Slots`].
    Slots,
    /// [`Answer::Killed`].
    Killed,
    /// [`Answer::Resurrected`].
    Resurrected {
        /// The file.
        path: String,
        /// Names left alone.
        present: Vec<String>,
        /// What to say.
        warnings: Vec<String>,
    },
    /// The answer came without the machine.
    Immediate,
    /// Workers are asked, once.
    Asked,
    /// A profile is taken; whoever takes over from us goes on with it.
    Profile,
}

/// All operations known.
#[derive(Debug, Default)]
pub struct Operations {
    records: BTreeMap<String, Record>,
    waiting: BTreeMap<String, Vec<Reply<Answer>>>,
    by_ticket: BTreeMap<Ticket, String>,
    answered: VecDeque<String>,
    next_turn: u64,
}

/// A record that changed and must go to the journal, or one that was forgotten.
#[derive(Debug)]
pub enum Kept {
    /// Put it.
    Put(Record),
    /// Remove it.
    Remove(String),
}

impl Operations {
    /// Goes on with a predecessor's records.
    pub fn restore(records: impl Iterator<Item = Record>) -> Self {
        let mut records: Vec<Record> = records.collect();
        records.sort_by_key(|record| record.turn);
        let mut operations = Self {
            next_turn: records.last().map_or(0, |newest| newest.turn + 1),
            ..Self::default()
        };
        for mut record in records {
            if matches!(record.form, Form::Asked) && record.answer.is_none() {
                record.turn = operations.take_turn();
                record.answer = Some(Err(interrupted()));
            }
            operations.insert(record);
        }
        operations
    }

    /// Joins an operation that is known already. Gives the reply back if it is not.
    pub fn join(&mut self, id: &str, reply: Reply<Answer>) -> Option<Reply<Answer>> {
        match self.records.get(id) {
            None => return Some(reply),
            Some(Record {
                answer: Some(answer), ..
            }) => {
                let _ = reply.send(answer.clone());
            }
            Some(_) => self.waiting.entry(id.to_owned()).or_default().push(reply),
        }
        None
    }

    /// Notes a new operation and who waits for it.
    pub fn begin(&mut self, id: &str, form: Form, tickets: Vec<Ticket>, reply: Reply<Answer>) -> Vec<Kept> {
        let parts = tickets.into_iter().map(|ticket| (ticket, None)).collect();
        self.waiting.entry(id.to_owned()).or_default().push(reply);
        self.insert(Record {
            id: id.to_owned(),
            form,
            parts,
            answer: None,
            turn: 0,
        });
        self.conclude(id)
    }

    /// Notes an operation that is about to be carried out without the machine, and never again. Of one that is [`Form::Asked`] whoever takes
    /// over from us does not know how far it came, and says so.
    pub fn hold(&mut self, id: &str, form: Form, reply: Reply<Answer>) -> Vec<Kept> {
        self.waiting.entry(id.to_owned()).or_default().push(reply);
        let record = Record {
            id: id.to_owned(),
            form,
            parts: Vec::new(),
            answer: None,
            turn: 0,
        };
        self.insert(record.clone());
        vec![Kept::Put(record)]
    }

    /// Notes an answer that needed no machine.
    pub fn answer(&mut self, id: &str, answer: Result<Answer, ApiError>, reply: Reply<Answer>) -> Vec<Kept> {
        self.waiting.entry(id.to_owned()).or_default().push(reply);
        self.settle(id, answer)
    }

    /// Notes the answer to an operation that needed no machine, for whoever waits for it.
    pub fn settle(&mut self, id: &str, answer: Result<Answer, ApiError>) -> Vec<Kept> {
        let turn = self.take_turn();
        self.insert(Record {
            id: id.to_owned(),
            form: Form::Immediate,
            parts: Vec::new(),
            answer: Some(answer),
            turn,
        });
        self.tell(id)
    }

    /// Takes the machine's replies to parts. However many come at once, each operation is looked at and kept once.
    pub fn outcomes<'a>(&mut self, replies: impl Iterator<Item = (Ticket, &'a Outcome)>) -> Vec<Kept> {
        let mut changed = BTreeSet::new();
        for (ticket, outcome) in replies {
            let Some(id) = self.by_ticket.remove(&ticket) else {
                continue;
            };
            let part = self
                .records
                .get_mut(&id)
                .and_then(|record| record.parts.iter_mut().find(|(part, _)| *part == ticket));
            if let Some((_, slot)) = part {
                *slot = Some(outcome.clone());
            }
            changed.insert(id);
        }
        changed.iter().flat_map(|id| self.conclude(id)).collect()
    }

    /// The operations for profiles that are not answered.
    pub fn held(&self) -> Vec<String> {
        let held = |record: &&Record| matches!(record.form, Form::Profile) && record.answer.is_none();
        self.records
            .values()
            .filter(held)
            .map(|record| record.id.clone())
            .collect()
    }

    /// Whether a client waits for an operation to end.
    pub fn are_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn take_turn(&mut self) -> u64 {
        let turn = self.next_turn;
        self.next_turn += 1;
        turn
    }

    fn insert(&mut self, record: Record) {
        for (ticket, outcome) in &record.parts {
            if outcome.is_none() {
                self.by_ticket.insert(*ticket, record.id.clone());
            }
        }
        if record.answer.is_some() {
            self.answered.push_back(record.id.clone());
        }
        self.records.insert(record.id.clone(), record);
    }

    /// If all parts have an outcome, makes the answer and tells it.
    fn conclude(&mut self, id: &str) -> Vec<Kept> {
        let turn = self.take_turn();
        let Some(record) = self.records.get_mut(id) else {
            return Vec::new();
        };
        if record.parts.iter().any(|(_, outcome)| outcome.is_none()) {
            return vec![Kept::Put(record.clone())];
        }
        let slots = record
            .parts
            .iter()
            .filter_map(|(_, outcome)| outcome.clone())
            .flat_map(|outcome| outcome.slots);
        let outcome = Outcome { slots: slots.collect() };
        record.answer = Some(Ok(match record.form.clone() {
            Form::Killed => Answer::Killed(outcome),
            Form::Resurrected {
                path,
                present,
                warnings,
            } => Answer::Resurrected {
                path,
                outcome,
                present,
                warnings,
            },
            Form::Slots | Form::Immediate | Form::Asked | Form::Profile => Answer::Slots(outcome),
        }));
        record.turn = turn;
        self.answered.push_back(id.to_owned());
        self.tell(id)
    }

    fn tell(&mut self, id: &str) -> Vec<Kept> {
        let Some(record) = self.records.get(id) else {
            return Vec::new();
        };
        let mut kept = vec![Kept::Put(record.clone())];
        for reply in self.waiting.remove(id).unwrap_or_default() {
            if let Some(answer) = &record.answer {
                let _ = reply.send(answer.clone());
            }
        }
        while self.answered.len() > REMEMBERED {
            if let Some(oldest) = self.answered.pop_front() {
                self.records.remove(&oldest);
                kept.push(Kept::Remove(oldest));
            }
        }
        kept
    }
}

fn interrupted() -> ApiError {
    ApiError {
        kind: ApiErrorKind::System,
        message: "the daemon was replaced while the processes were being asked".to_owned(),
        hint: Some("Whether they have done it their logs know; it was not asked again.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::{SlotId, SlotOutcome, Verdict};
    use tokio::sync::oneshot;

    fn outcome(slot: u32) -> Outcome {
        let verdict = Verdict::Deleted;
        Outcome {
            slots: vec![SlotOutcome {
                slot: SlotId(slot),
                name: "a".to_owned(),
                verdict,
            }],
        }
    }

    #[test]
    fn an_operation_is_answered_when_its_last_part_is_there() {
        let mut operations = Operations::default();
        let (reply, mut answer) = oneshot::channel();
        operations.begin("x", Form::Slots, vec![Ticket(1), Ticket(2)], reply);
        operations.outcomes([(Ticket(2), &outcome(2))].into_iter());
        assert!(answer.try_recv().is_err(), "one part is missing");
        operations.outcomes([(Ticket(1), &outcome(1))].into_iter());
        let slots = [outcome(1).slots, outcome(2).slots].concat();
        assert_eq!(
            answer.try_recv().expect("answered"),
            Ok(Answer::Slots(Outcome { slots }))
        );
    }

    #[test]
    fn the_same_operation_sent_to_a_successor_joins_and_is_not_done_again() {
        let mut first = Operations::default();
        let (reply, _gone) = oneshot::channel();
        let kept = first.begin("x", Form::Slots, vec![Ticket(1)], reply);
        let records = kept.into_iter().filter_map(|kept| match kept {
            Kept::Put(record) => Some(record),
            Kept::Remove(_) => None,
        });
        let mut successor = Operations::restore(records);
        let (reply, mut answer) = oneshot::channel();
        assert!(successor.join("x", reply).is_none(), "it is known");
        successor.outcomes([(Ticket(1), &outcome(1))].into_iter());
        assert_eq!(answer.try_recv().expect("answered"), Ok(Answer::Slots(outcome(1))));
        let (reply, mut again) = oneshot::channel();
        assert!(successor.join("x", reply).is_none());
        assert_eq!(again.try_recv().expect("remembered"), Ok(Answer::Slots(outcome(1))));
    }

    #[test]
    fn old_answers_are_forgotten() {
        let mut operations = Operations::default();
        let mut removed = 0;
        for number in 0..REMEMBERED + 10 {
            let (reply, _) = oneshot::channel();
            let kept = operations.answer(&number.to_string(), Ok(Answer::Done { count: 0 }), reply);
            removed += kept.iter().filter(|kept| matches!(kept, Kept::Remove(_))).count();
        }
        assert_eq!(removed, 10);
        assert_eq!(operations.records.len(), REMEMBERED);
    }

    #[test]
    fn a_successor_forgets_the_oldest_answers_first() {
        let mut first = Operations::default();
        let done = || Ok(Answer::Done { count: 0 });
        for number in 0..REMEMBERED {
            let (reply, _) = oneshot::channel();
            // Their order by name is the reverse.
            first.answer(&format!("{:03}", 999 - number), done(), reply);
        }
        let mut successor = Operations::restore(first.records.into_values());
        let (reply, _) = oneshot::channel();
        let kept = successor.answer("one more", done(), reply);
        assert!(
            matches!(&kept[..], [Kept::Put(_), Kept::Remove(oldest)] if oldest == "999"),
            "{kept:?}"
        );
    }
}
