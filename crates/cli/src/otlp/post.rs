//! One request to a collector and its answer, over a connection that is kept. Bounded by the caller in time, here in memory.

use super::answer::{Heard, Trouble};
use super::endpoint::Endpoint;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::error::Error as _;
use std::io;
use tokio::net::TcpStream;

/// How much of an answer is read.
const LONGEST_ANSWER: usize = 16 * 1024;
/// How much of its head.
const LONGEST_HEAD: usize = 16 * 1024;

/// A collector, and the connection to it.
pub struct Post {
    endpoint: Endpoint,
    headers: HeaderMap,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Post {
    /// To this place, with these headers beside our own. Nothing is connected to yet.
    pub fn new(endpoint: Endpoint, headers: HeaderMap) -> Self {
        Self {
            endpoint,
            headers,
            connection: None,
        }
    }

    /// Sends once. A connection that was kept may have been closed by the other side meanwhile: that is no failure, a new one is made.
    ///
    /// May be dropped at any moment; the connection is gone then.
    pub async fn send(&mut self, body: Bytes) -> Result<Heard, Trouble> {
        if let Some(kept) = self.connection.take()
            && let Ok(heard) = self.exchange(kept, body.clone()).await
        {
            return Ok(heard);
        }
        let connection = self.connect().await?;
        let exchanged = self.exchange(connection, body).await;
        exchanged.map_err(|error| Trouble {
            kind: "broken".to_owned(),
            cause: format!("the connection broke before there was an answer: {}", innermost(&error)),
            hint: Some("whatever listens there may speak something else than HTTP, as at the port of gRPC (4317)"),
        })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Trouble> {
        let Endpoint { host, port, .. } = &self.endpoint;
        let failed = |error: &io::Error| Trouble {
            kind: format!("{:?}", error.kind()),
            cause: format!("cannot be reached at {host}, port {port}: {error}"),
            hint: Some("does a collector run there? docs/otlp.md has one to begin with"),
        };
        let stream = TcpStream::connect((host.as_str(), *port))
            .await
            .map_err(|error| failed(&error))?;
        let made = http1::Builder::new()
            .max_buf_size(LONGEST_HEAD)
            .handshake(TokioIo::new(stream))
            .await;
        let (connection, conversation) = made.map_err(|error| failed(&io::Error::other(error)))?;
        // Its errors come out of the requests that they break.
        tokio::spawn(async move {
            let _ = conversation.await;
        });
        Ok(connection)
    }

    async fn exchange(&mut self, mut connection: SendRequest<Full<Bytes>>, body: Bytes) -> Result<Heard, hyper::Error> {
        connection.ready().await?;
        let response = connection.send_request(self.request(body)).await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (body, is_whole) = beginning(response).await?;
        if is_whole {
            self.connection = Some(connection);
        }
        Ok(Heard {
            status,
            retry_after,
            body,
        })
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = hyper::Method::POST;
        // Both were read from a URL that was understood.
        *request.uri_mut() = self.endpoint.path.parse().unwrap_or_default();
        let host = HeaderValue::from_str(&self.endpoint.authority);
        let headers = request.headers_mut();
        headers.insert(HOST, host.unwrap_or(HeaderValue::from_static("localhost")));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("ostler/", env!("CARGO_PKG_VERSION"))),
        );
        headers.extend(self.headers.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }
}

/// The beginning of an answer's body, and whether that is all of it.
async fn beginning(response: Response<Incoming>) -> Result<(Vec<u8>, bool), hyper::Error> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        let part = frame.data_ref().map_or(&[][..], |part| &part[..]);
        bytes.extend_from_slice(&part[..part.len().min(LONGEST_ANSWER - bytes.len())]);
        if bytes.len() == LONGEST_ANSWER {
            return Ok((bytes, false));
        }
    }
    Ok((bytes, true))
}

/// What the system said, or else what HTTP's library does.
fn innermost(error: &hyper::Error) -> String {
    let mut source = error.source();
    let mut text = error.to_string();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}
