//! Apps that are sent together: what they have in common, the variables of the shell they are started from, goes once.
//!
//! A few kilobytes for each of a hundred apps would be most of what is written, sent, read and compared when they are started.

use ostler_core::Spec;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Together {
    /// Apps without their inherited environment.
    specs: Vec<Spec>,
    /// The inherited environments.
    environments: Vec<Arc<BTreeMap<String, String>>>,
    /// For each app the number of its environment.
    inherit: Vec<usize>,
}

pub fn serialize<S: Serializer>(specs: &[Spec], serializer: S) -> Result<S::Ok, S::Error> {
    let mut together = Together {
        specs: Vec::with_capacity(specs.len()),
        environments: Vec::new(),
        inherit: Vec::with_capacity(specs.len()),
    };
    for spec in specs {
        let mut spec = spec.clone();
        let inherited = std::mem::take(&mut spec.environment.inherited);
        if together.environments.last() != Some(&inherited) {
            together.environments.push(inherited);
        }
        together.inherit.push(together.environments.len() - 1);
        together.specs.push(spec);
    }
    together.serialize(serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Spec>, D::Error> {
    let Together {
        mut specs,
        environments,
        inherit,
    } = Together::deserialize(deserializer)?;
    if specs.len() != inherit.len() {
        return Err(serde::de::Error::custom(
            "`inherit` does not have one number for each of `specs`",
        ));
    }
    for (spec, number) in specs.iter_mut().zip(inherit) {
        let inherited = environments
            .get(number)
            .ok_or_else(|| serde::de::Error::custom("`inherit` names an environment that is not there"))?;
        spec.environment.inherited = Arc::clone(inherited);
    }
    Ok(specs)
}
