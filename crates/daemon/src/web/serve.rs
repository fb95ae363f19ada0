//! The port's connections: accepted, bounded, answered, closed. Each is a task on the deciding thread that never touches the machine, as
//! those of the control socket are.

use super::answer::answer;
use super::door::Door;
use crate::api::Connections;
use crate::fact::Fact;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

/// How many connections there are at most. A page has two streams and asks over a few more.
pub const MOST_CONNECTIONS: usize = 64;

/// How long the head of a request may take to come.
const HEAD: Duration = Duration::from_secs(8);

/// How long a connection may stay open over which nobody has shown who he is.
const STRANGER: Duration = Duration::from_secs(30);

/// How often is looked whether a session is over.
const LOOK: Duration = Duration::from_secs(60);

/// How much of a request's head is taken in.
const MAX_HEAD: usize = 32 << 10;

/// How long somebody who is turned away has to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// The deposit of who is signed in.
pub const SESSIONS_KEY: &str = "web-sessions";

const TURNED_AWAY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 23\r\nRetry-After: 5\r\n\
    Cache-Control: no-store\r\nConnection: close\r\n\r\nToo many connections.\r\n";

/// What all connections share.
#[derive(Debug)]
pub struct Room {
    door: Mutex<Door>,
    /// The way to the reactor.
    pub facts: mpsc::UnboundedSender<Fact>,
    /// Ostler's home.
    pub home: PathBuf,
    /// Where it listens.
    pub port: u16,
    /// Told when somebody has signed out.
    pub changed: watch::Sender<()>,
}

impl Room {
    /// Behind that door.
    pub fn new(door: Door, facts: mpsc::UnboundedSender<Fact>, home: PathBuf) -> Self {
        let port = door.settings().address.port();
        Self {
            door: Mutex::new(door),
            facts,
            home,
            port,
            changed: watch::Sender::new(()),
        }
    }

    /// The door, for one decision.
    pub fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves with the keeper who is signed in.
    pub fn keep_sessions(&self) {
        let door = self.door();
        let kept = (door.settings().lock(), door.sessions());
        let data = serde_json::to_vec(&kept).expect("invariant: sessions are strings and numbers");
        let _ = self.facts.send(Fact::Deposit {
            key: SESSIONS_KEY.to_owned(),
            data,
            descriptors: Vec::new(),
        });
    }
}

/// One connection.
#[derive(Debug)]
pub struct Visit {
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Where it has come to.
    pub local: SocketAddr,
    is_known: AtomicBool,
    session: Mutex<Option<String>>,
}

impl Visit {
    /// Whoever is at the other end has shown who he is, by this session if it was one.
    pub fn let_in(&self, session: Option<String>) {
        self.is_known.store(true, Ordering::Relaxed);
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }

    fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    fn session(&self) -> Option<String> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Accepts connections until `closing` is dropped, which ends them all.
pub async fn serve(listener: TcpListener, room: Arc<Room>, connections: Connections, mut closing: watch::Receiver<()>) {
    let (places, farewells) = (
        Arc::new(Semaphore::new(MOST_CONNECTIONS)),
        Arc::new(Semaphore::new(MOST_CONNECTIONS)),
    );
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.changed() => return,
        };
        let failed_before = std::mem::replace(&mut failing, accepted.is_err());
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let (room, ending, closing) = (Arc::clone(&room), connections.clone(), closing.clone());
                    tokio::spawn(async move {
                        connection(stream, peer, room, ending, closing).await;
                        drop(place);
                    });
                }
                // So many may wait for their farewell; more are closed without.
                Err(_) => {
                    if let Ok(place) = Arc::clone(&farewells).try_acquire_owned() {
                        tokio::spawn(async move {
                            let _ = tokio::time::timeout(FAREWELL, turn_away(stream)).await;
                            drop(place);
                        });
                    }
                }
            },
            Err(error) => {
                // Once for as long as it lasts: descriptors may be short for hours.
                if !failed_before {
                    let note = format!("accept at the web dashboard's port: {error}");
                    let _ = room.facts.send(Fact::Note(note));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Reads on until the other side closes: a socket that is closed with something unread takes back what was written.
async fn turn_away(mut stream: TcpStream) {
    if stream.write_all(TURNED_AWAY).await.is_ok() && stream.shutdown().await.is_ok() {
        let mut unread = [0; 1024];
        while matches!(stream.read(&mut unread).await, Ok(count) if count > 0) {}
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    room: Arc<Room>,
    connections: Connections,
    mut closing: watch::Receiver<()>,
) {
    let Ok(local) = stream.local_addr() else { return };
    // Events are small, and somebody waits for each.
    let _ = stream.set_nodelay(true);
    let visit = Arc::new(Visit {
        peer,
        local,
        is_known: AtomicBool::new(false),
        session: Mutex::new(None),
    });
    let service = hyper::service::service_fn(|request| {
        let (room, visit) = (Arc::clone(&room), Arc::clone(&visit));
        async move { Ok::<_, Infallible>(answer(request, &room, &visit).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // However it ends: a broken connection is the client's affair.
    tokio::select! {
        _ = &mut serving => {}
        _ = closing.changed() => {}
        () = stays_a_stranger(&visit) => {}
        () = signed_out(&room, &visit) => {}
        () = connections.ending() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

async fn stays_a_stranger(visit: &Visit) {
    tokio::time::sleep(STRANGER).await;
    if visit.is_known() {
        std::future::pending::<()>().await;
    }
}

async fn signed_out(room: &Room, visit: &Visit) {
    let mut changes = room.changed.subscribe();
    loop {
        // Told when somebody has signed out; that a session's time is over nobody tells.
        let _ = tokio::time::timeout(LOOK, changes.changed()).await;
        let session = visit.session();
        if session.is_some_and(|key| !room.door().knows(&key, crate::reactor::now().instant)) {
            return;
        }
    }
}
