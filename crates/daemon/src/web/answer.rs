//! What is answered at the port: the door's verdict carried out. Called by the connections (`serve`).

use super::asked::{Asked, Credential, cookie_name};
use super::door::{Admitted, Guest};
use super::page::Asset;
use super::refusal::Refusal;
use super::serve::{Room, Visit};
use super::target::{NotThere, SessionCall, Target};
use super::{pm2, sessions, settings};
use crate::api::{self, Body, Call, Caller};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Request, Response, StatusCode};
use ostler_wire::control::ApiError;
use ostler_wire::web::Login;
use serde::Deserialize;
use serde_json::json;

/// Only what we serve ourselves is loaded and run, and no page shows ours within it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'";

/// What every answer says, to keep other pages out.
const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Answers one request.
pub async fn answer(request: Request<Incoming>, room: &Room, visit: &Visit) -> Response<Body> {
    let answered = admitted(request, room, visit).await;
    let mut response = answered.unwrap_or_else(|refusal| refused(&refusal));
    let headers = response.headers_mut();
    headers.extend(ALWAYS);
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn admitted(request: Request<Incoming>, room: &Room, visit: &Visit) -> Result<Response<Body>, Refusal> {
    let target = Target::find(request.method().as_str(), request.uri().path());
    let target = target.map_err(|none| match none {
        NotThere::NoSuchPath => Refusal::NoSuchPath,
        NotThere::NoSuchMethod => Refusal::NoSuchMethod,
    })?;
    let (parts, body) = request.into_parts();
    let asked = Asked::new(target, &parts, visit.peer.ip(), visit.local, room.port);
    let admitted = room.door().admit(&asked, crate::reactor::now().instant)?;
    if let Admitted::Guest(guest) = &admitted {
        visit.let_in(guest.session.clone());
    }
    let request = Request::from_parts(parts, body);
    Ok(match (target, admitted) {
        (Target::Page(asset), _) => page(asset, &request),
        (Target::Session(SessionCall::Begin), _) => begin(request, room, visit).await?,
        (Target::Session(SessionCall::Look), Admitted::Anyone) => session(room, None),
        (Target::Session(SessionCall::Look), Admitted::Guest(guest)) => session(room, Some(&guest)),
        (Target::Session(SessionCall::End), Admitted::Guest(guest)) => end(room, visit, &guest),
        (Target::Pm2, Admitted::Guest(guest)) => pm2(room, guest.read_only).await,
        (Target::Call(endpoint), Admitted::Guest(guest)) => {
            api::answer(endpoint, request, &room.facts, &Caller::Guest(guest)).await
        }
        (Target::Session(SessionCall::End) | Target::Pm2 | Target::Call(_), Admitted::Anyone) => {
            return Err(Refusal::NobodyYet);
        }
    })
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = api::failure(&refusal.error());
    *response.status_mut() = refusal.status();
    match refusal {
        // Not `Basic`: the page has its own way to sign in, and what browsers remember of that they send to whoever asks.
        Refusal::NobodyYet | Refusal::Wrong => {
            let challenge = HeaderValue::from_static("Bearer realm=\"ostler\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        Refusal::TooSoon(seconds) => {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*seconds));
        }
        Refusal::NoHost
        | Refusal::ForeignHost(_)
        | Refusal::OtherSite
        | Refusal::NotJson
        | Refusal::Closed
        | Refusal::ReadOnly
        | Refusal::NoSuchPath
        | Refusal::NoSuchMethod => {}
    }
    response
}

/// A part of the page. It changes with the program only, so browsers keep it and ask whether it is still the same.
fn page(asset: &'static Asset, request: &Request<Incoming>) -> Response<Body> {
    let known = request
        .headers()
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| {
        known
            .split(',')
            .any(|tag| tag.trim().trim_start_matches("W/") == asset.tag())
    });
    let bytes = if is_known { &[][..] } else { asset.bytes };
    let mut response = Response::new(Full::new(Bytes::from_static(bytes)).boxed());
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&asset.tag()) {
        headers.insert(ETAG, tag);
    }
    response
}

/// Who is signed in, for the page: which also has to know how one can.
fn session(room: &Room, guest: Option<&Guest>) -> Response<Body> {
    let with_password = room.door().settings().login.is_some();
    api::json(Ok::<_, ApiError>(match guest {
        Some(guest) => json!({
            "signed_in": true, "user": guest.user, "read_only": guest.read_only, "version": crate::VERSION,
        }),
        None => json!({ "signed_in": false, "with_password": with_password }),
    }))
}

/// The body of `POST /session`.
#[derive(Deserialize)]
#[serde(untagged)]
enum SignIn {
    Token { token: String },
    Password(Login),
}

async fn begin(request: Request<Incoming>, room: &Room, visit: &Visit) -> Result<Response<Body>, Refusal> {
    let credential = match api::body::<SignIn>(request, api::OF_GUESTS).await {
        Ok(SignIn::Token { token }) => Credential::Token(token),
        Ok(SignIn::Password(login)) => Credential::Password(login),
        Err(error) => return Ok(api::failure(&error)),
    };
    let key = match settings::secret() {
        Ok(key) => key,
        Err(error) => return Ok(api::failure(&api::internal(&format!("no random bytes: {error}")))),
    };
    let now = crate::reactor::now().instant;
    let guest = room.door().sign_in(&credential, visit.peer.ip(), now, key.clone())?;
    room.keep_sessions();
    visit.let_in(Some(key.clone()));
    let mut response = session(room, Some(&guest));
    set_cookie(&mut response, room.port, &key, sessions::LASTS.as_secs());
    Ok(response)
}

fn end(room: &Room, visit: &Visit, guest: &Guest) -> Response<Body> {
    // This connection has its answer to write yet; others of the session are closed.
    visit.let_in(None);
    if let Some(key) = &guest.session
        && room.door().sign_out(key)
    {
        room.keep_sessions();
    }
    room.changed.send_replace(());
    let mut response = session(room, None);
    set_cookie(&mut response, room.port, "", 0);
    response
}

fn set_cookie(response: &mut Response<Body>, port: u16, key: &str, seconds: u64) {
    let name = cookie_name(port);
    let text = format!("{name}={key}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}");
    let cookie = HeaderValue::from_str(&text).expect("invariant: hexadecimal digits and words only");
    response.headers_mut().insert(SET_COOKIE, cookie);
}

async fn pm2(room: &Room, read_only: bool) -> Response<Body> {
    let list = match api::ask(&room.facts, Call::Full).await {
        Ok(list) => list,
        Err(error) => return api::failure(&error),
    };
    let home = room.home.clone();
    let page = tokio::task::spawn_blocking(move || pm2::page(list, &home, read_only)).await;
    api::json(page.map_err(|error| api::internal(&format!("making the list failed: {error}"))))
}
