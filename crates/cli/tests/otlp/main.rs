//! `ostler otlp`: what a collector gets, and what becomes of it when there is none, or one that will not have it.

mod collector;
mod metrics;
mod support;
mod trouble;
