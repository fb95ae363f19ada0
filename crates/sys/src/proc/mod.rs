//! What `/proc` says of processes (`proc(5)`).
//!
//! Called for samples of memory and CPU, for finding what belongs to an app, and for seeing whether a program has
//! come up. Reading costs no process and, but for the table itself, no allocation.

mod cpu;
mod environment;
mod file;
mod footprint;
mod holder;
mod listening;
mod stat;
mod table;
mod waiting;

pub use cpu::cpu_nanos;
pub use environment::variable;
pub use footprint::Footprint;
pub use holder::{Bound, holder_of};
pub use listening::ListeningSockets;
pub(crate) use listening::{each_socket, socket_inodes};
pub use stat::{StartTime, Stat, State, Usage, millis_of_ticks, page_size};
pub use table::ProcessTable;
pub use waiting::{Waiting, waits_on};
