//! `ostler profile` and `ostler inspect`: what a program of Node does, found out without a restart.

mod inspector;
mod profiles;
mod support;
mod trouble;
