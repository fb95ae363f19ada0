//! What happens by the clock or after a quiet time, beside the slots' own deadlines.

pub(crate) mod agenda;
pub mod cron;
pub(crate) mod watch;
