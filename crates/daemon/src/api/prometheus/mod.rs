//! How workers are doing, as Prometheus reads it: the text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), names and base units by its conventions.
//!
//! Counters are of apps and only grow, over reloads and changes of daemon; what a worker is doing now are gauges by instance. What is not
//! known is left out.

mod measured;
mod page;
mod registered;

use super::Scraped;
use measured::{APPS, WORKERS};
use page::{Page, named, with};

/// What the answer says it is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer.
pub fn text(scraped: &Scraped, version: &str) -> String {
    let metrics = &scraped.metrics;
    let mut page = Page::default();
    page.family("ostler_build_info", "gauge", "Ostler's version.");
    page.sample("ostler_build_info", &vec![("version".into(), version.to_owned())], 1.0);
    page.families(&WORKERS, &metrics.workers, |worker| {
        let row = &worker.row;
        let instance = row.instance.to_string();
        with(named(&row.name, &row.namespace), "worker", &instance)
    });
    page.families(&APPS, &metrics.apps, |app| named(&app.name, &app.namespace));
    page.registered(&scraped.registered);
    page.text
}

#[cfg(test)]
mod tests;
