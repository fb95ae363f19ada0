//! What apps say by PM2's messages for their own metrics and actions: `{type: "axm:…", data}`.
//!
//! Packages such as `@pm2/io` send them, and so may any app by `process.send`. Anything that is not of one of these shapes is the
//! app's own affair.

use crate::metrics::{CustomAction, CustomMetric};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// How many metrics, or actions, of a worker are kept. More are a mistake of the app's, such as a metric for each visitor.
const MOST: usize = 100;

/// How long a name, a unit or a text that is a metric's value may be, bytes.
const LONGEST: usize = 200;

/// A message about metrics or actions.
#[derive(Clone, Debug, PartialEq)]
pub enum Custom {
    /// `axm:monitor`: what metrics are now; others stay as they were.
    Metrics(BTreeMap<String, CustomMetric>),
    /// `axm:action`: something that the app does when it is told its name.
    Action(CustomAction),
    /// `axm:reply`: what came of an action.
    Reply {
        /// The action's name.
        action: String,
        /// What it gave back.
        value: Value,
    },
}

#[derive(Deserialize)]
#[serde(tag = "type", content = "data")]
enum Message {
    #[serde(rename = "axm:monitor")]
    Monitor(BTreeMap<String, Metric>),
    #[serde(rename = "axm:action")]
    Action(Action),
    #[serde(rename = "axm:reply")]
    Reply(Reply),
}

/// A value with what is said of it, or the value alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Metric {
    Described {
        value: Value,
        #[serde(default)]
        unit: Option<String>,
        #[serde(default, rename = "type")]
        kind: Option<String>,
        #[serde(default)]
        historic: bool,
    },
    Bare(Value),
}

#[derive(Deserialize)]
struct Action {
    action_name: String,
    #[serde(default)]
    action_type: Option<String>,
    #[serde(default)]
    arity: u32,
}

#[derive(Deserialize)]
struct Reply {
    action_name: String,
    #[serde(default, rename = "return")]
    value: Value,
}

/// What an app's message says of metrics or actions; nothing if it is about something else, or of no use: a name or text that is too long,
/// a value that is neither a number nor text.
pub fn custom(message: &Value) -> Option<Custom> {
    message.get("type")?.as_str()?.strip_prefix("axm:")?;
    Some(match Message::deserialize(message).ok()? {
        Message::Monitor(metrics) => {
            let told = |(name, metric)| Some((short(name)?, described(metric)?));
            Custom::Metrics(metrics.into_iter().filter_map(told).take(MOST).collect())
        }
        Message::Action(action) => Custom::Action(CustomAction {
            name: short(action.action_name)?,
            kind: action.action_type.and_then(short),
            arity: action.arity,
        }),
        Message::Reply(reply) => Custom::Reply {
            action: reply.action_name,
            value: reply.value,
        },
    })
}

impl Custom {
    /// Takes what a message says into what is known of a worker. Says whether actions have changed.
    pub fn into_known(self, metrics: &mut BTreeMap<String, CustomMetric>, actions: &mut Vec<CustomAction>) -> bool {
        match self {
            Self::Metrics(told) => {
                for (name, metric) in told {
                    if metrics.len() < MOST || metrics.contains_key(&name) {
                        metrics.insert(name, metric);
                    }
                }
                false
            }
            Self::Action(action) => {
                let new = actions.len() < MOST && actions.iter().all(|known| known.name != action.name);
                actions.extend(new.then_some(action));
                new
            }
            Self::Reply { .. } => false,
        }
    }
}

fn described(metric: Metric) -> Option<CustomMetric> {
    let (value, unit, kind, historic) = match metric {
        Metric::Described {
            value,
            unit,
            kind,
            historic,
        } => (value, unit, kind, historic),
        Metric::Bare(value) => (value, None, None, false),
    };
    let value = match value {
        Value::Number(_) | Value::Bool(_) => value,
        Value::String(text) => Value::String(short(text)?),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(CustomMetric {
        value,
        unit: unit.and_then(short),
        kind: kind.and_then(short),
        historic,
    })
}

fn short(text: String) -> Option<String> {
    (text.len() <= LONGEST).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn number(value: impl Into<Value>) -> CustomMetric {
        CustomMetric {
            value: value.into(),
            unit: None,
            kind: None,
            historic: false,
        }
    }

    #[test]
    fn what_at_pm2_io_sends_is_understood() {
        let monitor = json!({ "type": "axm:monitor", "data": {
            "Used Heap Size": { "value": "7.5", "type": "internal/v8/heap/used", "unit": "MiB", "historic": true },
            "visitors": 3,
        } });
        let heap = CustomMetric {
            value: "7.5".into(),
            unit: Some("MiB".to_owned()),
            kind: Some("internal/v8/heap/used".to_owned()),
            historic: true,
        };
        let metrics = [("Used Heap Size".to_owned(), heap), ("visitors".to_owned(), number(3))];
        assert_eq!(custom(&monitor), Some(Custom::Metrics(metrics.into())));
        let action = json!({ "type": "axm:action", "data": { "action_name": "flush", "action_type": "custom", "arity": 1, "opts": null } });
        let flush = CustomAction {
            name: "flush".to_owned(),
            kind: Some("custom".to_owned()),
            arity: 1,
        };
        assert_eq!(custom(&action), Some(Custom::Action(flush)));
        let reply = json!({ "type": "axm:reply", "data": { "return": { "ok": true }, "action_name": "flush" } });
        let (action, value) = ("flush".to_owned(), json!({ "ok": true }));
        assert_eq!(custom(&reply), Some(Custom::Reply { action, value }));
    }

    #[test]
    fn what_is_about_something_else_or_of_no_use_is_left_alone() {
        for message in [
            json!("ready"),
            json!({ "type": "process:msg", "data": {} }),
            json!({ "type": "axm:monitor" }),
            json!({ "type": "axm:action", "data": {} }),
            json!({ "type": 5, "data": {} }),
            json!({ "type": "axm:action", "data": { "action_name": "x".repeat(LONGEST + 1) } }),
        ] {
            assert_eq!(custom(&message), None, "{message}");
        }
        let odd = json!({ "type": "axm:monitor", "data": { "list": [1], "none": null, "long": "x".repeat(300), "good": 1.5 } });
        let good = [("good".to_owned(), number(1.5))];
        assert_eq!(custom(&odd), Some(Custom::Metrics(good.into())));
    }

    #[test]
    fn an_app_that_makes_up_ever_more_names_has_a_hundred() {
        let (mut metrics, mut actions) = (BTreeMap::new(), Vec::new());
        for n in 0..500 {
            let told = Custom::Metrics([(format!("m{n}"), number(n))].into());
            assert!(!told.into_known(&mut metrics, &mut actions));
            let action = CustomAction {
                name: format!("a{}", n / 2),
                kind: None,
                arity: 0,
            };
            let is_new = Custom::Action(action).into_known(&mut metrics, &mut actions);
            assert_eq!(is_new, n % 2 == 0 && n < 200, "{n}");
        }
        Custom::Metrics([("m7".to_owned(), number(8))].into()).into_known(&mut metrics, &mut actions);
        assert_eq!((metrics.len(), actions.len()), (MOST, MOST));
        assert_eq!(metrics["m7"], number(8));
    }
}
