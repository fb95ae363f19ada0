//! Bodies of responses that have no end known in advance.
//!
//! Each is a task that writes into a channel of one piece, from which the connection takes it: a client that does not read holds up that
//! task and nobody else. What waits for it meanwhile is bounded where it waits: in the ring of events, and in the queue of a follower.

use super::respond::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// After so long without anything to say something may be said all the same, so that either side finds out that the other one has gone.
const QUIET: Duration = Duration::from_secs(15);

/// Somebody who reads a body.
pub struct Reader {
    pieces: mpsc::Sender<Bytes>,
}

/// He does not any more.
pub struct Gone;

/// What there is to be said next.
pub enum Next<T> {
    /// This.
    Some(T),
    /// Nothing for a while.
    Nothing,
    /// Nothing any more.
    End,
}

impl Reader {
    /// Waits for what comes next. Losing that future must lose nothing.
    pub async fn unless_gone<T>(&self, next: impl Future<Output = Option<T>>) -> Result<Next<T>, Gone> {
        tokio::select! {
            found = tokio::time::timeout(QUIET, next) => Ok(match found {
                Ok(Some(found)) => Next::Some(found),
                Ok(None) => Next::End,
                Err(_) => Next::Nothing,
            }),
            () = self.pieces.closed() => Err(Gone),
        }
    }

    /// Waits until the piece before has been taken.
    pub async fn send(&self, bytes: impl Into<Bytes>) -> Result<(), Gone> {
        self.pieces.send(bytes.into()).await.map_err(|_| Gone)
    }
}

/// A body that a task writes.
pub fn written<F: Future<Output = Result<(), Gone>> + Send + 'static>(write: impl FnOnce(Reader) -> F) -> Body {
    let (pieces, receiver) = mpsc::channel(1);
    tokio::spawn(write(Reader { pieces }));
    Pieces { receiver }.boxed()
}

struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.receiver.poll_recv(context);
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}
