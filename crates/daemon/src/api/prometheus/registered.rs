//! What apps have registered with a library for metrics.

use super::page::{Labels, Page, named};
use crate::api::AppRegistered;
use ostler_core::metrics::{Registered, RegisteredValue};
use std::collections::BTreeMap;

impl Page {
    /// Each of it under its own name.
    pub(super) fn registered(&mut self, apps: &[AppRegistered]) {
        for (name, metrics) in by_name(apps) {
            let Some((_, first)) = metrics.first() else { continue };
            self.family(name, first.kind.as_str(), &first.help);
            // What another app means by the same name cannot be told apart by Prometheus.
            for (app, metric) in metrics.iter().filter(|(_, metric)| metric.kind == first.kind) {
                for value in &metric.values {
                    self.sample(&value.name, &labels_of(app, value), value.amount.value);
                }
            }
        }
    }
}

/// What apps have registered, by its name: it stands together, whoever has it.
fn by_name(apps: &[AppRegistered]) -> BTreeMap<&str, Vec<(&AppRegistered, &Registered)>> {
    let mut metrics: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for app in apps {
        for (name, metric) in &app.registry.0 {
            metrics.entry(name).or_default().push((app, metric));
        }
    }
    metrics
}

/// The labels of a value that an app has registered. One of ours that it has, too, is its own under another name, as Prometheus does it.
fn labels_of(app: &AppRegistered, value: &RegisteredValue) -> Labels {
    let mut labels = named(&app.name, &app.namespace);
    for (label, text) in &value.labels {
        let is_ours = labels.iter().any(|(ours, _)| ours == label);
        let label = if is_ours {
            format!("exported_{label}")
        } else {
            label.clone()
        };
        labels.push((label.into(), text.clone()));
    }
    labels
}
