//! The clock: a reading, what it is to a collector, its way there; then the next.

use super::answer::Trouble;
use super::delivery::{Delivered, Delivery};
use super::memory::Memory;
use super::news::News;
use super::post::Post;
use super::request::ResourceMetrics;
use super::settings::Settings;
use super::translate::{Place, translate};
use crate::client::CallError;
use crate::error::{Error, Result};
use crate::interrupts::Interrupts;
use crate::session::Session;
use jiff::Timestamp;
use ostler_wire::metrics::Metrics;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// What is read.
const READING: &str = "/v1/metrics?footprint=true";

/// What becomes of a reading that could not be sent.
const SUPERSEDED: &str = "nothing is lost but points of the charts, since the next reading has all that was counted";

struct Rounds<'a> {
    session: &'a Session,
    place: Place,
    memory: Memory,
    delivery: Delivery,
    collector: News,
    daemon: News,
    /// What the collector has said of metrics that it took, and whether it rejected some.
    remarked: Option<(bool, String)>,
}

/// Reads and sends once; that it was taken is the exit code.
pub async fn once(session: &Session, settings: Settings) -> Result {
    let within = settings.timeout;
    let url = settings.endpoint.to_string();
    let mut interrupts = Interrupts::catch()?;
    let mut rounds = Rounds::new(session, settings);
    let sent = async {
        let metrics = read(session).await?;
        let resources = rounds.translate(&metrics);
        let deadline = Instant::now() + within;
        let delivered = rounds
            .delivery
            .deliver(&resources, deadline, &mut rounds.collector)
            .await;
        Ok((delivered, resources))
    };
    let (delivered, resources) = tokio::select! {
        biased;
        () = interrupts.next() => return Err(Error::user("ended before the metrics were taken")),
        sent = sent => sent.map_err(|error: CallError| Error::from(error))?,
    };
    match delivered {
        Delivered::Whole => {
            session.printer.say(&format!("{url} took {}", amount(&resources)));
            Ok(())
        }
        Delivered::InPart(0, message) => {
            session.printer.say(&format!("{url} took {}", amount(&resources)));
            session.printer.warn(&format!("it says: {message}"));
            Ok(())
        }
        Delivered::InPart(rejected, message) => Err(Error::system(format!(
            "{url} rejected {rejected} of {}: {message}",
            amount(&resources)
        ))),
        Delivered::No(Trouble { cause, hint, .. }) => {
            let mut error = Error::system(format!("{url} {cause}"));
            error.hints.extend(hint.map(str::to_owned));
            Err(error)
        }
    }
}

/// Reads and sends at each interval, until it is told to end.
pub async fn again_and_again(session: &Session, settings: Settings) -> Result {
    let mut interrupts = Interrupts::catch()?;
    let every = settings.every;
    session.printer.say(&format!(
        "sending metrics to {} every {} s, until Ctrl-C",
        settings.endpoint,
        every.as_secs_f64()
    ));
    let mut rounds = Rounds::new(session, settings);
    tokio::select! {
        biased;
        () = interrupts.next() => {}
        () = rounds.go(every) => {}
    }
    Ok(())
}

impl<'a> Rounds<'a> {
    fn new(session: &'a Session, settings: Settings) -> Self {
        let Settings {
            endpoint,
            headers,
            timeout,
            attributes,
            warnings,
            every: _,
        } = settings;
        for warning in &warnings {
            session.printer.warn(warning);
        }
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let home = session.home.path().to_string_lossy();
        let news = |about: String| News::new(Rc::clone(&session.printer), about);
        Self {
            place: Place::new(host, &home, processors as f64, attributes),
            memory: Memory::default(),
            collector: news(endpoint.to_string()),
            daemon: news("the daemon".to_owned()),
            delivery: Delivery::new(Post::new(endpoint, headers), timeout),
            remarked: None,
            session,
        }
    }

    /// Never ends. A round that takes longer than the interval costs those that it overlaps.
    async fn go(&mut self, every: Duration) {
        let mut next = Instant::now();
        loop {
            let deadline = next + every;
            self.round(deadline).await;
            next = deadline;
            while next <= Instant::now() {
                next += every;
            }
            sleep_until(next).await;
        }
    }

    async fn round(&mut self, deadline: Instant) {
        if let Some(until) = self.delivery.rests_until() {
            if until >= deadline {
                return;
            }
            sleep_until(until).await;
        }
        let Some(metrics) = self.reading().await else { return };
        let resources = self.translate(&metrics);
        let delivered = self.delivery.deliver(&resources, deadline, &mut self.collector).await;
        self.tell(&delivered, &resources);
    }

    /// A reading; none while there is no daemon, which is waited for and never started.
    async fn reading(&mut self) -> Option<Metrics> {
        match read(self.session).await {
            Ok(metrics) => {
                self.daemon.well(None, "answers again");
                Some(metrics)
            }
            Err(error) => {
                self.daemon.trouble(&of_daemon(&error), "waiting for one that answers");
                None
            }
        }
    }

    fn translate(&mut self, metrics: &Metrics) -> Vec<ResourceMetrics> {
        let now = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0);
        self.memory.begin(now);
        translate(metrics, &self.place, &mut self.memory)
    }

    fn tell(&mut self, delivered: &Delivered, resources: &[ResourceMetrics]) {
        let amount = amount(resources);
        let remark = match delivered {
            Delivered::No(trouble) => return self.collector.trouble(trouble, SUPERSEDED),
            Delivered::Whole => None,
            Delivered::InPart(rejected, message) => Some((*rejected, message.as_str())),
        };
        self.collector
            .well(Some(&format!("took {amount}")), "takes metrics now");
        // How many points are rejected changes with what runs.
        let remarked = remark.map(|(rejected, message)| (rejected > 0, message.to_owned()));
        if self.remarked == remarked {
            return;
        }
        self.remarked = remarked;
        let text = match remark {
            Some((0, message)) => format!("the collector takes metrics, and says: {message}"),
            Some((rejected, message)) => format!("the collector rejects {rejected} of {amount}: {message}"),
            None => return self.session.printer.say("the collector takes all of it again"),
        };
        self.session.printer.warn(&text);
    }
}

/// Asks the daemon that runs.
async fn read(session: &Session) -> std::result::Result<Metrics, CallError> {
    session.daemon().await?.get(READING).await
}

fn of_daemon(error: &CallError) -> Trouble {
    let (kind, hint) = match error {
        CallError::NoDaemon => ("none", Some("`ostler start` starts one")),
        CallError::Connect { .. } => ("connect", None),
        CallError::Lost { .. } => ("lost", None),
        CallError::NoAnswer { .. } => ("silent", Some("look into ostler.log in the home directory")),
        CallError::Refused(_) | CallError::Malformed { .. } => (
            "other",
            Some("daemon and command line may be of different versions: `ostler daemon status`, `ostler --version`"),
        ),
    };
    Trouble {
        kind: kind.to_owned(),
        cause: format!("could not be asked: {error}"),
        hint,
    }
}

fn amount(resources: &[ResourceMetrics]) -> String {
    let points: usize = resources.iter().map(ResourceMetrics::points).sum();
    format!("{points} points of {} workers and apps", resources.len())
}
