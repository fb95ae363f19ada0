//! From how workers are doing, as the daemon tells it, to what OTLP has of it. Pure.
//!
//! Names and units are those of OpenTelemetry's semantic conventions (1.43 and later) where they have one that means the same, else
//! begin with `ostler.`. What is not known is left out, never 0. All of it is in `docs/otlp.md`.

mod app;
mod custom;
mod instrument;
mod worker;

#[cfg(test)]
mod tests;

use super::memory::Memory;
use super::request::{Attribute, ResourceMetrics};
use ostler_wire::metrics::Metrics;

/// The namespace of apps that declare none: that is no namespace.
const DEFAULT_NAMESPACE: &str = "default";

/// Attributes that tell one resource from another: nobody may say the same for all of them.
const IDENTIFYING: [&str; 3] = ["service.name", "service.instance.id", "service.version"];

/// Where all of it is from.
#[derive(Clone, Debug)]
pub struct Place {
    /// The host's name.
    pub host: String,
    /// What tells this home from others of the host.
    pub home: String,
    /// How many processors there are to be had.
    pub processors: f64,
    /// What is said of each resource beside, by `OTEL_RESOURCE_ATTRIBUTES`.
    pub attributes: Vec<(String, String)>,
}

impl Place {
    /// With the host's name as it is to be called.
    pub fn new(host: String, home: &str, processors: f64, attributes: Vec<(String, String)>) -> Self {
        let named = attributes.iter().find(|(key, _)| key == "host.name");
        Self {
            host: named.map_or(host, |(_, name)| name.clone()),
            home: format!("{:08x}", mark(home.as_bytes())),
            processors,
            attributes,
        }
    }

    /// The attributes of an app, and of a worker if `slot` is its id.
    ///
    /// What is of an app as a whole has an instance's id, too: that of all its workers together on this host. Without one, two hosts with
    /// the same app would be one series to whoever knows a series by its service and instance, as Prometheus does.
    fn attributes(&self, name: &str, namespace: &str, slot: Option<u32>) -> Vec<Attribute> {
        let mut attributes = vec![Attribute::text("service.name", name)];
        if namespace != DEFAULT_NAMESPACE {
            attributes.push(Attribute::text("service.namespace", namespace));
        }
        let slot = slot.map_or_else(String::new, |slot| format!(":{slot}"));
        let instance = format!("{}:{}{slot}", self.host, self.home);
        attributes.push(Attribute::text("service.instance.id", instance));
        attributes.push(Attribute::text("host.name", self.host.clone()));
        attributes
    }

    /// With what is said of each resource beside.
    fn with_others(&self, mut attributes: Vec<Attribute>) -> Vec<Attribute> {
        for (key, value) in &self.attributes {
            let is_ours = IDENTIFYING.contains(&key.as_str()) || key.starts_with("process.");
            if !is_ours && attributes.iter().all(|known| known.key != *key) {
                attributes.push(Attribute::text(key.clone(), value.clone()));
            }
        }
        attributes
    }
}

/// What a reading is to a collector. `memory` has heard of the reading's moment.
pub fn translate(metrics: &Metrics, place: &Place, memory: &mut Memory) -> Vec<ResourceMetrics> {
    let mut resources = Vec::with_capacity(metrics.workers.len() + metrics.apps.len());
    for worker in &metrics.workers {
        resources.push(worker::resource(worker, place, memory));
    }
    for app in &metrics.apps {
        resources.push(app::resource(app, place, memory));
    }
    resources
}

/// A number that is the same for the same text, for ever (FNV-1a, 32 bits).
fn mark(text: &[u8]) -> u32 {
    text.iter().fold(0x811c_9dc5, |mark, byte| {
        (mark ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
