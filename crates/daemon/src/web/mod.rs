//! The web dashboard's port: the control API and a page over TCP, behind a door (docs/design/0020).
//!
//! Off unless asked for, and then nothing of it exists. How it is open lies in the home directory for the next line of daemons, and with the
//! keeper, together with the listening socket, for the next daemon of this one: who connects while one takes over from another waits.
//!
//! ```text
//! serve (connections) ─▶ asked (facts of a request) ─▶ door (pure: verdict) ─▶ answer (page, session, control API)
//! ```

mod answer;
mod asked;
mod attempts;
mod door;
pub(crate) mod mask;
mod names;
mod page;
mod pm2;
mod refusal;
mod serve;
mod sessions;
mod settings;
mod target;

pub use door::Guest;

use crate::api::{Reply, internal};
use crate::reactor::Daemon;
use crate::sockets::bind::{self, Failed};
use door::Door;
use ostler_core::{Address, Listen};
use ostler_wire::control::{ApiError, ApiErrorKind};
use ostler_wire::web::{WebChange, WebState, WebWish};
use rustix::io::Errno;
use serve::{Room, SESSIONS_KEY};
use sessions::Sessions;
use settings::Settings;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// The deposit of the listening socket, with the settings.
const KEY: &str = "web";

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 128;

/// The port, if it is to be open.
#[derive(Debug)]
pub(crate) struct Web {
    settings: Settings,
    open: Result<Open, String>,
}

/// It is open.
#[derive(Debug)]
struct Open {
    listener: TcpListener,
    /// Dropping it ends all connections.
    _closing: watch::Sender<()>,
}

impl Daemon {
    /// Tells how the port is open, after changing that if there is a change.
    pub(crate) fn call_web(&mut self, change: Option<WebChange>, reply: Reply<WebState>) {
        match change {
            None => drop(reply.send(Ok(self.web_state()))),
            Some(WebChange::Close) => {
                self.shut();
                self.web = None;
                self.write_web(reply);
            }
            Some(WebChange::Open(wish)) => self.open_web(wish, reply),
        }
    }

    /// Goes on where a predecessor was, or as an earlier line of daemons was told to.
    pub(crate) fn adopt_web(&mut self) {
        if let Some(deposit) = self.keeper.get(KEY).cloned() {
            let settings = serde_json::from_slice::<Settings>(&deposit.data);
            let listener = deposit
                .descriptors
                .first()
                .map(|socket| socket.as_fd().try_clone_to_owned());
            match (settings, listener) {
                (Ok(settings), Some(Ok(listener))) => self.install(settings, listener),
                _ => {
                    self.note(
                        "the predecessor's web dashboard cannot be taken over; it is closed: `ostler web` opens it",
                    );
                    self.keeper.release(KEY);
                }
            }
            return;
        }
        let Some(home) = self.web_home() else { return };
        match settings::read(&home) {
            Ok(Some(settings)) => self.open_as_before(settings),
            Ok(None) => {}
            Err(error) => self.note(&format!(
                "the settings of the web dashboard in {} cannot be read ({error}); it stays closed: `ostler web` opens it",
                home.display()
            )),
        }
    }

    fn open_as_before(&mut self, mut settings: Settings) {
        if settings.token.is_empty() {
            match settings::secret() {
                Ok(token) => settings.token = token,
                Err(error) => return self.note(&format!("no token for the web dashboard: {error}")),
            }
            let (home, written) = (self.home.clone(), settings.clone());
            let facts = self.facts.clone();
            self.scribe.run(move || {
                if let Err(error) = settings::write(&home, Some(&written)) {
                    let _ = facts.send(crate::fact::Fact::Note(unwritten(&home, &error)));
                }
            });
        }
        match listen(settings.address) {
            Ok(listener) => self.install(settings, listener),
            Err(failed) => self.stay_closed(settings, &failed),
        }
    }

    fn stay_closed(&mut self, settings: Settings, failed: &Failed) {
        let why = unbound(settings.address, failed);
        self.note(&format!("the web dashboard is not open: {why}"));
        let open = Err(why);
        self.web = Some(Box::new(Web { settings, open }));
    }

    fn open_web(&mut self, wish: WebWish, reply: Reply<WebState>) {
        let fresh = settings::secret().map_err(|error| internal(&format!("no random bytes: {error}")));
        let before = self.web.as_ref().map(|web| &web.settings);
        let mut settings = match fresh.and_then(|fresh| Settings::wanted(before, wish, fresh)) {
            Ok(settings) => settings,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let listener = match self.listener(settings.address) {
            Ok(listener) => listener,
            Err(failed) => return self.refuse_web(settings.address, &failed, reply),
        };
        // The kernel may have chosen the port.
        if let Some(address) = address_of(&listener) {
            settings.address = address;
        }
        self.install(settings, listener);
        self.write_web(reply);
    }

    /// What listens there: what does already, or a new socket. Where the new one cannot be had beside the old one, the old one is closed
    /// first, and opened again if that was in vain.
    fn listener(&mut self, address: SocketAddr) -> Result<OwnedFd, Failed> {
        let Some(Web {
            settings,
            open: Ok(open),
        }) = self.web.as_deref()
        else {
            return listen(address);
        };
        if settings.address == address {
            return open.listener.as_fd().try_clone_to_owned().map_err(|_| Failed {
                call: "fcntl(F_DUPFD_CLOEXEC)",
                error: Errno::MFILE,
            });
        }
        let before = settings.clone();
        match listen(address) {
            Err(failed) if failed.error == Errno::ADDRINUSE && address.port() == before.address.port() => {}
            opened_or_failed => return opened_or_failed,
        }
        self.shut();
        let opened = listen(address);
        if opened.is_err() {
            match listen(before.address) {
                Ok(listener) => self.install(before, listener),
                Err(failed) => self.stay_closed(before, &failed),
            }
        }
        opened
    }

    /// Stops listening, and ends all connections. The keeper's copy of the socket listens no more either.
    fn shut(&mut self) {
        if let Some(Web { open: Ok(open), .. }) = self.web.as_deref() {
            let _ = rustix::net::shutdown(&open.listener, rustix::net::Shutdown::Both);
        }
        if let Some(web) = self.web.as_deref_mut() {
            web.open = Err("it is being opened anew".to_owned());
        }
        self.keeper.release(KEY);
    }

    /// Serves what comes to this socket from now on, in place of what was there.
    fn install(&mut self, settings: Settings, listener: OwnedFd) {
        let is_other = |web: &Web| web.settings.address != settings.address;
        if self.web.as_deref().is_some_and(is_other) {
            self.shut();
        }
        self.web = Some(match self.begin(&settings, listener) {
            Ok(open) => Box::new(Web {
                settings,
                open: Ok(open),
            }),
            Err(error) => {
                let why = format!("{} cannot be served: {error}", settings.address);
                self.note(&format!("the web dashboard is not open: {why}"));
                let open = Err(why);
                Box::new(Web { settings, open })
            }
        });
    }

    fn begin(&mut self, settings: &Settings, listener: OwnedFd) -> io::Result<Open> {
        let copy = listener.as_fd().try_clone_to_owned()?;
        let listener = TcpListener::from(listener);
        listener.set_nonblocking(true)?;
        let served = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
        let data = serde_json::to_vec(settings)?;
        self.keeper.deposit(KEY, data, vec![copy]);
        let door = Door::new(settings.clone(), self.signed_in(settings));
        let room = Arc::new(Room::new(door, self.facts.clone(), self.home.clone()));
        let (closing, told) = watch::channel(());
        tokio::spawn(serve::serve(served, room, self.connections.clone(), told));
        Ok(Open {
            listener,
            _closing: closing,
        })
    }

    /// Who is signed in by this token and password.
    fn signed_in(&self, settings: &Settings) -> Sessions {
        let deposit = self.keeper.get(SESSIONS_KEY);
        let kept = deposit.and_then(|deposit| serde_json::from_slice::<(u64, Sessions)>(&deposit.data).ok());
        kept.filter(|(lock, _)| *lock == settings.lock())
            .map_or_else(Sessions::default, |(_, sessions)| sessions)
    }

    fn web_state(&self) -> WebState {
        let web = self.web.as_deref();
        let home = self.web_home();
        WebState {
            wanted: web.map(|web| web.settings.shown(home.as_deref())),
            failure: web.and_then(|web| web.open.as_ref().err().cloned()),
            warnings: Vec::new(),
        }
    }

    /// Writes it down, and answers then.
    fn write_web(&mut self, reply: Reply<WebState>) {
        let mut state = self.web_state();
        let settings = self.web.as_deref().map(|web| web.settings.clone());
        if settings.is_none() {
            self.keeper.release(SESSIONS_KEY);
        }
        let Some(home) = self.web_home() else {
            state
                .warnings
                .push("there is no home directory: this ends with the daemon".to_owned());
            return drop(reply.send(Ok(state)));
        };
        self.scribe.run(move || {
            if let Err(error) = settings::write(&home, settings.as_ref()) {
                state.warnings.push(unwritten(&home, &error));
            }
            let _ = reply.send(Ok(state));
        });
    }

    /// Says why it cannot listen there, with who does.
    fn refuse_web(&self, address: SocketAddr, failed: &Failed, reply: Reply<WebState>) {
        let refused = |message: String| ApiError {
            kind: ApiErrorKind::User,
            message,
            hint: Some("`ostler web --port PORT` takes another port.".to_owned()),
        };
        let message = unbound(address, failed);
        if failed.error != Errno::ADDRINUSE {
            return drop(reply.send(Err(refused(message))));
        }
        let holder = self.stranger_at(&Address::Tcp(address), message);
        holder.explain(move |error| drop(reply.send(Err(refused(error.message)))));
    }

    /// Where its files are, if there is a home directory.
    fn web_home(&self) -> Option<PathBuf> {
        (self.home != Path::new(crate::NOWHERE)).then(|| self.home.clone())
    }
}

/// A socket that nothing inherits.
fn listen(address: SocketAddr) -> Result<OwnedFd, Failed> {
    bind::open(&Listen {
        address: Address::Tcp(address),
        name: None,
        backlog: BACKLOG,
        mode: 0,
    })
}

fn address_of(listener: &OwnedFd) -> Option<SocketAddr> {
    rustix::net::getsockname(listener).ok()?.try_into().ok()
}

fn unbound(address: SocketAddr, failed: &Failed) -> String {
    let Failed { call, error } = failed;
    let why = match *error {
        Errno::ACCESS => "; ports below 1024 need CAP_NET_BIND_SERVICE",
        Errno::ADDRNOTAVAIL => "; no interface of this machine has that address",
        _ => "",
    };
    format!("cannot listen on {address}: {call}: {}{why}", io::Error::from(*error))
}

fn unwritten(home: &Path, error: &io::Error) -> String {
    format!(
        "how the web dashboard is open could not be written to {} ({error}): the next start of Ostler will not know it",
        home.display()
    )
}
