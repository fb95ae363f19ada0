//! What can be asked for from the keyboard, and what becomes of it: the same operations as the commands', with the same
//! verdicts in the same words.

use crate::client::Client;
use crate::commands;
use crate::error::Result;
use crate::home::Home;
use crate::intent::{Intent, Wanted};
use crate::printer::Printer;
use crate::printer::captured;
use crate::verdicts;
use ostler_wire::control::{Action, Patch, ScaleTo, Selector};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Reload,
    Restart,
    Stop,
    /// To so many instances.
    Scale(u32),
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What.
    pub deed: Deed,
    /// With which slots, as words that the daemon understands.
    pub words: Vec<String>,
    /// The same for people.
    pub who: String,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the words of the command.
    pub lines: Vec<String>,
    /// Whether it failed.
    pub failed: bool,
}

impl Request {
    /// What is asked before it is done.
    pub fn question(&self) -> [String; 2] {
        let who = &self.who;
        let [first, second] = match self.deed {
            Deed::Reload => [
                "Reload",
                "Workers that share a port are replaced one by one; others restart.",
            ],
            Deed::Restart => ["Restart", "It is stopped and started again, all of it at once."],
            Deed::Stop => ["Stop", "It stays down until it is started or restarted."],
            Deed::Scale(_) => ["Scale", ""],
        };
        [format!("{first} {who}?"), second.to_owned()]
    }

    /// What is said while it is being done.
    pub fn under_way(&self) -> String {
        let who = &self.who;
        match self.deed {
            Deed::Reload => format!("reloading {who}"),
            Deed::Restart => format!("restarting {who}"),
            Deed::Stop => format!("stopping {who}"),
            Deed::Scale(count) => format!("scaling {who} to {count}"),
        }
    }

    /// As the history has it.
    fn verb(&self) -> &'static str {
        match self.deed {
            Deed::Reload => "monit: reload",
            Deed::Restart => "monit: restart",
            Deed::Stop => "monit: stop",
            Deed::Scale(_) => "monit: scale",
        }
    }

    fn action(&self) -> Action {
        let selector = Selector {
            words: self.words.clone(),
            cwd: "/".to_owned(),
        };
        let patch = Patch::default();
        match self.deed {
            Deed::Reload => Action::Reload {
                selector,
                patch,
                parallel: 1,
            },
            Deed::Restart => Action::Restart { selector, patch },
            Deed::Stop => Action::Stop { selector },
            Deed::Scale(count) => Action::Scale {
                selector,
                to: ScaleTo::Absolute(count),
            },
        }
    }

    fn intent(&self) -> Intent {
        match self.deed {
            Deed::Reload => Intent::new("reloaded", Wanted::Up),
            Deed::Restart => Intent::new("restarted", Wanted::Up),
            Deed::Stop => Intent::new("stopped", Wanted::Down),
            Deed::Scale(_) => Intent::new("started", Wanted::Neither),
        }
    }

    /// Has it done and tells what became of it.
    pub async fn carry_out(&self, home: &Home) -> Report {
        let (printer, captured) = captured::printer(false, false);
        let result = self.operate(home, &printer).await;
        if let Err(error) = &result {
            commands::show(&printer, error);
        }
        Report {
            lines: captured.error().lines().map(crate::terminal_text::plain).collect(),
            failed: result.is_err(),
        }
    }

    async fn operate(&self, home: &Home, printer: &Printer) -> Result {
        let intent = self.intent();
        let mut client = Client::connect(home).await?;
        let answer = client.operate(self.verb(), self.action()).await?;
        let outcome = commands::verdicts_of(answer)?;
        verdicts::report(printer, &mut client, &outcome, &intent).await
    }
}
