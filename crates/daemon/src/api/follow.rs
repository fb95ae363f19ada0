//! A followed stream as the body of a response.

use crate::api::Body;
use crate::logs::{Follower, Frame};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame as BodyFrame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Frames for ever, or until the follower ends.
pub fn body(follower: Follower) -> Body {
    let next: Next = Box::pin(next(follower));
    BodyExt::boxed(Frames { next })
}

type Next = Pin<Box<dyn Future<Output = Option<(Frame, Follower)>> + Send + Sync>>;

struct Frames {
    next: Next,
}

async fn next(mut follower: Follower) -> Option<(Frame, Follower)> {
    let frame = follower.next().await?;
    Some((frame, follower))
}

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        self.next.as_mut().poll(context).map(|found| {
            let (frame, follower) = found?;
            self.next = Box::pin(next(follower));
            Some(Ok(BodyFrame::data(on_the_wire(&frame))))
        })
    }
}

/// The header as a line of JSON, then the bytes.
fn on_the_wire(frame: &Frame) -> Bytes {
    let mut bytes = serde_json::to_vec(&frame.header).unwrap_or_default();
    bytes.push(b'\n');
    bytes.extend_from_slice(&frame.bytes);
    Bytes::from(bytes)
}
