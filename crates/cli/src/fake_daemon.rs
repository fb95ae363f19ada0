//! For tests: a daemon of a few lines on a socket of its own home, which answers what it is told to and remembers what it
//! was asked.

use crate::home::Home;
use crate::printer::captured::{self, Captured};
use crate::session::Session;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ostler_wire::control::{FrameHeader, Operation};
use serde::Serialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// What was asked: method, path, body.
pub type Asked = (String, String, Vec<u8>);

/// What is answered.
pub enum Reply {
    /// A status and JSON.
    Json(u16, Vec<u8>),
    /// The connection is closed instead.
    Break,
    /// An endless stream of what comes out of the channel; its end breaks the connection.
    Stream(mpsc::UnboundedReceiver<Vec<u8>>),
}

/// A successful answer.
pub fn json(value: &impl Serialize) -> Reply {
    Reply::Json(200, serde_json::to_vec(value).expect("a reply is JSON"))
}

/// A running daemon. Dropping it ends it and removes its socket.
pub struct FakeDaemon {
    asked: Arc<Mutex<Vec<Asked>>>,
    accepting: JoinHandle<()>,
    socket: std::path::PathBuf,
}

impl FakeDaemon {
    /// Listens in `home` and answers by `answer`.
    pub fn start(home: &Home, answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let socket = home.socket();
        let listener = UnixListener::bind(&socket).expect("the socket can be bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let accepting = tokio::spawn(accept(listener, asked.clone(), Arc::new(Mutex::new(answer))));
        Self {
            asked,
            accepting,
            socket,
        }
    }

    /// Everything asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no test thread panicked").clone()
    }

    /// The operations among it.
    pub fn operations(&self) -> Vec<Operation> {
        let asked = self.asked();
        let bodies = asked
            .iter()
            .filter(|(_, path, _)| path == "/v1/operations")
            .map(|(_, _, body)| body);
        bodies
            .map(|body| serde_json::from_slice(body).expect("an operation"))
            .collect()
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.socket);
    }
}

type Answer<F> = Arc<Mutex<F>>;

async fn accept<F>(listener: UnixListener, asked: Arc<Mutex<Vec<Asked>>>, answer: Answer<F>)
where
    F: FnMut(&Asked) -> Reply + Send + 'static,
{
    // Connections end with the listener, as they do when a process dies.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (asked, answer) = (asked.clone(), answer.clone());
        let service = service_fn(move |request| serve(request, asked.clone(), answer.clone()));
        connections.spawn(async move {
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn serve<F>(
    request: Request<Incoming>,
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Answer<F>,
) -> io::Result<Response<BoxBody<Bytes, Infallible>>>
where
    F: FnMut(&Asked) -> Reply,
{
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes()
        .to_vec();
    let question = (method, path, body);
    asked.lock().expect("no test thread panicked").push(question.clone());
    let reply = (answer.lock().expect("no test thread panicked"))(&question);
    match reply {
        Reply::Json(status, bytes) => {
            let mut response = Response::new(http_body_util::Full::new(Bytes::from(bytes)).boxed());
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            Ok(response)
        }
        Reply::Break => Err(io::Error::other("told to break")),
        Reply::Stream(pieces) => Ok(Response::new(Pieces(pieces).boxed())),
    }
}

struct Pieces(mpsc::UnboundedReceiver<Vec<u8>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|piece| piece.map(|bytes| Ok(Frame::data(bytes.into()))))
    }
}

/// A frame as it is sent.
pub fn frame(header: &FrameHeader, bytes: &[u8]) -> Vec<u8> {
    let mut sent = serde_json::to_vec(header).expect("a header is JSON");
    sent.push(b'\n');
    sent.extend_from_slice(bytes);
    sent
}

/// A home of its own with a session whose output is kept.
pub struct Stage {
    /// What commands get.
    pub session: Session,
    /// What they print.
    pub printed: Captured,
    /// The home directory; removed in the end.
    pub directory: tempfile::TempDir,
}

impl Stage {
    /// One for `verb`.
    pub fn new(verb: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().display().to_string();
        let home = Home::find(|name| (name == "OSTLER_HOME").then(|| path.clone()), Path::new("/"));
        let (printer, printed) = captured::printer(false, false);
        let session = Session {
            printer: Rc::new(printer),
            home,
            cwd: directory.path().to_owned(),
            environment: BTreeMap::new(),
            unreadable_variables: Vec::new(),
            verb: verb.to_owned(),
            app_args: None,
        };
        Self {
            session,
            printed,
            directory,
        }
    }
}

/// Waits until something is so, for at most ten seconds.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}
