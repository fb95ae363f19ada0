//! Our own program, to be run again.
//!
//! Called by whoever starts the keeper or a daemon, or becomes one.

use std::env;
use std::path::PathBuf;

/// By path, so that its name stays `ostler` in process lists; by descriptor if its file has been replaced or removed meanwhile.
pub fn own_program() -> PathBuf {
    env::current_exe()
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}
