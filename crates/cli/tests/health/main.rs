//! Probes on real workers.

mod commands;
mod kinds;
mod rotation;
mod support;
