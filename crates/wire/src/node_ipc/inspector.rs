//! What our preload is told to do with Node's inspector, and what it says of that (`node/profile.cjs`).

use super::OURS;
use super::report::whole;
use ostler_core::inspection::Opened;
use ostler_core::profiling::ProfileSaid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest address of an inspector that is believed, in bytes. It is written down, and shown.
const LONGEST_URL: usize = 256;
/// How many letters of a reason are shown.
const LONGEST_REASON: usize = 500;

/// What it is told. It does the same thing once, however often it is told: `id` says whether it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToInspector<'a> {
    /// Take a CPU profile into this file, which is there.
    Cpu {
        /// What it is called.
        id: &'a str,
        /// The file.
        path: &'a str,
        /// How long, ms.
        for_ms: u64,
    },
    /// Take a heap snapshot into this file, which is there.
    Heap {
        /// What it is called.
        id: &'a str,
        /// The file.
        path: &'a str,
    },
    /// Finish a CPU profile now.
    Enough {
        /// What it is called.
        id: &'a str,
    },
    /// Open the inspector on the loopback, or keep it open.
    Open {
        /// For whom.
        id: &'a str,
        /// The port, or 0 for any.
        port: u16,
        /// How long this holds, ms.
        lease_ms: u64,
    },
    /// Close it.
    Close {
        /// For whom it was open.
        id: &'a str,
    },
}

/// As it is sent.
#[derive(Serialize)]
struct Raw<'a> {
    cmd: &'static str,
    act: &'static str,
    what: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<u64>,
}

impl<'a> Raw<'a> {
    fn new(what: &'static str, id: &'a str) -> Self {
        Self {
            cmd: OURS,
            act: "inspect",
            what,
            id,
            path: None,
            span: None,
            port: None,
            lease: None,
        }
    }
}

impl ToInspector<'_> {
    /// The message, which Node's own `message` event does not show to the app.
    pub fn message(self) -> Value {
        let raw = match self {
            Self::Cpu { id, path, for_ms } => Raw {
                path: Some(path),
                span: Some(for_ms),
                ..Raw::new("cpu", id)
            },
            Self::Heap { id, path } => Raw {
                path: Some(path),
                ..Raw::new("heap", id)
            },
            Self::Enough { id } => Raw::new("enough", id),
            Self::Open { id, port, lease_ms } => Raw {
                port: Some(port),
                lease: Some(lease_ms),
                ..Raw::new("open", id)
            },
            Self::Close { id } => Raw::new("close", id),
        };
        serde_json::to_value(raw).expect("invariant: text and numbers have a JSON form")
    }
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromInspector {
    /// What that is about.
    pub id: String,
    /// What it says of it.
    pub said: InspectorSaid,
}

/// What it says of a profile or an inspection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InspectorSaid {
    /// Something about a profile; also that an inspector cannot be opened, which is a failure like any other.
    Profile(ProfileSaid),
    /// An inspector is open.
    Opened(Opened),
}

/// As it comes.
#[derive(Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum Told {
    Begun,
    Written { bytes: f64 },
    Failed { why: String },
    Open { url: String, own: bool },
}

#[derive(Deserialize)]
struct RawTold {
    id: String,
    #[serde(flatten)]
    told: Told,
}

impl FromInspector {
    /// Nothing if it lacks what it must have: it may be of another version's preload.
    pub(super) fn read(message: Value) -> Option<Self> {
        let RawTold { id, told } = serde_json::from_value(message).ok()?;
        let said = match told {
            Told::Begun => InspectorSaid::Profile(ProfileSaid::Begun),
            Told::Written { bytes } => InspectorSaid::Profile(ProfileSaid::Written(whole(bytes))),
            Told::Failed { why } => InspectorSaid::Profile(ProfileSaid::Failed(fit_to_show(&why))),
            Told::Open { url, own } => {
                let is_address = url.len() <= LONGEST_URL && url.bytes().all(|byte| byte.is_ascii_graphic());
                if !is_address {
                    return None;
                }
                InspectorSaid::Opened(Opened { url, own })
            }
        };
        Some(Self { id, said })
    }
}

/// A reason that an app may have made up: of a length that people read, and without what terminals obey.
fn fit_to_show(why: &str) -> String {
    why.chars()
        .take(LONGEST_REASON)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, Frame, FromWorker, Message, parse};
    use super::*;
    use serde_json::json;

    fn heard(message: &Value) -> Option<FromWorker> {
        parse(Dialect::Json, Frame::Whole(message.to_string().as_bytes()))
    }

    #[test]
    fn orders_are_messages_that_apps_do_not_see() {
        let order = ToInspector::Cpu {
            id: "a",
            path: "/p",
            for_ms: 5,
        };
        let wanted =
            json!({ "cmd": "NODE_OSTLER", "act": "inspect", "what": "cpu", "id": "a", "path": "/p", "span": 5 });
        assert_eq!(order.message(), wanted);
        let order = ToInspector::Open {
            id: "b",
            port: 0,
            lease_ms: 9,
        };
        let wanted =
            json!({ "cmd": "NODE_OSTLER", "act": "inspect", "what": "open", "id": "b", "port": 0, "lease": 9 });
        assert_eq!(order.message(), wanted);
    }

    #[test]
    fn what_comes_back_is_understood_or_nobodys_concern() {
        let written = json!({ "cmd": "NODE_OSTLER", "act": "inspected", "id": "a", "is": "written", "bytes": 12 });
        let said = FromInspector {
            id: "a".to_owned(),
            said: InspectorSaid::Profile(ProfileSaid::Written(12)),
        };
        assert_eq!(heard(&written), Some(FromWorker::Inspected(Box::new(said.clone()))));
        assert_eq!(
            Message::from(FromWorker::Inspected(Box::new(said.clone()))),
            Message::Inspected(Box::new(said))
        );
        let strange = json!({ "cmd": "NODE_OSTLER", "act": "inspected", "id": "a", "is": "bored" });
        assert_eq!(heard(&strange), Some(FromWorker::OtherInternal));
    }

    #[test]
    fn what_an_app_makes_up_is_bounded_and_harmless_before_people() {
        let opened = |url: &str| {
            heard(
                &json!({ "cmd": "NODE_OSTLER", "act": "inspected", "id": "a", "is": "open", "own": true, "url": url }),
            )
        };
        assert!(matches!(opened("ws://127.0.0.1:1/x"), Some(FromWorker::Inspected(_))));
        for lie in ["ws://\u{1b}[2J".to_owned(), "w".repeat(LONGEST_URL + 1)] {
            assert_eq!(opened(&lie), Some(FromWorker::OtherInternal), "{lie:?}");
        }
        let why = format!("\u{1b}[2J{}", "é".repeat(LONGEST_REASON));
        let failed = json!({ "cmd": "NODE_OSTLER", "act": "inspected", "id": "a", "is": "failed", "why": why });
        let Some(FromWorker::Inspected(said)) = heard(&failed) else {
            panic!("it is understood");
        };
        let shown = format!(" [2J{}", "é".repeat(LONGEST_REASON - 4));
        assert_eq!(said.said, InspectorSaid::Profile(ProfileSaid::Failed(shown)));
    }
}
