//! What the log thread has to tell: notes for the daemon's own log, and errors of commands.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Something the daemon's own log should say. Said once at the beginning and once at the end of a trouble, never per line.
#[derive(Debug)]
pub enum Note {
    /// From now on output meant for this file is dropped and counted; it is tried again every second.
    Dropping(FileError),
    /// The file can be written again.
    Resumed {
        /// The file.
        path: PathBuf,
        /// How many bytes were dropped meanwhile.
        dropped: u64,
    },
    /// A rotation, compression or deletion failed; the log itself goes on.
    Upkeep(FileError),
    /// The journal could not be written: logging goes on, but a kill of the daemon now may lose or double up to 64 KiB.
    Unguarded(io::Error),
    /// A stream could not be read any more and was given up.
    Abandoned {
        /// Whose.
        stream: super::StreamId,
        /// The system's word.
        error: io::Error,
    },
    /// One of our own outputs takes nothing any more, or does again.
    Console {
        /// Which.
        name: &'static str,
        /// The system's word, unless it does again.
        error: Option<io::Error>,
    },
    /// The log thread has ended by an error of its own; the daemon should end too, so that a successor takes over.
    Ended(io::Error),
}

/// A failed operation on one log file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {call} {}: {error}", path.display())]
pub struct FileError {
    /// What was tried, as a verb.
    pub call: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// The system's word.
    #[source]
    pub error: io::Error,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropping(error) => write!(
                f,
                "{error}; its output is dropped until that works again, tried every second"
            ),
            Self::Resumed { path, dropped } => {
                write!(f, "{} is written again; {dropped} bytes were dropped", path.display())
            }
            Self::Upkeep(error) => write!(f, "{error}; the log itself goes on"),
            Self::Unguarded(error) => {
                write!(
                    f,
                    "cannot write the log journal: {error}; a crash of the daemon now may lose or double output"
                )
            }
            Self::Abandoned { stream, error } => {
                write!(
                    f,
                    "cannot read the {:?} pipe of worker {}: {error}",
                    stream.kind, stream.worker
                )
            }
            Self::Console {
                name,
                error: Some(error),
            } => {
                write!(
                    f,
                    "our {name} takes nothing any more ({error}); what apps write there is dropped"
                )
            }
            Self::Console { name, error: None } => write!(f, "our {name} takes what apps write again"),
            Self::Ended(error) => write!(f, "the log thread has ended: {error}"),
        }
    }
}
