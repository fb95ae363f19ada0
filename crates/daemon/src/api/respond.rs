//! Answers as HTTP responses.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use ostler_wire::control::{ApiError, ApiErrorKind};
use serde::Serialize;
use std::convert::Infallible;

/// The body of any response.
pub type Body = BoxBody<Bytes, Infallible>;

/// A value as JSON, or the error with its status.
pub fn json<T: Serialize>(answer: Result<T, ApiError>) -> Response<Body> {
    match answer.map(|value| serde_json::to_vec(&value)) {
        Ok(Ok(bytes)) => whole(StatusCode::OK, bytes),
        Ok(Err(error)) => failure(&internal(&format!("the answer is not JSON: {error}"))),
        Err(error) => failure(&error),
    }
}

/// An error of ours.
pub fn internal(message: &str) -> ApiError {
    ApiError {
        kind: ApiErrorKind::Internal,
        message: message.to_owned(),
        hint: Some("This is a bug in Ostler; its log has more (`ostler.log` in the home directory).".to_owned()),
    }
}

/// An error as a response.
pub fn failure(error: &ApiError) -> Response<Body> {
    let status = match error.kind {
        ApiErrorKind::NotFound => StatusCode::NOT_FOUND,
        ApiErrorKind::User => StatusCode::BAD_REQUEST,
        ApiErrorKind::System => StatusCode::SERVICE_UNAVAILABLE,
        ApiErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    whole(
        status,
        serde_json::to_vec(error).expect("invariant: an ApiError is strings and words only"),
    )
}

/// Text of some kind.
pub fn text(kind: &'static str, text: String) -> Response<Body> {
    of_kind(kind, StatusCode::OK, text.into_bytes())
}

fn whole(status: StatusCode, bytes: Vec<u8>) -> Response<Body> {
    of_kind("application/json", status, bytes)
}

fn of_kind(kind: &'static str, status: StatusCode, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(bytes)).boxed());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
