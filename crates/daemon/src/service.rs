//! What the service manager that watches us is told (sd_notify(3), docs/design/0014): that we are its main process, that the saved
//! list is up, how many processes run, that the deciding loop turns, and that we end.
//!
//! Used by the reactor's thread alone: a thread of its own would go on saying that all is well when nothing is.

use ostler_sys::service::{self, ServiceManager};
use std::time::Duration;
use tokio::time::Instant;

/// How often it hears of us where it asked for nothing in particular.
const EASE: Duration = Duration::from_secs(10);
/// How often it does while we end, and when it did not take the last message.
const HASTE: Duration = Duration::from_secs(1);
/// For how much longer, each time, an end may take.
const EXTENSION: &str = "EXTEND_TIMEOUT_USEC=20000000";

/// The conversation. Without a service manager nothing is said.
#[derive(Debug, Default)]
pub struct Service {
    manager: Option<ServiceManager>,
    /// How often it is told that the loop turns.
    period: Duration,
    watchdog: bool,
    next: Option<Instant>,
    /// What it was told last.
    status: String,
    /// What it did not take yet, oldest first.
    unsent: Vec<String>,
    ending: bool,
}

impl Service {
    /// As the environment says. What is wrong with it goes to `notes`.
    pub fn from_environment(notes: &mut Vec<String>) -> Self {
        let manager = ServiceManager::from_environment().unwrap_or_else(|error| {
            notes.push(format!(
                "the service manager cannot be told of us: NOTIFY_SOCKET: {error}"
            ));
            None
        });
        Self::new(manager, service::watchdog())
    }

    fn new(manager: Option<ServiceManager>, watchdog: Option<Duration>) -> Self {
        let next = manager.is_some().then(Instant::now);
        Self {
            // Twice within the time is what sd_watchdog_enabled(3) recommends; a loaded machine may need one more.
            period: watchdog.map_or(EASE, |limit| limit / 3),
            watchdog: watchdog.is_some(),
            manager,
            next,
            ..Self::default()
        }
    }

    /// When [`Self::turn`] is due.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether anybody listens.
    pub fn is_watched(&self) -> bool {
        self.manager.is_some()
    }

    /// We are its main process from now on, and up. Who was is our business.
    pub fn up(&mut self, own_pid: i32) {
        self.say(format!("MAINPID={own_pid}\nREADY=1"));
    }

    /// We end, on purpose. The keeper is the last to go, and a process that the service manager started, so that it can wait for
    /// it.
    pub fn end(&mut self, keeper: i32) {
        if !self.ending {
            self.ending = true;
            self.say(format!("STOPPING=1\nMAINPID={keeper}\n{EXTENSION}"));
            self.next = self.manager.is_some().then(|| Instant::now() + HASTE);
        }
    }

    /// What it shows of us, if that has changed.
    pub fn show(&mut self, status: String) {
        if self.manager.is_some() && status != self.status {
            self.say(format!("STATUS={status}"));
            self.status = status;
        }
    }

    /// The loop turns.
    pub fn turn(&mut self) {
        // Forgotten where the service was started anew around us.
        self.status.clear();
        if self.watchdog {
            self.say("WATCHDOG=1".to_owned());
        }
        if self.ending {
            self.say(EXTENSION.to_owned());
        }
        let hurry = self.ending || !self.unsent.is_empty();
        let wait = if hurry { HASTE.min(self.period) } else { self.period };
        self.next = self.manager.is_some().then(|| Instant::now() + wait);
    }

    /// In order, as far as it takes them.
    fn say(&mut self, assignments: String) {
        let Some(manager) = &self.manager else { return };
        self.unsent.push(assignments);
        while let Some(oldest) = self.unsent.first() {
            match manager.tell(oldest) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // One that is gone needs to know nothing.
                Ok(()) | Err(_) => drop(self.unsent.remove(0)),
            }
        }
    }
}

/// Sleeps until then; for ever without a time.
pub async fn due(next: Option<Instant>) {
    match next {
        Some(next) => tokio::time::sleep_until(next).await,
        None => std::future::pending().await,
    }
}
