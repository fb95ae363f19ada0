//! Each program of `examples/` does what its README says: it is installed from its lock file, started by its own config file, put under
//! load by autocannon, replaced in the middle of it, and nothing is lost.
//!
//! Where something cannot be had (a registry that is out of reach) the test says so.

mod frameworks;
mod jobs;
mod other_languages;
mod shop;
mod socketio;
mod support;
