use super::list;
use crate::completion;
use crate::error::Result;
use crate::session::Session;
use clap::{Args, ValueEnum};

/// Print a script that completes commands, options and app names in your shell
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler completion bash > /etc/bash_completion.d/ostler
  ostler completion zsh > \"${fpath[1]}/_ostler\"
  ostler completion fish > ~/.config/fish/completions/ostler.fish")]
pub struct Completion {
    /// The shell
    pub shell: Shell,
}

/// Shells that can be completed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    /// What the scripts themselves ask for: the names of apps, one a line
    #[value(hide = true)]
    Names,
}

impl Completion {
    pub async fn run(self, session: &Session) -> Result {
        let text = match self.shell {
            Shell::Bash => completion::bash(),
            Shell::Zsh => completion::zsh(),
            Shell::Fish => completion::fish(),
            Shell::Names => names(session).await?,
        };
        Ok(session.printer.data(text)?)
    }
}

async fn names(session: &Session) -> Result<String> {
    let mut names: Vec<String> = list::rows(session)
        .await?
        .processes
        .into_iter()
        .map(|row| row.name)
        .collect();
    names.sort();
    names.dedup();
    Ok(names.into_iter().map(|name| format!("{name}\n")).collect())
}
