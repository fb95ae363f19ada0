//! The client of the control API: HTTP/1.1 with JSON over the home directory's socket. Every command that needs the
//! daemon goes through here.
//!
//! The daemon may be replaced under us at any moment (a crash, an upgrade). A broken connection is therefore made anew
//! and the call sent again, an operation under the same id, so that the new daemon carries it out once. That ends
//! [`PATIENCE`] after the last answerer was lost.

use crate::connection::{self, Connect};
use crate::frames::{Frame, Frames};
use crate::home::Home;
use crate::launch_daemon;
use crate::printer::Printer;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ostler_wire::control::{Action, Answer, ApiError, Follow, Operation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long we look for a daemon that was there a moment ago.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long a question may stay unanswered. Operations may take as long as apps need to start and stop.
const QUESTION_DEADLINE: Duration = Duration::from_secs(10);

/// Between two attempts to connect.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// A request that kills every daemon which reads it must not be sent for ever. The keeper starts the successors of daemons
/// that crash more and more slowly, so that this many last longer than [`LONGEST_STORM`] then.
const MOST_BREAKS: u32 = 25;

/// As long as this, breaks are not counted: somebody may kill one daemon after the other while an app takes its time to stop.
const LONGEST_STORM: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 30 });

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens, and nobody did.
    #[error("no daemon is running")]
    NoDaemon,
    /// The socket cannot be reached for another reason than that.
    #[error("connecting to {}: {cause}", socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The daemon went away and none came back in time.
    #[error("the connection to the daemon broke ({cause}), and no daemon answered any more")]
    Lost {
        /// How it broke.
        cause: String,
    },
    /// The daemon is there and silent.
    #[error("the daemon took the connection, but gave no answer within {} s", after.as_secs())]
    NoAnswer {
        /// How long it was waited.
        after: Duration,
    },
    /// The daemon answered with an error.
    #[error("{}", .0.message)]
    Refused(ApiError),
    /// The answer is not what the API promises.
    #[error("the daemon's answer to {call} cannot be read: {cause}")]
    Malformed {
        /// The call.
        call: String,
        /// What is wrong.
        cause: String,
    },
}

/// One connection to the daemon, made anew when it breaks.
pub struct Client {
    home: Home,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Whether a daemon is started when none is left, and where is said what was found then.
    starts: Option<Rc<Printer>>,
}

/// How a request ended without an answer.
struct Broken(String);

impl Client {
    /// Connects to the daemon that runs, or says [`CallError::NoDaemon`] at once.
    pub async fn connect(home: &Home) -> Result<Self, CallError> {
        let mut client = Self {
            home: home.clone(),
            sender: None,
            starts: None,
        };
        let began = Instant::now();
        loop {
            match connection::connect(home).await {
                Connect::Made(stream) => {
                    client.sender = Some(client.shake_hands(stream).await?);
                    return Ok(client);
                }
                Connect::Busy if began.elapsed() < PATIENCE => sleep(RETRY_INTERVAL).await,
                Connect::Busy => return Err(CallError::NoAnswer { after: PATIENCE }),
                // The socket has nobody, yet the keeper lives: a new daemon is on its way.
                Connect::Nobody if connection::keeper_lives(home) && began.elapsed() < PATIENCE => {
                    sleep(RETRY_INTERVAL).await;
                }
                Connect::Nobody => return Err(CallError::NoDaemon),
                Connect::Failed(cause) => {
                    return Err(CallError::Connect {
                        socket: home.socket(),
                        cause,
                    });
                }
            }
        }
    }

    /// From now on a daemon is started when no keeper is left to start one.
    pub fn that_starts_daemons(self, printer: Rc<Printer>) -> Self {
        Self {
            starts: Some(printer),
            ..self
        }
    }

    /// Asks for something. `path` is the call's path with its query.
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, CallError> {
        let answered = timeout(QUESTION_DEADLINE, self.exchange(&Method::GET, path, Bytes::new()));
        let body = answered.await.map_err(|_elapsed| CallError::NoAnswer {
            after: QUESTION_DEADLINE,
        })??;
        read(path, &body)
    }

    /// Has something be so, which it is once or twice: sent again when the connection breaks.
    pub async fn post<T: DeserializeOwned>(&mut self, path: &str, wanted: &impl Serialize) -> Result<T, CallError> {
        let body = serde_json::to_vec(wanted).map_err(|cause| malformed(path, &cause))?;
        let answered = timeout(QUESTION_DEADLINE, self.exchange(&Method::POST, path, body.into()));
        let answer = answered.await.map_err(|_elapsed| CallError::NoAnswer {
            after: QUESTION_DEADLINE,
        })??;
        read(path, &answer)
    }

    /// Has something done, exactly once, however often the connection breaks meanwhile.
    pub async fn operate(&mut self, verb: &str, action: Action) -> Result<Answer, CallError> {
        let path = "/v1/operations";
        let operation = Operation {
            id: connection::operation_id(),
            verb: verb.to_owned(),
            action,
        };
        let body = serde_json::to_vec(&operation).map_err(|cause| malformed(path, &cause))?;
        let answer = self.exchange(&Method::POST, path, body.into()).await?;
        read(path, &answer)
    }

    /// Follows output. The stream ends when the daemon does; the caller connects anew and follows again.
    pub async fn follow(mut self, what: &Follow) -> Result<Following, CallError> {
        let path = "/v1/follow";
        let body = serde_json::to_vec(what).map_err(|cause| malformed(path, &cause))?;
        let response = match self.send(&Method::POST, path, body.into()).await {
            Ok(response) => response,
            Err(Broken(cause)) => return Err(CallError::Lost { cause }),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(Following {
                _connection: self.sender,
                body: response.into_body(),
                frames: Frames::default(),
            });
        }
        let body = collect(response)
            .await
            .map_err(|Broken(cause)| CallError::Lost { cause })?;
        Err(refused(path, status, &body))
    }

    async fn exchange(&mut self, method: &Method, path: &str, body: Bytes) -> Result<Bytes, CallError> {
        let (mut breaks, began) = (0, Instant::now());
        loop {
            let cause = match self.attempt(method, path, body.clone()).await {
                Ok((status, answer)) if status.is_success() => return Ok(answer),
                Ok((status, answer)) => return Err(refused(path, status, &answer)),
                Err(Broken(cause)) => cause,
            };
            breaks += 1;
            if breaks > MOST_BREAKS && began.elapsed() >= LONGEST_STORM {
                return Err(CallError::Lost { cause });
            }
            self.reconnect(cause).await?;
        }
    }

    async fn attempt(&mut self, method: &Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), Broken> {
        let response = self.send(method, path, body).await?;
        Ok((response.status(), collect(response).await?))
    }

    async fn send(&mut self, method: &Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Broken> {
        let sender = self.sender.as_mut().ok_or_else(|| Broken("not connected".to_owned()))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "ostler")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(broken)?;
        sender.send_request(request).await.map_err(broken)
    }

    async fn reconnect(&mut self, cause: String) -> Result<(), CallError> {
        self.sender = None;
        let mut began = Instant::now();
        while began.elapsed() < PATIENCE {
            match connection::connect(&self.home).await {
                Connect::Made(stream) => {
                    self.sender = Some(self.shake_hands(stream).await?);
                    return Ok(());
                }
                // It was told to end, or killed with its keeper: none will follow it.
                Connect::Nobody if !connection::keeper_lives(&self.home) => match &self.starts {
                    Some(printer) => {
                        self.launch(printer)?;
                        began = Instant::now();
                    }
                    None => break,
                },
                Connect::Nobody | Connect::Busy | Connect::Failed(_) => sleep(RETRY_INTERVAL).await,
            }
        }
        Err(CallError::Lost { cause })
    }

    fn launch(&self, printer: &Printer) -> Result<(), CallError> {
        let launched = launch_daemon::launch(&self.home).map_err(|error| CallError::Lost { cause: error.message })?;
        launched.warn(printer);
        Ok(())
    }

    async fn shake_hands(&self, stream: tokio::net::UnixStream) -> Result<SendRequest<Full<Bytes>>, CallError> {
        let made = handshake(TokioIo::new(stream)).await;
        let (sender, conversation) = made.map_err(|error| CallError::Lost {
            cause: error.to_string(),
        })?;
        // Its errors come out of the requests that they break.
        tokio::spawn(async move {
            let _ = conversation.await;
        });
        Ok(sender)
    }
}

/// A stream of frames.
pub struct Following {
    // Dropping it would end the connection.
    _connection: Option<SendRequest<Full<Bytes>>>,
    body: Incoming,
    frames: Frames,
}

impl Following {
    /// The next frame; `None` when the daemon has gone (a frame that was cut off is dropped, since the next stream
    /// begins before it).
    pub async fn next(&mut self) -> Result<Option<Frame>, CallError> {
        loop {
            match self.frames.next() {
                Ok(Some(frame)) => return Ok(Some(frame)),
                Ok(None) => {}
                Err(cause) => return Err(malformed("/v1/follow", &cause)),
            }
            match self.body.frame().await {
                Some(Ok(part)) => self.frames.feed(part.data_ref().map_or(&[], |data| &data[..])),
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, Broken> {
    Ok(response.into_body().collect().await.map_err(broken)?.to_bytes())
}

fn read<T: DeserializeOwned>(call: &str, body: &[u8]) -> Result<T, CallError> {
    // Whether it is text is looked at once, not string by string.
    let text = std::str::from_utf8(body).map_err(|cause| malformed(call, &cause))?;
    serde_json::from_str(text).map_err(|cause| malformed(call, &cause))
}

fn refused(call: &str, status: StatusCode, body: &[u8]) -> CallError {
    match serde_json::from_slice(body) {
        Ok(error) => CallError::Refused(error),
        Err(cause) => malformed(call, &format!("status {status}, {cause}")),
    }
}

fn malformed(call: &str, cause: &dyn std::fmt::Display) -> CallError {
    CallError::Malformed {
        call: call.to_owned(),
        cause: cause.to_string(),
    }
}

fn broken(error: impl std::fmt::Display) -> Broken {
    Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_daemon::{FakeDaemon, Reply, Stage, json};
    use ostler_core::Pid;
    use ostler_wire::control::{ApiErrorKind, Pong};

    fn pong() -> Pong {
        Pong {
            version: "0.1.0".into(),
            daemon: Pid(2),
            keeper: Pid(1),
            generation: 1,
        }
    }

    #[tokio::test]
    async fn without_a_daemon_that_is_said_at_once() {
        let stage = Stage::new("ping");
        assert!(matches!(
            Client::connect(&stage.session.home).await,
            Err(CallError::NoDaemon)
        ));
    }

    #[tokio::test]
    async fn a_question_is_answered_over_one_connection() {
        let stage = Stage::new("ping");
        let _daemon = FakeDaemon::start(&stage.session.home, |_| json(&pong()));
        let mut client = Client::connect(&stage.session.home).await.expect("it listens");
        for _ in 0..2 {
            assert_eq!(client.get::<Pong>("/v1/ping").await.expect("it answers"), pong());
        }
    }

    #[tokio::test]
    async fn an_operation_outlives_its_daemon_and_keeps_its_id() {
        let stage = Stage::new("stop");
        let home = stage.session.home.clone();
        let first = FakeDaemon::start(&home, |_| Reply::Break);
        let mut client = Client::connect(&home).await.expect("it listens");
        let replace = async {
            crate::fake_daemon::until("the first daemon is asked", || !first.operations().is_empty()).await;
            let asked = first.operations();
            drop(first);
            let second = FakeDaemon::start(&home, |_| json(&Answer::Done { count: 1 }));
            (asked, second)
        };
        let (answer, (asked_first, second)) = tokio::join!(client.operate("reloadLogs", Action::ReloadLogs), replace);
        assert_eq!(answer.expect("the second daemon answers"), Answer::Done { count: 1 });
        let asked_second = second.operations();
        assert_eq!(asked_second.len(), 1);
        assert!(asked_first.iter().all(|operation| operation.id == asked_second[0].id));
    }

    #[tokio::test]
    async fn an_operation_that_kills_every_daemon_is_given_up() {
        let stage = Stage::new("stop");
        let daemon = FakeDaemon::start(&stage.session.home, |_| Reply::Break);
        let mut client = Client::connect(&stage.session.home).await.expect("it listens");
        let answer = client.operate("reloadLogs", Action::ReloadLogs).await;
        assert!(matches!(answer, Err(CallError::Lost { .. })), "{answer:?}");
        assert_eq!(daemon.operations().len() as u32, MOST_BREAKS + 1);
    }

    #[tokio::test]
    async fn while_the_keeper_lives_a_new_daemon_is_waited_for() {
        let stage = Stage::new("ping");
        let home = stage.session.home.clone();
        let lock = std::fs::File::create(home.life_lock()).expect("the lock file can be made");
        lock.lock().expect("nobody else holds it");
        let replace = async {
            sleep(Duration::from_millis(30)).await;
            FakeDaemon::start(&home, |_| json(&pong()))
        };
        let (client, _daemon) = tokio::join!(Client::connect(&home), replace);
        assert_eq!(
            client
                .expect("it came back")
                .get::<Pong>("/v1/ping")
                .await
                .expect("it answers"),
            pong()
        );
    }

    #[tokio::test]
    async fn a_refusal_comes_as_the_daemon_words_it() {
        let stage = Stage::new("stop");
        let error = ApiError {
            kind: ApiErrorKind::NotFound,
            message: "no such app".into(),
            hint: None,
        };
        let body = serde_json::to_vec(&error).expect("an error is JSON");
        let _daemon = FakeDaemon::start(&stage.session.home, move |_| Reply::Json(404, body.clone()));
        let mut client = Client::connect(&stage.session.home).await.expect("it listens");
        match client.operate("reloadLogs", Action::ReloadLogs).await {
            Err(CallError::Refused(refused)) => assert_eq!(refused, error),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_no_json_is_a_bug_not_a_hang() {
        let stage = Stage::new("ping");
        let _daemon = FakeDaemon::start(&stage.session.home, |_| Reply::Json(200, b"<html>".to_vec()));
        let mut client = Client::connect(&stage.session.home).await.expect("it listens");
        assert!(matches!(
            client.get::<Pong>("/v1/ping").await,
            Err(CallError::Malformed { .. })
        ));
    }
}
