use super::operate;
use crate::error::{Error, Result};
use crate::intent::{Intent, Wanted};
use crate::session::Session;
use crate::targets;
use clap::Args;
use ostler_wire::control::{Action, ScaleTo};

/// Change how many instances an app has
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler scale api 4
  ostler scale api +2
  ostler scale api -1")]
pub struct Scale {
    /// The app's name, or the id of one of its processes
    #[arg(value_name = "APP")]
    pub app: String,
    /// The number wanted; with a sign, how many more or fewer
    #[arg(value_name = "NUMBER", allow_hyphen_values = true)]
    pub number: String,
}

impl Scale {
    pub async fn run(self, session: &Session) -> Result {
        let to = parse(&self.number)?;
        let selector = targets::selector(session, std::slice::from_ref(&self.app));
        operate(session, selector, Intent::new("started", Wanted::Neither), |selector| {
            Action::Scale { selector, to }
        })
        .await
    }
}

fn parse(typed: &str) -> Result<ScaleTo> {
    let number = |digits: &str| {
        let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| digits.parse().ok()).flatten()
    };
    let to = match typed.as_bytes().first() {
        Some(b'+') => number(&typed[1..]).map(ScaleTo::More),
        Some(b'-') => number(&typed[1..]).map(ScaleTo::Fewer),
        Some(_) | None => number(typed).map(ScaleTo::Absolute),
    };
    to.ok_or_else(|| Error::user(format!("{typed} is no number of instances")).hint("e.g. 4, +2 or -1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_absolute_unless_they_have_a_sign() {
        assert_eq!(parse("4").ok(), Some(ScaleTo::Absolute(4)));
        assert_eq!(parse("+2").ok(), Some(ScaleTo::More(2)));
        assert_eq!(parse("-1").ok(), Some(ScaleTo::Fewer(1)));
        for typed in ["", "+", "-", "--1", "+-1", "max", "1.5"] {
            assert!(parse(typed).is_err(), "{typed}");
        }
    }
}
