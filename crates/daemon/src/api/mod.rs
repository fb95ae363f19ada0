//! The control API's server: HTTP/1.1 + JSON on a unix socket (see `ostler_wire::control`).
//!
//! A connection is a task that parses calls, hands them to the reactor and writes what comes back; it never touches the
//! machine. A client that reads slowly or not at all delays only itself.

mod follow;
mod footprint;
mod pieces;
mod prometheus;
mod query;
mod respond;
mod route;
mod stream;

pub use respond::Body;
pub(crate) use respond::{failure, internal, json};
pub(crate) use route::{OF_GUESTS, answer, ask, body};

use crate::events::Watcher;
use crate::fact::Fact;
use crate::logs::{Follower, KnownSlot};
use crate::web::Guest;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use ostler_core::metrics::Registry;
use ostler_wire::control::{Answer, ApiError, Follow, Operation, Pong, ProcessRows, Processes, Reloads, Selector};
use ostler_wire::events::EventId;
use ostler_wire::inspection::{InspectionChange, InspectionState};
use ostler_wire::metrics::{Charts, Metrics};
use ostler_wire::web::{WebChange, WebState};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};

/// Where the answer to a call goes. Dropped by the caller if the client has gone.
pub type Reply<T> = oneshot::Sender<Result<T, ApiError>>;

/// A client's call, on its way to the reactor.
#[derive(Debug)]
pub enum Call {
    /// Who are you?
    Ping(Reply<Pong>),
    /// The list.
    Rows(Reply<ProcessRows>),
    /// The list with everything.
    Full(Reply<Processes>),
    /// Reloads under way.
    Reloads(Reply<Reloads>),
    /// How workers are doing; all if `None`.
    Metrics(Option<Selector>, Reply<Metrics>),
    /// The same for Prometheus, with what apps have registered themselves.
    Scrape(Reply<Scraped>),
    /// How they were doing in the last hour; all if `None`.
    Charts(Option<Selector>, Reply<Charts>),
    /// Change something.
    Operate(Box<Operation>, Caller, Reply<Answer>),
    /// Live output.
    Follow(Follow, Reply<Followed>),
    /// Changes of state.
    Watch(Begin, Reply<Watch>),
    /// The names of the apps meant, to find their history by; all if `None`.
    Names(Option<Selector>, Reply<Names>),
    /// How the web dashboard's port is open, after it was changed if it is to be.
    Web(Option<WebChange>, Reply<WebState>),
    /// Open a worker's inspector, keep it open, or close it.
    Inspect(InspectionChange, Reply<InspectionState>),
}

/// What Prometheus is told.
#[derive(Debug)]
pub struct Scraped {
    /// What we measure.
    pub metrics: Metrics,
    /// What apps measure.
    pub registered: Vec<AppRegistered>,
}

/// What an app has registered with a library for metrics, over all its workers.
#[derive(Clone, Debug)]
pub struct AppRegistered {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// What there is.
    pub registry: Registry,
}

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Whoever owns the control socket: nothing is kept from him.
    Owner(Peer),
    /// Somebody whom the web dashboard's door has let in.
    Guest(Guest),
}

/// Live output, and the slots that were there already.
pub type Followed = (Follower, Vec<KnownSlot>);

/// Where somebody who watches begins.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    /// With all there is.
    New,
    /// After this event, if that is still known; else with all there is.
    After(EventId),
    /// With all there is, since so many events were lost.
    Lost(u64),
}

/// Changes of state, to be watched.
#[derive(Debug)]
pub struct Watch {
    /// What is to be said first, encoded.
    pub first: Vec<u8>,
    /// What comes after it.
    pub watcher: Watcher,
}

/// Whose history, and where it lies.
#[derive(Debug)]
pub struct Names {
    /// App names; all when `None`.
    pub names: Option<Vec<String>>,
    /// The history's file.
    pub path: std::path::PathBuf,
}

/// Who is at the other end of a connection (`SO_PEERCRED`).
#[derive(Clone, Debug)]
pub struct Peer {
    /// User id.
    pub uid: u32,
    /// Process id.
    pub pid: i32,
}

/// The open connections, so that an ending daemon can let the last answers out and close them.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    open: Arc<AtomicUsize>,
    ending: Arc<watch::Sender<bool>>,
}

impl Connections {
    /// How many.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Waits until they are to be closed.
    pub async fn ending(&self) {
        let mut told = self.ending.subscribe();
        drop(told.wait_for(|ending| *ending).await);
    }

    /// Closes each as soon as what it is answering is written.
    pub fn end(&self) {
        self.ending.send_replace(true);
    }
}

/// Accepts connections for ever.
pub async fn serve(listener: UnixListener, facts: mpsc::UnboundedSender<Fact>, connections: Connections) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, facts.clone(), connections.clone()));
            }
            // EMFILE and the like: the client waits in the backlog; look again when something may have been closed.
            Err(error) => {
                let _ = facts.send(Fact::Note(format!("accept on the control socket: {error}")));
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, facts: mpsc::UnboundedSender<Fact>, connections: Connections) {
    let Some(peer) = authorised(&stream) else { return };
    connections.open.fetch_add(1, Ordering::Relaxed);
    let service = hyper::service::service_fn(move |request| {
        let facts = facts.clone();
        let owner = Caller::Owner(peer.clone());
        async move { Ok::<_, Infallible>(route::route(request, &facts, &owner).await) }
    });
    let mut serving = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    // However it ends: a broken connection is the client's affair.
    tokio::select! {
        _ = &mut serving => {}
        () = connections.ending() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
    connections.open.fetch_sub(1, Ordering::Relaxed);
}

/// The socket's mode keeps others out already; this also holds where a file system ignores modes.
fn authorised(stream: &UnixStream) -> Option<Peer> {
    let credentials = stream.peer_cred().ok()?;
    let own = rustix::process::geteuid().as_raw();
    let allowed = credentials.uid() == own || credentials.uid() == 0;
    allowed.then(|| Peer {
        uid: credentials.uid(),
        pid: credentials.pid().unwrap_or(0),
    })
}
