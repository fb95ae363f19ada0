//! The daemon: tells the machine what happens and does what the machine orders.
#![forbid(unsafe_code)]

pub mod journal;
pub mod watches;
