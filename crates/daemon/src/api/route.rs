//! From an HTTP request to a call and back.

use super::query::Query;
use super::respond::{Body, failure, internal, json, text};
use super::{Begin, Call, Caller, Reply, Scraped, follow, footprint, prometheus, stream};
use crate::fact::Fact;
use crate::history;
use crate::web::mask;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use ostler_wire::control::{ApiError, ApiErrorKind, Follow, History, Operation, Processes, Selector};
use ostler_wire::endpoints::Endpoint;
use ostler_wire::events::EventId;
use ostler_wire::metrics::Metrics;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The largest taken, bytes.
    largest: usize,
    /// How long it may take to come; as long as it likes if absent.
    within: Option<Duration>,
}

/// A thousand apps with large environments fit.
const OF_OWNERS: Bounds = Bounds {
    largest: 64 * 1024 * 1024,
    within: None,
};

/// They name apps.
pub const OF_GUESTS: Bounds = Bounds {
    largest: 64 * 1024,
    within: Some(Duration::from_secs(10)),
};

type Facts = mpsc::UnboundedSender<Fact>;

/// Answers one request.
pub async fn route(request: Request<Incoming>, facts: &Facts, caller: &Caller) -> Response<Body> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let Some(endpoint) = Endpoint::find(method.as_str(), &path) else {
        let message = format!("there is no {method} {path} in this version of Ostler");
        return failure(&user(message));
    };
    answer(endpoint, request, facts, caller).await
}

/// Answers a call.
pub async fn answer(endpoint: Endpoint, request: Request<Incoming>, facts: &Facts, caller: &Caller) -> Response<Body> {
    match Query::parse(endpoint, request.uri().query()) {
        Ok(query) => answer_with(endpoint, &query, request, facts, caller).await,
        Err(error) => failure(&error),
    }
}

async fn answer_with(
    endpoint: Endpoint,
    query: &Query,
    request: Request<Incoming>,
    facts: &Facts,
    caller: &Caller,
) -> Response<Body> {
    match endpoint {
        Endpoint::Ping => json(ask(facts, Call::Ping).await),
        Endpoint::Processes => json(ask(facts, Call::Rows).await),
        Endpoint::ProcessesFull => json(ask(facts, Call::Full).await.map(|full| caller.shown(full))),
        Endpoint::Reloads => json(ask(facts, Call::Reloads).await),
        Endpoint::History => json(read_history(facts, query.selector()).await),
        Endpoint::Metrics => json(metrics(facts, query).await),
        Endpoint::Prometheus => match scraped(facts).await {
            Ok(scraped) => text(prometheus::CONTENT_TYPE, prometheus::text(&scraped, crate::VERSION)),
            Err(error) => failure(&error),
        },
        Endpoint::Charts => json(ask(facts, |reply| Call::Charts(query.selector(), reply)).await),
        Endpoint::Events => match ask(facts, |reply| Call::Watch(begin(&request), reply)).await {
            Ok(watch) => stream::events(watch, facts.clone()),
            Err(error) => failure(&error),
        },
        Endpoint::Logs => match ask(facts, |reply| Call::Follow(wanted(query), reply)).await {
            Ok((follower, mut known)) => {
                let wanted = wanted(query);
                for slot in &mut known {
                    slot.out = slot.out.take().filter(|_| wanted.out);
                    slot.error = slot.error.take().filter(|_| wanted.error);
                }
                stream::logs(follower, known, query.number("tail").unwrap_or(0))
            }
            Err(error) => failure(&error),
        },
        Endpoint::Operations => match body(request, caller.bounds())
            .await
            .and_then(|wanted| caller.may(wanted))
        {
            Ok(operation) => {
                let (operation, caller) = (Box::new(operation), caller.clone());
                json(ask(facts, |reply| Call::Operate(operation, caller, reply)).await)
            }
            Err(error) => failure(&error),
        },
        Endpoint::Web => json(ask(facts, |reply| Call::Web(None, reply)).await),
        Endpoint::SetWeb => match body(request, caller.bounds()).await {
            Ok(change) => json(ask(facts, |reply| Call::Web(Some(change), reply)).await),
            Err(error) => failure(&error),
        },
        Endpoint::Inspect => match body(request, caller.bounds()).await {
            Ok(change) => json(ask(facts, |reply| Call::Inspect(change, reply)).await),
            Err(error) => failure(&error),
        },
        Endpoint::Follow => match body(request, caller.bounds()).await {
            Ok(wanted) => follow_stream(facts, wanted).await,
            Err(error) => failure(&error),
        },
    }
}

async fn metrics(facts: &Facts, query: &Query) -> Result<Metrics, ApiError> {
    let metrics = ask(facts, |reply| Call::Metrics(query.selector(), reply)).await?;
    match query.flag("footprint", false) {
        true => footprint::fill(metrics, true).await,
        false => Ok(metrics),
    }
}

async fn scraped(facts: &Facts) -> Result<Scraped, ApiError> {
    let scraped = ask(facts, Call::Scrape).await?;
    Ok(Scraped {
        metrics: footprint::fill(scraped.metrics, false).await?,
        ..scraped
    })
}

/// Where a client of events begins: after the last one that it has seen, if it says so.
fn begin(request: &Request<Incoming>) -> Begin {
    let last = request.headers().get("last-event-id");
    let Some(last) = last.filter(|value| !value.is_empty()) else {
        return Begin::New;
    };
    let id = last.to_str().ok().and_then(EventId::parse);
    // What is no number of ours is no reason not to tell what there is.
    id.map_or(Begin::New, Begin::After)
}

fn wanted(query: &Query) -> Follow {
    Follow {
        selector: query.selector(),
        out: query.flag("out", true),
        error: query.flag("error", true),
        events: query.flag("events", false),
    }
}

/// Asks the reactor.
pub async fn ask<T>(facts: &Facts, call: impl FnOnce(Reply<T>) -> Call) -> Result<T, ApiError> {
    let (reply, answer) = oneshot::channel();
    let gone = || ApiError {
        kind: ApiErrorKind::System,
        message: "the daemon is ending".to_owned(),
        hint: Some("Try again: a new one takes over at once.".to_owned()),
    };
    facts.send(Fact::Call(call(reply))).map_err(|_| gone())?;
    answer.await.unwrap_or_else(|_| Err(gone()))
}

impl Caller {
    fn bounds(&self) -> Bounds {
        match self {
            Self::Owner(_) => OF_OWNERS,
            Self::Guest(_) => OF_GUESTS,
        }
    }

    /// A list as he may see it.
    fn shown(&self, mut list: Processes) -> Processes {
        match self {
            Self::Owner(_) => {}
            Self::Guest(_) => mask::processes(&mut list),
        }
        list
    }

    /// An operation, if he may have it carried out. What guests do is called what it is, whatever they call it.
    fn may(&self, operation: Operation) -> Result<Operation, ApiError> {
        match (self, operation.action.over_port()) {
            (Self::Owner(_), _) => Ok(operation),
            (Self::Guest(_), Some(verb)) => Ok(Operation {
                verb: verb.to_owned(),
                ..operation
            }),
            (Self::Guest(_), None) => Err(ApiError {
                kind: ApiErrorKind::User,
                message: "that cannot be done over this port".to_owned(),
                hint: Some("The command line can, and so can the control socket.".to_owned()),
            }),
        }
    }
}

/// The body of a request.
///
/// # Errors
/// If it is too large, does not come, or is not what was expected.
pub async fn body<T: DeserializeOwned>(request: Request<Incoming>, bounds: Bounds) -> Result<T, ApiError> {
    let collected = Limited::new(request.into_body(), bounds.largest).collect();
    let collected = match bounds.within {
        Some(within) => tokio::time::timeout(within, collected)
            .await
            .map_err(|_| user(format!("the call's body did not come within {} s", within.as_secs())))?,
        None => collected.await,
    };
    let bytes: Bytes = collected
        .map_err(|error| unreadable(&*error, bounds.largest))?
        .to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| user(format!("the call's body is not what was expected: {error}")))
}

fn unreadable(error: &(dyn std::error::Error + Send + Sync + 'static), largest: usize) -> ApiError {
    if error.is::<LengthLimitError>() {
        return user(format!("the call's body is larger than {largest} bytes"));
    }
    user(format!("the call's body could not be read: {error}"))
}

fn user(message: String) -> ApiError {
    ApiError {
        kind: ApiErrorKind::User,
        message,
        hint: None,
    }
}

async fn follow_stream(facts: &Facts, wanted: Follow) -> Response<Body> {
    match ask(facts, |reply| Call::Follow(wanted, reply)).await {
        Ok((follower, _)) => Response::new(follow::body(follower)),
        Err(error) => failure(&error),
    }
}

async fn read_history(facts: &Facts, selector: Option<Selector>) -> Result<History, ApiError> {
    let names = ask(facts, |reply| Call::Names(selector, reply)).await?;
    let read = tokio::task::spawn_blocking(move || history::read(&names.path, names.names.as_deref()));
    let entries = read
        .await
        .map_err(|error| internal(&format!("reading the history failed: {error}")))?;
    entries.map(|entries| History { entries }).map_err(|error| ApiError {
        kind: ApiErrorKind::System,
        message: format!("the history could not be read: {error}"),
        hint: None,
    })
}
