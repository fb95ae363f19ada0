//! The crate from outside: texts in, specs and messages out.

mod attributes;
mod formats;
mod javascript;
mod malformed;
mod place;
mod probes;
mod processes;
mod reference;
mod saved;
mod sockets;
mod wrappers;
