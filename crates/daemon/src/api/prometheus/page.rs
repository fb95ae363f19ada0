//! The page itself: families of samples, line by line.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Names and values that tell a sample from others of its name.
pub(super) type Labels = Vec<(Cow<'static, str>, String)>;

/// Those of an app.
pub(super) fn named(name: &str, namespace: &str) -> Labels {
    vec![
        ("app".into(), name.to_owned()),
        ("namespace".into(), namespace.to_owned()),
    ]
}

/// With one more.
pub(super) fn with(mut labels: Labels, label: &'static str, value: &str) -> Labels {
    labels.push((label.into(), value.to_owned()));
    labels
}

/// What has been written so far.
#[derive(Default)]
pub(super) struct Page {
    pub(super) text: String,
}

impl Page {
    /// Begins a family.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!(
            "# HELP {name} {}\n# TYPE {name} {kind}\n",
            escaped_help(help)
        ));
    }

    /// One value of the family that was begun last.
    pub(super) fn sample(&mut self, name: &str, labels: &Labels, value: f64) {
        self.line(format_args!("{name}"));
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            self.line(format_args!("{before}{label}=\"{}\"", escaped(text)));
        }
        self.line(format_args!("}} {value}\n"));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(text)
            .expect("invariant: writing to memory does not fail");
    }
}

fn escaped_help(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', r"\n")
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
