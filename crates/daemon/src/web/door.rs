//! Who is let in: from what a request says, and what was said before, to a verdict. Pure: no clock, no chance, no descriptor.
//!
//! Called by the connections for each request (`serve`). In this order: a request has to call this server by a name of its own, must not
//! come from a page elsewhere, and has to show who sends it; what it asks for has to be open at this port, and in this mode.

use super::asked::{Asked, Credential, Site};
use super::attempts::Attempts;
use super::names;
use super::refusal::Refusal;
use super::sessions::Sessions;
use super::settings::Settings;
use super::target::{SessionCall, Target};
use ostler_core::Instant;
use ostler_wire::endpoints::{Endpoint, OverPort};
use std::net::IpAddr;
use std::time::Duration;

/// Under which name somebody who has shown the token stands in the history.
const TOKEN_HOLDER: &str = "token";

/// See the module's header.
#[derive(Debug)]
pub struct Door {
    settings: Settings,
    sessions: Sessions,
    attempts: Attempts,
}

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// The name he has signed in by, or `token`.
    pub user: String,
    /// Where he comes from.
    pub address: IpAddr,
    /// The session, if it was that which let him in.
    pub session: Option<String>,
    /// Whether nothing may be changed.
    pub read_only: bool,
}

/// Let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// To what anybody may see.
    Anyone,
    /// To what was asked for.
    Guest(Guest),
}

impl Door {
    /// With the sessions that a predecessor knew.
    pub fn new(settings: Settings, sessions: Sessions) -> Self {
        Self {
            settings,
            sessions,
            attempts: Attempts::default(),
        }
    }

    /// How the port is open.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Who is signed in.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Decides about a request.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn admit(&mut self, asked: &Asked, now: Instant) -> Result<Admitted, Refusal> {
        self.is_called_rightly(asked)?;
        stays_on_its_page(asked)?;
        match asked.target {
            Target::Page(_) | Target::Session(SessionCall::Begin) => Ok(Admitted::Anyone),
            Target::Session(SessionCall::Look) => match self.guest(asked, now) {
                Ok(guest) => Ok(Admitted::Guest(guest)),
                // Who looks learns that he is nobody yet. Who guesses has to be told to wait.
                Err(Refusal::NobodyYet) => Ok(Admitted::Anyone),
                Err(refusal) => Err(refusal),
            },
            Target::Session(SessionCall::End) | Target::Pm2 => self.guest(asked, now).map(Admitted::Guest),
            Target::Call(endpoint) => {
                let guest = self.guest(asked, now)?;
                is_open(endpoint, guest.read_only)?;
                Ok(Admitted::Guest(guest))
            }
        }
    }

    /// Begins a session named `key`, a fresh secret.
    ///
    /// # Errors
    /// Why not.
    pub fn sign_in(
        &mut self,
        credential: &Credential,
        from: IpAddr,
        now: Instant,
        key: String,
    ) -> Result<Guest, Refusal> {
        let user = self.known(credential, from, now)?;
        self.sessions.begin(key.clone(), user.clone(), now);
        Ok(self.let_in(user, from, Some(key)))
    }

    /// Ends a session. Whether it was one.
    pub fn sign_out(&mut self, key: &str) -> bool {
        self.sessions.end(key)
    }

    /// Whether a session goes on.
    pub fn knows(&self, key: &str, now: Instant) -> bool {
        self.sessions.user(key, now).is_some()
    }

    fn is_called_rightly(&self, asked: &Asked) -> Result<(), Refusal> {
        let Some(authority) = &asked.host else {
            return Err(Refusal::NoHost);
        };
        if names::is_ours(&authority.host, asked.local, &self.settings.allow_hosts) {
            return Ok(());
        }
        let name = match &authority.host {
            names::Host::Name(name) => name.clone(),
            names::Host::Address(address) => address.to_string(),
        };
        Err(Refusal::ForeignHost(name))
    }

    fn guest(&mut self, asked: &Asked, now: Instant) -> Result<Guest, Refusal> {
        let session = asked.session.as_deref();
        if let Some(user) = session.and_then(|key| self.sessions.user(key, now)) {
            let user = user.to_owned();
            return Ok(self.let_in(user, asked.peer, asked.session.clone()));
        }
        match &asked.credential {
            Some(credential) => {
                let user = self.known(credential, asked.peer, now)?;
                Ok(self.let_in(user, asked.peer, None))
            }
            None => Err(Refusal::NobodyYet),
        }
    }

    fn let_in(&self, user: String, address: IpAddr, session: Option<String>) -> Guest {
        Guest {
            user,
            address: address.to_canonical(),
            session,
            read_only: self.settings.read_only,
        }
    }

    /// Who shows this. The token cannot be guessed, so whoever has it never waits for what others do from his address.
    fn known(&mut self, credential: &Credential, from: IpAddr, now: Instant) -> Result<String, Refusal> {
        let waits = self.attempts.wait(from, now);
        let user = match credential {
            Credential::Token(token) => same(token, &self.settings.token).then(|| TOKEN_HOLDER.to_owned()),
            Credential::Password(_) if waits.is_some() => None,
            Credential::Password(given) => self.settings.login.as_ref().and_then(|login| {
                // Both are compared whatever comes of the first.
                let right = same(&given.user, &login.user) & same(&given.password, &login.password);
                right.then(|| login.user.clone())
            }),
        };
        match (user, waits) {
            (Some(user), _) => {
                self.attempts.succeeded(from);
                Ok(user)
            }
            (None, Some(left)) => Err(Refusal::TooSoon(whole_seconds(left))),
            (None, None) => {
                self.attempts.failed(from, now);
                Err(Refusal::Wrong)
            }
        }
    }
}

fn whole_seconds(left: Duration) -> u64 {
    left.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

/// A page elsewhere, also one of another port of this machine, may neither read nor change anything through its visitor's browser.
fn stays_on_its_page(asked: &Asked) -> Result<(), Refusal> {
    // Following a link to the page is no harm: what it then asks for, it asks for by itself.
    if matches!(asked.target, Target::Page(_)) {
        return Ok(());
    }
    if asked.site == Site::Other {
        return Err(Refusal::OtherSite);
    }
    let same_origin = match (&asked.origin, &asked.host) {
        (None, _) => true,
        (Some(Some(origin)), Some(host)) => host.serves(origin),
        (Some(_), _) => false,
    };
    if !same_origin {
        return Err(Refusal::OtherSite);
    }
    if !asked.changes {
        return Ok(());
    }
    if !asked.is_json {
        return Err(Refusal::NotJson);
    }
    // Browsers say where a change comes from. What is no browser brings no cookies.
    let says_nothing = asked.origin.is_none() && asked.site == Site::Unsaid;
    match says_nothing && asked.session.is_some() {
        true => Err(Refusal::OtherSite),
        false => Ok(()),
    }
}

fn is_open(endpoint: Endpoint, read_only: bool) -> Result<(), Refusal> {
    match (endpoint.over_port(), read_only) {
        (OverPort::Closed, _) => Err(Refusal::Closed),
        (OverPort::Masked | OverPort::Changes, true) => Err(Refusal::ReadOnly),
        (OverPort::Shown | OverPort::Masked | OverPort::Changes, _) => Ok(()),
    }
}

/// Whether two secrets are the same, in a time that depends on how long the given one is and on nothing else.
pub fn same(given: &str, secret: &str) -> bool {
    let (given, secret) = (given.as_bytes(), secret.as_bytes());
    if secret.is_empty() {
        return false;
    }
    let mut difference = given.len() ^ secret.len();
    for (at, byte) in given.iter().enumerate() {
        difference |= usize::from(byte ^ secret[at % secret.len()]);
    }
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
