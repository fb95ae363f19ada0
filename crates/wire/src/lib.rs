//! Byte codecs and the types they carry. No I/O: bytes in, values out, and back.
#![forbid(unsafe_code)]

pub mod control;
pub mod endpoints;
pub mod events;
pub mod inspection;
pub mod keeper;
pub mod metrics;
pub mod node_ipc;
pub mod operations;
mod together;
pub mod web;
