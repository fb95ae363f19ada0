//! What the daemon answers, asked every second.

use super::model::{Input, Question};
use crate::client::{CallError, Client};
use crate::commands::why;
use crate::home::Home;
use ostler_wire::control::{History, Reloads};
use ostler_wire::metrics::{Charts, Metrics};
use std::time::Duration;
use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use tokio::time::{Instant, sleep_until, timeout};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// The same while something is being reloaded.
const RELOADING_INTERVAL: Duration = Duration::from_millis(250);

/// After so long without an answer that is said, and the daemon is looked for anew.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks, until nobody is left to be told.
pub async fn poll(home: Home, mut questions: UnboundedReceiver<Question>, inputs: Sender<Input>) {
    let mut daemon = Daemon { home, client: None };
    let mut next = Instant::now();
    loop {
        let question = tokio::select! {
            biased;
            asked = questions.recv() => match asked {
                Some(asked) => asked,
                None => return,
            },
            () = sleep_until(next) => Question::Now,
        };
        let answered = timeout(PATIENCE, daemon.ask(&question)).await;
        let facts = match answered {
            Ok(Ok(facts)) => facts,
            Ok(Err(error)) => daemon.lost(&error),
            Err(_elapsed) => daemon.lost(&CallError::NoAnswer { after: PATIENCE }),
        };
        if question == Question::Now {
            let reloading = |fact: &Input| matches!(fact, Input::Reloads(reloads) if !reloads.reloads.is_empty());
            let interval = if facts.iter().any(reloading) {
                RELOADING_INTERVAL
            } else {
                INTERVAL
            };
            next = Instant::now() + interval;
        }
        for fact in facts {
            if inputs.send(fact).await.is_err() {
                return;
            }
        }
    }
}

struct Daemon {
    home: Home,
    client: Option<Client>,
}

impl Daemon {
    async fn ask(&mut self, question: &Question) -> Result<Vec<Input>, CallError> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(Client::connect(&self.home).await?),
        };
        Ok(match question {
            Question::Now => {
                let metrics: Metrics = client.get("/v1/metrics").await?;
                let reloads: Reloads = client.get("/v1/reloads").await?;
                vec![Input::Metrics(Box::new(metrics)), Input::Reloads(Box::new(reloads))]
            }
            Question::Charts(selector) => {
                let path = format!("/v1/charts?selector={}", why::escaped(selector));
                let charts: Charts = client.get(&path).await?;
                vec![Input::Charts(charts.charts)]
            }
            Question::History(slot) => {
                let history: History = client.get(&format!("/v1/history?selector={slot}")).await?;
                vec![Input::History(*slot, history.entries)]
            }
        })
    }

    /// What is to be said, unless it is about the question rather than about the daemon.
    fn lost(&mut self, error: &CallError) -> Vec<Input> {
        if let CallError::Refused(_) = error {
            // What was asked for has gone meanwhile.
            return Vec::new();
        }
        self.client = None;
        vec![Input::Lost(error.to_string())]
    }
}
