//! Numbers about workers: how they are added up, turned into rates, and kept for an hour. Pure, like all of this crate.
//!
//! Called by the daemon with what it samples from `/proc` and what the preload reports, and read by every face: lists, charts, Prometheus.
//!
//! A worker reports what it has *counted* since it began ([`Tally`]). So a report that is lost costs nothing, sums over workers are
//! sums of integers, and what a worker had counted when it ended stays with its app ([`Totals`]): what is shown only grows.

mod exact;
mod histogram;
mod registered;
mod series;
mod tally;
mod totals;

pub use exact::Exact;
pub use histogram::{BUCKETS, Histogram};
pub use registered::{Registered, RegisteredKind, RegisteredValue, Registries, Registry, Together};
pub use series::{Measure, Point, Series};
pub use tally::{CLASSES, HttpRates, Rates, Tally, WORDS};
pub use totals::Totals;
