use crate::error::{Error, Result};
use crate::history_view;
use crate::session::Session;
use clap::Args;
use ostler_wire::control::History;

/// Show the starts and stops of an app, each with its cause
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler why api
  ostler why 0 --json")]
pub struct Why {
    /// Id, name, namespace, `/regular expression/`, or `all`
    #[arg(value_name = "SELECTOR", default_value = "all")]
    pub selector: String,
    /// How many of the latest entries to show
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub lines: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Why {
    pub async fn run(self, session: &Session) -> Result {
        let history: History = match session.daemon_if_any().await? {
            Some(mut client) => {
                client
                    .get(&format!("/v1/history?selector={}", escaped(&self.selector)))
                    .await?
            }
            None => History::default(),
        };
        let latest = history.entries.len().saturating_sub(self.lines);
        let entries = &history.entries[latest..];
        if self.json {
            return Ok(session
                .printer
                .data(format!("{:#}\n", serde_json::json!({ "entries": entries })))?);
        }
        if entries.is_empty() {
            return Err(
                Error::user(format!("nothing is known of {}", self.selector)).hint("`ostler list` shows what there is")
            );
        }
        Ok(session.printer.data(history_view::text(entries, &session.printer))?)
    }
}

/// For a query (RFC 3986, section 2.1): everything but unreserved characters as `%XX`.
pub fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_escaped_for_the_query() {
        assert_eq!(escaped("api-1.x_~"), "api-1.x_~");
        assert_eq!(escaped("/a b+é/"), "%2Fa%20b%2B%C3%A9%2F");
    }
}
