//! Daemons that die, and those that go on for them.

use super::World;
use ostler_core::{Effect, Event, ExitStatus, WorkerId};

impl World {
    /// Another daemon goes on from the journal. With an event, the one before had just written down what it makes of it, and
    /// died before it carried anything out.
    pub fn change_daemon(&mut self, last: Option<Event>) {
        if let Some(event) = last {
            self.machine.handle(event.clone(), self.now);
            self.twin.as_mut().expect("a journal").machine.handle(event, self.now);
            let _lost = self.ordered();
        }
        self.machine = self.twin.as_ref().expect("a journal").heir(true);
        self.forget_probes();
        let effects: Vec<Effect> = std::iter::from_fn(|| self.machine.poll_effect()).collect();
        self.carry_out_all(effects);
    }

    /// A running main process ends while no daemon looks; its news, to be told to the next one.
    pub fn end_unseen(&mut self, worker: WorkerId) -> Event {
        self.processes.get_mut(&worker).expect("launched").main = false;
        Event::Exited {
            worker,
            status: ExitStatus::Unknown,
            oom_killed: false,
        }
    }
}
