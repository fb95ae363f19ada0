//! Apps to run under a manager, in several languages. Each server answers `GET /` on `$PORT` with `ok <pid>` and one
//! more word that says what answered.

use std::path::{Path, PathBuf};

/// The directory of the apps.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("apps")
}

/// An app by its file name, as text for a command line or a config file.
///
/// | file | what it does |
/// |---|---|
/// | `server.js`, `server.mjs`, `server.ts`, `server.py`, `server.pl` | serves on `$PORT` |
/// | `npm-app/` | `npm start` → `sh` → `node server.js`, which serves on `$PORT` |
/// | `shared.js` | serves on `$PORT`, `/slow` after `$SLOW_MS`; the file `broken` beside it says how it fails |
/// | `greeter.js` | serves on `$PORT` from bare sockets, as cheaply as Node can |
/// | `crash.js` | prints a line to each output, then exits with `$EXIT_CODE` after `$AFTER_MS` |
/// | `stubborn.sh` | ignores SIGINT and SIGTERM |
/// | `escape.py` | leaves a double-forked grandchild in a session of its own, whose pid it writes to `$PID_FILE` |
/// | `ticker` | a shell script without extension: prints a numbered line now and then |
/// | `ready.js` | sends `ready` after `$AFTER_MS`, and echoes IPC messages |
/// | `lease.py` | keeps whoever opens or truncates `$FILE` waiting until its input ends |
/// | `echo.py` | prints each line of its standard input |
/// | `environment.js` | writes its environment as JSON to `$ENVIRONMENT_FILE`, then waits |
/// | `cannon.cjs` | no app: autocannon, with an account of what was lost |
/// | `traffic/` | `server.cjs` serves what takes its time, by HTTP/1, TLS and HTTP/2; `client.cjs` is its strict client |
/// | `shown/` | what the pictures in `docs/` show, see [`shown`](crate::shown) |
/// | `activated/` | servers in several languages that inherit their sockets |
/// | `cluster/` | workers of a cluster, one app for each feature; `client.cjs` asks them, `reference-primary.cjs` runs them under the runtime's own cluster |
/// | `cluster/frameworks/NAME` | the same in frameworks, each to be installed by [`tools::npm_project`](crate::tools::npm_project) |
///
/// # Panics
/// When there is no such app.
pub fn path(name: &str) -> String {
    let path = directory().join(name);
    assert!(path.exists(), "there is no app {}", path.display());
    path.into_os_string()
        .into_string()
        .expect("invariant: the checkout's path is text, or cargo would have failed")
}
