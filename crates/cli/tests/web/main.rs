//! `ostler web` over real connections: who gets in, what is to be had, and that the port stays.

mod browser;
mod door;
mod life;
mod limits;
mod shown;
mod support;
