//! Becoming the keeper of a container, and starting its apps from beside. Used by `runtime`.
//!
//! ```text
//! ostler runtime app.js        (pid 1, as a rule)
//!   ├─ ostler runtime --starter=4 app.js     waits until the daemon is up, starts the apps, ends
//!   └─ execve: ostler __keeper               which reaps the starter and tells the daemon how it ended
//!        └─ ostler __daemon
//! ```

use crate::error::{Error, Result};
use crate::home::{HOME_VARIABLE, Home};
use crate::launch_daemon::{KEEPER_ROLE, READY_VARIABLE};
use crate::printer::{Colour, Printer};
use crate::session::Session;
use ostler_daemon::container::Container;
use ostler_sys::{inherit, own_program, pipes};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::rc::Rc;

/// Names under which this program is `ostler runtime`.
const NAMES: [&str; 3] = ["pm2-runtime", "pm2-docker", "ostler-runtime"];

/// The words typed, with the verb that a name like `pm2-runtime` stands for.
pub fn with_verb(program: Option<&OsString>, mut words: Vec<String>) -> Vec<String> {
    let name = program.and_then(|program| std::path::Path::new(program).file_name());
    let about_itself = |word: &String| matches!(word.as_str(), "-v" | "-V" | "--version");
    let is_runtime = name.is_some_and(|name| NAMES.iter().any(|runtime| name == *runtime));
    if is_runtime && !words.first().is_some_and(about_itself) {
        words.insert(0, "runtime".to_owned());
    }
    words
}

/// Makes this process the keeper, after it has left one behind that starts the apps. Returns only if that fails.
pub fn become_keeper(home: &Home, container: Container) -> Error {
    match try_become_keeper(home, container) {
        Ok(error) => Error::system(format!("starting the keeper: {error}")),
        Err(error) => error,
    }
}

fn try_become_keeper(home: &Home, mut container: Container) -> Result<io::Error> {
    let (reader, writer) = pipes::pipe().map_err(|error| Error::system(format!("pipe: {error}")))?;
    let starter = starter(&reader, home)?;
    drop(reader);
    container.starter = i32::try_from(starter.id()).unwrap_or(0);
    let number = inherit::bequeath(&writer).map_err(|error| Error::system(format!("fcntl: {error}")))?;
    Ok(Command::new(own_program())
        .arg(KEEPER_ROLE)
        .env(HOME_VARIABLE, home.path())
        .env(READY_VARIABLE, number.to_string())
        .env(ostler_keeper::CONTAINER_VARIABLE, container.to_variable())
        .stdin(Stdio::null())
        .exec())
}

/// The same command line again, told that it is to start the apps. In a process group of its own: what a terminal's Ctrl-C means is
/// the keeper's business.
fn starter(reader: &OwnedFd, home: &Home) -> Result<std::process::Child> {
    let failed = |error: io::Error| Error::system(format!("starting {}: {error}", own_program().display()));
    let number = inherit::bequeath(reader).map_err(failed)?;
    let mut words = std::env::args_os();
    let program = words.next();
    let words: Vec<String> = words.filter_map(|word| word.into_string().ok()).collect();
    let mut words = with_verb(program.as_ref(), words);
    words.insert(0, format!("--starter={number}"));
    let starter = Command::new(own_program())
        .args(words)
        .env(HOME_VARIABLE, home.path())
        .process_group(0)
        .stdin(Stdio::null())
        .spawn()
        .map_err(failed)?;
    inherit::withhold(reader).map_err(failed)?;
    Ok(starter)
}

/// Waits until the keeper says that a daemon answers. Nothing is started any more once that keeper is gone.
pub fn await_daemon(descriptor: i32) -> Result {
    let tied = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    tied.map_err(|error| Error::system(format!("prctl: {error}")))?;
    let adopted = inherit::adopt(descriptor);
    let reader = adopted.map_err(|error| Error::user(format!("descriptor {descriptor}: {error}")))?;
    let mut said = String::new();
    // Up to a line's end: the keeper closes its end once it has said it.
    let read = File::from(reader).read_to_string(&mut said);
    match read {
        Ok(_) if said == "ready\n" => Ok(()),
        Ok(_) | Err(_) => Err(Error::system("the daemon did not come up")),
    }
}

/// The session of the starter. Whoever asked for JSON wants nothing else beside it.
pub fn starters_session(session: &Session, json: bool) -> Session {
    let printer = match json {
        true => Rc::new(Printer::to_process(session.printer.is_silent(), Colour::Never).with_objects()),
        false => Rc::clone(&session.printer),
    };
    Session {
        printer,
        home: session.home.clone(),
        cwd: session.cwd.clone(),
        environment: session.environment.clone(),
        unreadable_variables: session.unreadable_variables.clone(),
        verb: session.verb.clone(),
        app_args: session.app_args.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(program: &str, typed: &[&str]) -> String {
        let typed = typed.iter().map(|word| (*word).to_owned()).collect();
        with_verb(Some(&OsString::from(program)), typed).join(" ")
    }

    #[test]
    fn pm2s_names_for_it_mean_the_verb() {
        assert_eq!(
            words("/usr/bin/pm2-runtime", &["app.js", "-i", "2"]),
            "runtime app.js -i 2"
        );
        assert_eq!(words("pm2-docker", &["start", "app.js"]), "runtime start app.js");
        assert_eq!(words("pm2-runtime", &["--version"]), "--version");
        assert_eq!(words("ostler", &["list"]), "list");
    }
}
