//! What is said about an export: what was not carried over, and what the reader has to decide.

use std::fmt;

/// One thing that whoever uses an export should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// The app it is about; all of them when absent.
    pub app: Option<String>,
    /// A sentence without a full stop, beginning with the key it is about if there is one.
    pub text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.app {
            Some(app) => write!(f, "{app}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Remarks as they are gathered for one app.
#[derive(Debug)]
pub(crate) struct Remarks {
    app: Option<String>,
    made: Vec<Remark>,
}

impl Remarks {
    pub(crate) fn about(app: &str) -> Self {
        Self {
            app: Some(app.to_owned()),
            made: Vec::new(),
        }
    }

    pub(crate) fn about_all() -> Self {
        Self {
            app: None,
            made: Vec::new(),
        }
    }

    /// Says something once.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        let remark = Remark {
            app: self.app.clone(),
            text: text.into(),
        };
        if !self.made.contains(&remark) {
            self.made.push(remark);
        }
    }

    pub(crate) fn take(self) -> Vec<Remark> {
        self.made
    }

    pub(crate) fn made(&self) -> &[Remark] {
        &self.made
    }
}

/// How wide comments are.
const WIDTH: usize = 110;

/// The head of a document: what made it, and the remarks, as comments of `#`.
pub(crate) fn head(title: &str, remarks: &[Remark]) -> String {
    let mut text = comment(title, "");
    if !remarks.is_empty() {
        text.push_str("# What was not carried over, and what is for you to decide:\n");
    }
    for remark in remarks {
        text.push_str(&comment(&remark.text, "- "));
    }
    text
}

/// A text as comment lines of `#`, wrapped.
pub(crate) fn comment(text: &str, bullet: &str) -> String {
    let mut lines = String::new();
    let mut line = format!("# {bullet}");
    let indent = format!("# {}", " ".repeat(bullet.len()));
    let mut empty = true;
    // What splits into words has no line break left that could end a comment.
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line.clone_from(&indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push_str(line.trim_end());
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_comment() {
        let text = "one\ntwo\r\nthree\u{85}four\u{2028}five ".repeat(20);
        for line in comment(&text, "- ").lines() {
            assert!(line.starts_with("# ") && line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn the_same_is_said_once() {
        let mut remarks = Remarks::about("api");
        remarks.say("a");
        remarks.say("a");
        assert_eq!(
            remarks.take().iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["api: a"]
        );
    }
}
