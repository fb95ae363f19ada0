use crate::client::CallError;
use crate::error::{Error, Result};
use crate::session::Session;
use clap::Args;
use ostler_wire::web::{Login, LoginWish, SETTINGS, TOKEN, WebChange, WebOpen, WebState, WebWish};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Open the web dashboard, and print the link to it
///
/// It stays open, also over restarts of Ostler, until `--off`. What is not said stays as it was. The link signs in by a token: whoever has
/// it can do what the dashboard can. See docs/web.md.
#[derive(Args, Debug, Default)]
#[command(after_help = "Examples:
  ostler web                                 on this machine only, at port 9615
  ostler web --read-only                     for looking only
  ostler web --user ann --password-file -    sign in by a password too, read from standard input
  ostler web --allow-host ops.example.com    behind a proxy of that name
  ostler web --off                           close it")]
pub struct Web {
    /// The port; 9615 at first, 0 for any that is free
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// The address to listen at; 127.0.0.1 at first, 0.0.0.0 for all
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub host: Option<IpAddr>,
    /// Nothing can be changed, and what may tell secrets is not shown
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub read_only: Option<bool>,
    /// Somebody who may sign in by a password, too
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Their password; other users of this machine can see it while the command runs
    #[arg(long, value_name = "PASSWORD", requires = "user", conflicts_with = "password_file")]
    pub password: Option<String>,
    /// The file that has their password in its first line; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<String>,
    /// Nobody may sign in by a password any more
    #[arg(long, conflicts_with = "user")]
    pub no_user: bool,
    /// A name that a proxy in front is called by; may be given several times, and then these are all
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
    /// Make a new token; the old link is worth nothing then, and everybody has to sign in again
    #[arg(long)]
    pub new_token: bool,
    /// Close it, and forget how it was open
    #[arg(long, conflicts_with_all = ["port", "host", "read_only", "user", "no_user", "allow_host", "new_token"])]
    pub off: bool,
}

impl Web {
    pub async fn run(self, session: &Session) -> Result {
        if self.off {
            return close(session).await;
        }
        let wish = self.wish(session)?;
        let mut client = session.daemon_started().await?;
        let state: WebState = client
            .post("/v1/web", &WebChange::Open(wish))
            .await
            .map_err(explained)?;
        show(session, &state)
    }

    fn wish(self, session: &Session) -> Result<WebWish> {
        let login = match (&self.user, self.no_user) {
            (Some(user), _) => Some(LoginWish::As(Login {
                user: user.clone(),
                password: self.secret(session)?,
            })),
            (None, true) => Some(LoginWish::Nobody),
            (None, false) => None,
        };
        Ok(WebWish {
            host: self.host,
            port: self.port,
            read_only: self.read_only,
            login,
            allow_hosts: (!self.allow_host.is_empty()).then_some(self.allow_host),
            new_token: self.new_token,
        })
    }

    fn secret(&self, session: &Session) -> Result<String> {
        let text = match (&self.password, self.password_file.as_deref()) {
            (Some(password), _) => return Ok(password.clone()),
            (None, Some("-")) => {
                let mut text = String::new();
                let read = std::io::stdin().read_to_string(&mut text);
                read.map(|_| text)
                    .map_err(|error| Error::system(format!("reading the password from standard input: {error}")))?
            }
            (None, Some(file)) => std::fs::read_to_string(session.cwd.join(file))
                .map_err(|error| Error::user(format!("reading the password from {file}: {error}")))?,
            (None, None) => {
                return Err(Error::user("--user needs a password")
                    .hint("--password-file FILE, or `-` in its place for standard input"));
            }
        };
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

fn address(text: &str) -> std::result::Result<IpAddr, String> {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    match inner {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        "*" => Ok(Ipv4Addr::UNSPECIFIED.into()),
        _ => inner
            .parse()
            .map_err(|_| "an address of this machine is needed: 127.0.0.1, 0.0.0.0, ::1, …".to_owned()),
    }
}

/// An old daemon has no port to open.
fn explained(error: CallError) -> Error {
    let is_unknown =
        matches!(&error, CallError::Refused(refused) if refused.message.contains("in this version of Ostler"));
    let error = Error::from(error);
    match is_unknown {
        true => error.hint("the daemon that runs is older than this command: `ostler daemon status`"),
        false => error,
    }
}

/// Without a daemon, what would open it with the next one is taken away.
async fn close(session: &Session) -> Result {
    let Some(mut client) = session.daemon_if_any().await? else {
        for name in [SETTINGS, TOKEN] {
            let path = session.home.path().join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::system(format!("removing {}: {error}", path.display())));
                }
                Ok(()) | Err(_) => {}
            }
        }
        session.printer.say("the web dashboard is off");
        return Ok(());
    };
    let state: WebState = client.post("/v1/web", &WebChange::Close).await.map_err(explained)?;
    state.warnings.iter().for_each(|warning| session.printer.warn(warning));
    session.printer.say("the web dashboard is off");
    Ok(())
}

/// The link is the answer; the rest is said beside it.
fn show(session: &Session, state: &WebState) -> Result {
    let printer = &session.printer;
    if let Some(failure) = &state.failure {
        return Err(Error::system(failure.clone()));
    }
    let Some(open) = &state.wanted else {
        return Err(Error::system("the web dashboard was closed meanwhile"));
    };
    let mut notes = vec![mode(open)];
    if let Some(user) = &open.user {
        notes.push(format!("{user} may sign in by the password"));
    }
    if !open.allow_hosts.is_empty() {
        notes.push(format!("it answers as {}, too", open.allow_hosts.join(", ")));
    }
    notes.iter().for_each(|note| printer.say(note));
    state.warnings.iter().for_each(|warning| printer.warn(warning));
    if !open.address.ip().to_canonical().is_loopback() {
        warn_of_others(session, open);
    }
    printer.hint("`ostler web --off` closes it");
    printer.data(format!("{}\n", link(open)))?;
    Ok(())
}

fn mode(open: &WebOpen) -> String {
    let mode = if open.read_only { ", for reading only" } else { "" };
    format!(
        "the web dashboard is open at {}{mode}; the link signs in:",
        open.address
    )
}

fn warn_of_others(session: &Session, open: &WebOpen) {
    session.printer.warn(&format!(
        "other machines can reach {}, and what passes is not encrypted: whoever listens in on the way sees the token, the \
         password and all that is shown",
        open.address
    ));
    let port = open.address.port();
    session.printer.hint(&format!(
        "keep to 127.0.0.1 and put a proxy with TLS in front (docs/web.md), or use a tunnel: `ssh -L {port}:127.0.0.1:{port} HOST`"
    ));
}

/// The token stands behind the `#`, which browsers send to no server.
fn link(open: &WebOpen) -> String {
    let ip = match (open.address.ip(), open.address.ip().is_unspecified()) {
        (IpAddr::V4(_), true) => Ipv4Addr::LOCALHOST.into(),
        (IpAddr::V6(_), true) => std::net::Ipv6Addr::LOCALHOST.into(),
        (ip, false) => ip,
    };
    format!(
        "http://{}/#token={}",
        SocketAddr::new(ip, open.address.port()),
        open.token
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_this_machine_and_has_the_token_behind_the_fragment() {
        for (address, expected) in [
            ("127.0.0.1:9615", "http://127.0.0.1:9615/#token=abc"),
            ("0.0.0.0:80", "http://127.0.0.1:80/#token=abc"),
            ("[::]:80", "http://[::1]:80/#token=abc"),
            ("10.0.0.1:80", "http://10.0.0.1:80/#token=abc"),
        ] {
            let open = WebOpen {
                address: address.parse().expect("an address"),
                read_only: false,
                user: None,
                allow_hosts: Vec::new(),
                token: "abc".to_owned(),
                token_file: None,
            };
            assert_eq!(link(&open), expected);
        }
    }

    #[test]
    fn an_address_is_an_address_of_a_machine() {
        for (text, expected) in [
            ("localhost", "127.0.0.1"),
            ("*", "0.0.0.0"),
            ("[::1]", "::1"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(
                address(text).map(|address| address.to_string()).as_deref(),
                Ok(expected)
            );
        }
        assert!(address("example.com").is_err());
    }
}
