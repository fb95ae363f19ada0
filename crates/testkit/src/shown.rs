//! What the pictures in `docs/` show: a few apps that really run.

use crate::{Home, apps, free_port, sleeper};
use serde_json::json;

/// Set to 1 to make the pictures of `docs/web.md` and `docs/monit.md`.
pub const WRITE: &str = "OSTLER_WRITE_PICTURES";

/// Starts a cluster of four that measures itself, an app that says something now and then, one that crashes every 15 seconds, and one that is stopped. Gives
/// the cluster's port: visitors are for the caller to send.
pub fn start(home: &Home) -> u16 {
    let port = free_port();
    home.start(json!([
        {
            "name": "api", "script": apps::path("shown/api.js"), "instances": 4, "exec_mode": "cluster", "env": { "PORT": port },
            "min_ready": 1500,
        },
        { "name": "mailer", "script": apps::path("shown/mailer.js") },
        { "name": "flaky", "script": apps::path("shown/flaky.js"), "max_restarts": 1000 },
        sleeper("report"),
    ]));
    home.ok(&["stop", "report"]);
    port
}
