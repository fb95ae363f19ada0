//! What signals ask for, what we say ourselves, and the end of the daemon.

use super::Daemon;
use crate::container::Container;
use crate::fact::{Fact, Told};
use ostler_core::{Event, ExitStatus, Origin, Request, SlotId};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;

/// How long an ending daemon waits for its last answers to be read.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long whoever reads the output of a container may pause before the rest of it is given up.
const LAST_OUTPUT: Duration = Duration::from_secs(2);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(2);

impl Daemon {
    /// Our own log is standard error: `ostler.log` in the home directory. In a container apps write there too, so it goes the same way
    /// as what they write.
    #[expect(clippy::print_stderr, reason = "standard error is the daemon's log file")]
    pub(crate) fn note(&self, text: &str) {
        let at = jiff::Zoned::now();
        match &self.container {
            Some(container) => self.logs.say(container.line(text, &at)),
            None => eprintln!("{} {text}", at.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z")),
        }
    }

    pub(super) fn told(&mut self, told: Told) {
        match told {
            Told::ReopenLogs => self.reopen_logs(),
            Told::End(signal) => self.told_to_end(signal),
            Told::Reload => {
                self.note("reloading all apps: SIGHUP");
                let slots = self.all();
                let request = Request::Reload {
                    slots,
                    specs: Vec::new(),
                    parallel: 1,
                    only_changed: false,
                };
                self.ask(request, by("the daemon was told to reload by SIGHUP"));
            }
            Told::Forward(signal) => {
                let slots = self.all();
                self.ask(Request::Signal { slots, signal }, by("a signal to the container"));
            }
        }
    }

    fn told_to_end(&mut self, signal: &str) {
        if self.machine.is_shutting_down() {
            return self.told_to_end_again(signal);
        }
        self.note(&format!("ending: {signal}"));
        if self.container.is_none() {
            self.save_before_the_end();
        }
        let by = by(&format!("the daemon was told to end by {signal}"));
        self.ask(self.wind_down(), by);
    }

    /// The end that workers may finish before.
    pub(super) fn wind_down(&self) -> Request {
        let within = self.container.as_ref().and_then(Container::shutdown_timeout);
        Request::WindDown { within }
    }

    /// Elsewhere than in a container that is no haste: at the end of a machine keeper and daemon are told at once, and the keeper tells us too.
    /// There is `ostler kill` for who does not want to wait.
    fn told_to_end_again(&mut self, signal: &str) {
        if self.container.is_some() {
            self.note(&format!("{signal} again: not waiting any longer"));
            self.tell(Event::Hurry);
        } else {
            self.note(&format!("{signal} again: ending already"));
        }
    }

    fn all(&self) -> Vec<SlotId> {
        self.machine.slots().map(|slot| slot.id).collect()
    }

    /// Some process that the keeper has reaped may be the one that was to start everything.
    pub(super) fn may_be_starter(&mut self, pid: i32, status: i32) {
        if self.container.as_ref().is_none_or(|container| container.starter != pid) {
            return;
        }
        let status = ostler_sys::ExitStatus::from_wait_status(status);
        let status = status.map_or(ExitStatus::Unknown, super::ends::converted);
        self.tell(Event::StarterEnded { status });
    }

    /// What a predecessor may not have been told of, or not have written down, of who starts everything.
    pub(super) fn look_for_starter(&mut self) {
        let Some(starter) = self.container.as_ref().map(|container| container.starter) else {
            return;
        };
        let told = self.reaped.iter().find(|(pid, _)| *pid == starter).copied();
        match told {
            Some((pid, status)) => self.may_be_starter(pid, status),
            // Where a keeper was killed, somebody else has reaped it.
            None if self.keeper.get(crate::take_over::FOSTERED_KEY).is_some() => {
                let status = ExitStatus::Unknown;
                self.tell(Event::StarterEnded { status });
            }
            None => {}
        }
    }

    pub(super) async fn end(&mut self, mut facts: UnboundedReceiver<Fact>, code: u8) {
        // Calls that came too late: letting go of them tells their clients so.
        facts.close();
        while facts.try_recv().is_ok() {}
        drop(facts);
        self.end_commands().await;
        self.told.events.end();
        self.connections.end();
        let socket = self.home.join(ostler_wire::control::SOCKET);
        let _ = std::fs::remove_file(socket);
        self.scribe.finish(LAST_WORDS);
        let patience = Instant::now() + LAST_WORDS;
        while self.connections.open() > 0 && Instant::now() < patience {
            tokio::time::sleep(LOOK).await;
        }
        if self.container.is_some() {
            self.pass_last_output_on().await;
        }
        self.containment.close();
        self.keeper.farewell(code);
    }

    /// Whoever reads the output of a container gets all of it, if he reads on.
    async fn pass_last_output_on(&mut self) {
        let (send, stopped) = tokio::sync::oneshot::channel::<()>();
        self.logs.stop(move || drop(send));
        let _ = tokio::time::timeout(LAST_OUTPUT, stopped).await;
        let (mut left, mut since) = (self.logs.left_for_consoles(), Instant::now());
        while left > 0 && since.elapsed() < LAST_OUTPUT {
            tokio::time::sleep(LOOK).await;
            let now = self.logs.left_for_consoles();
            if now < left {
                (left, since) = (now, Instant::now());
            }
        }
    }
}

fn by(what: &str) -> Origin {
    Origin::Daemon {
        reason: what.to_owned(),
    }
}
