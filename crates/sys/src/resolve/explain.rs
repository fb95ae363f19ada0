//! From a stage and an errno to a sentence.

use super::header::{Kind, kind};
use crate::spawn::{ExecError, Stage, is_transient};
use rustix::fs::StatVfsMountFlags;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What was tried, in the words of the command.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The file that was to be executed.
    pub program: &'a Path,
    /// The working directory.
    pub cwd: &'a Path,
    /// The user, by the name the config has; `None` for the daemon's own.
    pub user: Option<&'a str>,
}

/// An error for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whole sentences: what failed, why, what to do.
    pub message: String,
    /// Whether trying again later may help without anybody changing anything.
    pub transient: bool,
}

/// Explains why a program could not be run. Looks at the files concerned, now: if somebody has changed them since, the
/// explanation falls back to the system's own words.
pub fn explain(error: &ExecError, attempt: Attempt<'_>) -> Explanation {
    let Attempt { program, cwd, user } = attempt;
    let message = match error.stage {
        Stage::Exec => exec(error.errno, &cwd.join(program), cwd),
        Stage::Directory => directory(error.errno, cwd, user),
        Stage::Groups | Stage::Group | Stage::User => privileges(error, user.unwrap_or("another user")),
        Stage::OpenFiles => format!(
            "The limit of open files could not be set ({}). Lower it, or start the daemon with a higher hard limit.",
            words(error.errno)
        ),
        Stage::Session => format!(
            "The program could not be given a session of its own: setsid: {}.",
            words(error.errno)
        ),
        Stage::Descriptors => format!(
            "The program could not be given its descriptors: dup3: {}. Raise the limit of open files (ulimit -n).",
            words(error.errno)
        ),
    };
    Explanation {
        message,
        transient: is_transient(error.errno),
    }
}

fn words(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn directory(errno: i32, cwd: &Path, user: Option<&str>) -> String {
    let place = cwd.display();
    match errno {
        libc::ENOENT => format!("The working directory `{place}` does not exist. Create it, or correct `cwd`."),
        libc::ENOTDIR => format!("The working directory `{place}` is not a directory. Correct `cwd`."),
        libc::EACCES => {
            let user = user.map_or_else(|| "the daemon's user".to_owned(), |user| format!("user `{user}`"));
            format!("The working directory `{place}` may not be entered by {user}. Change its permissions, or `cwd`.")
        }
        _ => format!(
            "The working directory `{place}` could not be entered: {}.",
            words(errno)
        ),
    }
}

fn privileges(error: &ExecError, user: &str) -> String {
    match error.errno {
        libc::EPERM => {
            format!("Only root may run programs as {user}. Start the daemon as root, or leave out `user`/`uid`/`gid`.")
        }
        libc::EAGAIN => format!("The program cannot run as {user}: that user has reached the limit of processes."),
        errno => format!("The program could not be run as {user}: {}.", words(errno)),
    }
}

fn exec(errno: i32, program: &Path, cwd: &Path) -> String {
    let name = program.display();
    match errno {
        libc::ENOENT => not_found(program, cwd),
        libc::EACCES => not_allowed(program),
        libc::ENOTDIR => format!("`{name}` does not exist: something on the way to it is a file, not a directory."),
        libc::ENOEXEC => not_a_program(program),
        libc::E2BIG => format!(
            "`{name}` could not be run: its arguments and environment together are too long for the system. Make \
             them shorter, e.g. by `filter_env`."
        ),
        libc::ETXTBSY => format!("`{name}` is being written right now. Try again when that is done."),
        libc::ELOOP => format!("`{name}` goes through too many symbolic links or interpreters."),
        libc::EMFILE | libc::ENFILE => format!("`{name}` could not be opened: the system is out of open files."),
        libc::ENOMEM => format!("`{name}` could not be loaded: the system is out of memory."),
        libc::EAGAIN => format!("`{name}` could not be run: its user has reached the limit of processes (ulimit -u)."),
        errno => format!("`{name}` could not be run: execve: {}.", words(errno)),
    }
}

fn not_found(program: &Path, cwd: &Path) -> String {
    let name = program.display();
    if let Ok(target) = std::fs::read_link(program)
        && !program.exists()
    {
        return format!(
            "`{name}` is a symbolic link to `{}`, which does not exist.",
            target.display()
        );
    }
    if !program.exists() {
        return format!(
            "`{name}` does not exist. Check the path (the working directory is `{}`).",
            cwd.display()
        );
    }
    match kind(program) {
        Some(Kind::Script {
            interpreter,
            carriage_return: true,
        }) => format!(
            "The first line of `{name}` ends with a carriage return, so its interpreter `{}` is not found. Save the \
             file with Unix line endings (`sed -i 's/\\r$//' {name}`).",
            interpreter.display()
        ),
        Some(Kind::Script {
            interpreter,
            carriage_return: false,
        }) => missing_interpreter(&interpreter, program),
        Some(Kind::Binary { loader: Some(loader) }) => format!(
            "The loader `{}` that the binary `{name}` needs does not exist: it was built for another system or C \
             library. Use a build for this system.",
            loader.display()
        ),
        _ => format!("`{name}` could not be run: execve: {}.", words(libc::ENOENT)),
    }
}

fn missing_interpreter(interpreter: &Path, program: &Path) -> String {
    format!(
        "The interpreter `{}` named in the first line of `{}` does not exist. Install it, correct that line, or name \
         another with `--interpreter`.",
        interpreter.display(),
        program.display()
    )
}

fn not_allowed(program: &Path) -> String {
    let name = program.display();
    let Ok(found) = std::fs::metadata(program) else {
        return format!("`{name}` may not be reached: a directory on the way to it may not be entered.");
    };
    if found.is_dir() {
        return format!("`{name}` is a directory. Name the program in it.");
    }
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o111 == 0 {
        return format!(
            "`{name}` is not executable (its mode is {mode:04o}). Run `chmod +x {name}`, or name an interpreter."
        );
    }
    if rustix::fs::statvfs(program).is_ok_and(|place| place.f_flag.contains(StatVfsMountFlags::NOEXEC)) {
        return format!("`{name}` lies on a file system mounted `noexec`. Move it, or name an interpreter.");
    }
    if let Some(broken) = interpreter_of(program).filter(|interpreter| !super::may_execute(interpreter)) {
        return format!(
            "`{name}` cannot run: its interpreter `{}` is not executable.",
            broken.display()
        );
    }
    format!("`{name}` may not be executed by this user (its mode is {mode:04o}), or a directory above it not entered.")
}

fn interpreter_of(program: &Path) -> Option<PathBuf> {
    match kind(program)? {
        Kind::Script { interpreter, .. } => Some(interpreter),
        Kind::Binary { loader } => loader,
        Kind::ForeignBinary | Kind::Empty | Kind::Other => None,
    }
}

fn not_a_program(program: &Path) -> String {
    let name = program.display();
    match kind(program) {
        Some(Kind::ForeignBinary) => format!("`{name}` is a binary for another processor. Use a build for this one."),
        Some(Kind::Empty) => format!("`{name}` is empty."),
        Some(Kind::Script { .. } | Kind::Binary { .. } | Kind::Other) | None => format!(
            "`{name}` is neither a binary nor a script with a first line like `#!/bin/sh`. Add one, or name an \
             interpreter with `--interpreter`."
        ),
    }
}
