//! Getting a reading to the collector: as requests that are not too large, each tried again while that may help and time is left.

use super::answer::{Meaning, Trouble, understand};
use super::news::News;
use super::post::Post;
use super::request::{ExportRequest, ResourceMetrics};
use super::retry;
use hyper::body::Bytes;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// How many resources are in one request: some hundred kilobytes, and even if apps measure a hundred things each, far below the 20 MiB that
/// collectors are to take.
const MOST_RESOURCES: usize = 200;

/// What is said of trouble that may be over soon.
const TRYING: &str = "trying again";

/// See the module's header.
pub struct Delivery {
    post: Post,
    /// How long one try may take.
    limit: Duration,
    /// Before that the collector does not want to hear from us.
    not_before: Option<Instant>,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivered {
    /// All is there.
    Whole,
    /// All is there but what the collector rejected, or it had something to say: how many points, and what it says.
    InPart(u64, String),
    /// It is not, and will not be.
    No(Trouble),
}

impl Delivery {
    /// By this post, each try within this time.
    pub fn new(post: Post, limit: Duration) -> Self {
        Self {
            post,
            limit,
            not_before: None,
        }
    }

    /// Until when the collector wants to be left alone.
    pub fn rests_until(&self) -> Option<Instant> {
        self.not_before.filter(|until| *until > Instant::now())
    }

    /// Sends all of it. What is refused does not keep back the rest; what is not taken for now does, and no try begins after `deadline`.
    pub async fn deliver(&mut self, resources: &[ResourceMetrics], deadline: Instant, news: &mut News) -> Delivered {
        let mut ended = Delivered::Whole;
        for chunk in parts(resources) {
            let request = ExportRequest {
                resource_metrics: chunk,
            };
            let body = match serde_json::to_vec(&request) {
                Ok(body) => Bytes::from(body),
                Err(error) => return Delivered::No(unwritable(&error)),
            };
            match self.send(body, deadline, news).await {
                Meaning::Taken => {}
                Meaning::TakenInPart { rejected, message } => ended = ended.and_part(rejected, message),
                Meaning::Later { trouble, .. } => return Delivered::No(trouble),
                Meaning::Refused(trouble) => ended = Delivered::No(trouble),
            }
        }
        ended
    }

    /// Sends one request, until that came to something or it is too late.
    async fn send(&mut self, body: Bytes, deadline: Instant, news: &mut News) -> Meaning {
        let mut tries = 0;
        loop {
            let (trouble, after) = match self.attempt(body.clone()).await {
                Meaning::Later { trouble, after } => (trouble, after),
                settled => return settled,
            };
            tries += 1;
            let next = Instant::now() + retry::delay(tries, after, retry::chance());
            self.not_before = after.map(|_| next);
            if next >= deadline {
                return Meaning::Later { trouble, after };
            }
            news.stumble(&trouble, TRYING);
            sleep_until(next).await;
        }
    }

    async fn attempt(&mut self, body: Bytes) -> Meaning {
        let heard = timeout(self.limit, self.post.send(body)).await;
        let heard = heard.unwrap_or_else(|_elapsed| Err(silence(self.limit)));
        match heard {
            Ok(heard) => understand(&heard, Timestamp::now()),
            Err(trouble) => Meaning::Later { trouble, after: None },
        }
    }
}

impl Delivered {
    /// With what was said of one request more.
    fn and_part(self, rejected: u64, message: String) -> Self {
        match self {
            Self::Whole => Self::InPart(rejected, message),
            Self::InPart(before, said) => Self::InPart(before.saturating_add(rejected), said),
            Self::No(trouble) => Self::No(trouble),
        }
    }
}

/// What goes into one request each. That there is nothing is a request, too: it shows whether the collector is well.
fn parts(resources: &[ResourceMetrics]) -> impl Iterator<Item = &[ResourceMetrics]> {
    let nothing = resources.is_empty().then_some(resources);
    resources.chunks(MOST_RESOURCES).chain(nothing)
}

fn silence(limit: Duration) -> Trouble {
    Trouble {
        kind: "silence".to_owned(),
        cause: format!("gave no answer within {} s", limit.as_secs_f64()),
        hint: Some("OTEL_EXPORTER_OTLP_TIMEOUT, in milliseconds, has it wait longer"),
    }
}

fn unwritable(error: &serde_json::Error) -> Trouble {
    Trouble {
        kind: "unwritable".to_owned(),
        cause: format!("cannot be sent what was read: {error}"),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_is_sent_in_parts_and_nothing_as_nothing() {
        let sizes = |count| {
            let resources = vec![ResourceMetrics::new(Vec::new(), Vec::new()); count];
            parts(&resources).map(<[_]>::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(0), [0]);
        assert_eq!(sizes(200), [200]);
        assert_eq!(sizes(401), [200, 200, 1]);
    }

    #[test]
    fn what_is_not_all_there_is_not_there() {
        let trouble = silence(Duration::from_secs(1));
        let part = Delivered::Whole.and_part(2, "old".to_owned());
        assert_eq!(part, Delivered::InPart(2, "old".to_owned()));
        assert_eq!(
            part.and_part(3, "new".to_owned()),
            Delivered::InPart(5, "old".to_owned())
        );
        let none = Delivered::No(trouble.clone()).and_part(1, "old".to_owned());
        assert_eq!(none, Delivered::No(trouble));
    }
}
