//! From an HTTP request to a call and back.

use super::prometheus;
use super::respond::{Body, failure, internal, json, text};
use super::{Call, Peer, Reply};
use crate::fact::Fact;
use crate::{follow, history};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use ostler_wire::control::{ApiError, ApiErrorKind, History, Selector};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

/// The largest body taken, bytes: a thousand apps with large environments fit.
const MAX_BODY: usize = 64 * 1024 * 1024;

type Facts = mpsc::UnboundedSender<Fact>;

/// Answers one request.
pub async fn route(request: Request<Incoming>, facts: &Facts, peer: Peer) -> Response<Body> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    match (method, path.as_str()) {
        (Method::GET, "/v1/ping") => json(ask(facts, Call::Ping).await),
        (Method::GET, "/v1/processes") => json(ask(facts, Call::Rows).await),
        (Method::GET, "/v1/processes/full") => json(ask(facts, Call::Full).await),
        (Method::GET, "/v1/reloads") => json(ask(facts, Call::Reloads).await),
        (Method::GET, "/v1/history") => json(read_history(facts, request.uri().query()).await),
        (Method::GET, "/v1/metrics") => json(ask(facts, Call::Metrics).await),
        (Method::GET, "/metrics") => match ask(facts, Call::Metrics).await {
            Ok(metrics) => text(prometheus::CONTENT_TYPE, prometheus::text(&metrics, crate::VERSION)),
            Err(error) => failure(&error),
        },
        (Method::GET, "/v1/charts") => {
            let selector = request.uri().query().and_then(selector_of);
            json(ask(facts, |reply| Call::Charts(selector, reply)).await)
        }
        (Method::POST, "/v1/operations") => match body(request).await {
            Ok(operation) => json(ask(facts, |reply| Call::Operate(Box::new(operation), peer, reply)).await),
            Err(error) => failure(&error),
        },
        (Method::POST, "/v1/follow") => match body(request).await {
            Ok(wanted) => follow_stream(facts, wanted).await,
            Err(error) => failure(&error),
        },
        (method, path) => failure(&user(format!("there is no {method} {path} in this version of Ostler"))),
    }
}

async fn ask<T>(facts: &Facts, call: impl FnOnce(Reply<T>) -> Call) -> Result<T, ApiError> {
    let (reply, answer) = oneshot::channel();
    let gone = || ApiError {
        kind: ApiErrorKind::System,
        message: "the daemon is ending".to_owned(),
        hint: Some("Try again: a new one takes over at once.".to_owned()),
    };
    facts.send(Fact::Call(call(reply))).map_err(|_| gone())?;
    answer.await.unwrap_or_else(|_| Err(gone()))
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, ApiError> {
    let bytes: Bytes = Limited::new(request.into_body(), MAX_BODY)
        .collect()
        .await
        .map_err(|error| unreadable(&*error))?
        .to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| user(format!("the call's body is not what was expected: {error}")))
}

fn unreadable(error: &(dyn std::error::Error + Send + Sync + 'static)) -> ApiError {
    if error.is::<LengthLimitError>() {
        return user(format!("the call's body is larger than {MAX_BODY} bytes"));
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

async fn follow_stream(facts: &Facts, wanted: ostler_wire::control::Follow) -> Response<Body> {
    match ask(facts, |reply| Call::Follow(wanted, reply)).await {
        Ok(follower) => Response::new(follow::body(follower)),
        Err(error) => failure(&error),
    }
}

async fn read_history(facts: &Facts, query: Option<&str>) -> Result<History, ApiError> {
    let selector = query.and_then(selector_of);
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

/// `selector=WORD`, percent-encoded.
fn selector_of(query: &str) -> Option<Selector> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("selector="))?;
    Some(Selector {
        words: vec![percent_decoded(value)],
        cwd: "/".to_owned(),
    })
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_in_a_query_is_percent_decoded() {
        let selector = selector_of("a=b&selector=%2Fw%20eb%C3%A9%2F").expect("selector");
        assert_eq!(selector.words, ["/w ebé/"]);
        assert_eq!(selector_of("other=1"), None);
        assert_eq!(percent_decoded("100%"), "100%");
    }
}
