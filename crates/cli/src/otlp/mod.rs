//! `ostler otlp`: how workers are doing, read from the daemon again and again and sent to a collector of OpenTelemetry as OTLP over HTTP, in
//! JSON. Called by the command of that name.
//!
//! | file | |
//! |---|---|
//! | `settings`, `endpoint`, `pairs` | options and variables → what is wanted; pure |
//! | `translate`, `memory`, `request` | a reading → what is sent; pure |
//! | `answer`, `retry` | what an answer means, how long to wait; pure |
//! | `post`, `delivery` | sending, and sending again |
//! | `news` | what is said of it |
//! | `rounds` | the clock: read, translate, deliver |
//!
//! Nothing is queued: values are cumulative, so that the next reading has what one that could not be sent had.

mod answer;
mod delivery;
mod endpoint;
mod memory;
mod news;
mod pairs;
mod post;
mod request;
mod retry;
mod rounds;
mod settings;
mod translate;

pub use rounds::{again_and_again, once};
pub use settings::{Settings, Typed};
