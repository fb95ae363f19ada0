use crate::error::Result;
use crate::logs::format::Form;
use crate::logs::{Follower, View};
use crate::session::Session;
use crate::targets;
use clap::Args;

/// What `--timestamp` without a value shows.
const DEFAULT_TIMESTAMP: &str = "YYYY-MM-DD-HH:mm:ss";

/// Show the last output of apps and follow it
///
/// Standard output is green, standard error red. Follows restarts and rotations, until Ctrl-C.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler logs
  ostler logs api --lines 100
  ostler logs /^worker/ --err --timestamp
  ostler logs api --nostream --raw > api.log")]
pub struct Logs {
    /// Ids, names, namespaces or `/regular expressions/`; all when absent
    #[arg(value_name = "SELECTOR")]
    pub selectors: Vec<String>,
    /// How many lines of each file first
    #[arg(long, value_name = "NUMBER", default_value_t = 15)]
    pub lines: usize,
    /// The bytes as they are; standard error to standard error
    #[arg(long, group = "form")]
    pub raw: bool,
    /// One object a line, process events too
    #[arg(long, group = "form")]
    pub json: bool,
    /// `key=value`
    #[arg(long, group = "form")]
    pub format: bool,
    /// Standard error only
    #[arg(long)]
    pub err: bool,
    /// Standard output only
    #[arg(long)]
    pub out: bool,
    /// Show the last lines and end
    #[arg(long)]
    pub nostream: bool,
    /// Put the time before each line; live lines only
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = DEFAULT_TIMESTAMP)]
    pub timestamp: Option<String>,
    /// Mark this text
    #[arg(long, value_name = "TEXT", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub highlight: Option<String>,
}

impl Logs {
    pub async fn run(self, session: &Session) -> Result {
        let words = (!self.selectors.is_empty()).then_some(&self.selectors);
        let view = View {
            selector: words.map(|words| targets::selector(session, words)),
            lines: self.lines,
            form: self.form(),
            out: self.out || !self.err,
            error: self.err || !self.out,
            timestamp: self.timestamp,
            highlight: self.highlight,
        };
        let follower = Follower::new(session, view);
        if self.nostream {
            follower.show_files().await
        } else {
            follower.follow().await
        }
    }

    fn form(&self) -> Form {
        match (self.raw, self.json, self.format) {
            (true, _, _) => Form::Raw,
            (false, true, _) => Form::Json,
            (false, false, true) => Form::KeyValue,
            (false, false, false) => Form::Labelled,
        }
    }
}
