//! Probes on real workers.

mod kinds;
mod rotation;
mod support;
