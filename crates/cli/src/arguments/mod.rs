//! The command line as typed: its grammar, generated help included. What words mean is decided by the commands.

pub mod app_options;
pub mod attributes;
mod normalise;
pub mod of_pm2;
#[cfg(test)]
mod tests;
mod verbs;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Command, FromArgMatches};
use std::cell::LazyCell;

pub use verbs::Verb;

const EXAMPLES: &str = "Examples:
  ostler start app.js --name api      start a script
  ostler start ecosystem.config.js    start what a config file declares
  ostler list                         see what runs
  ostler logs api                     follow its output
  ostler why api                      learn why it restarted";

/// What was typed.
#[derive(Debug)]
pub struct CommandLine {
    pub common: Common,
    pub verb: Verb,
}

/// The whole grammar.
pub fn grammar() -> Command {
    let root = grammar_of(Verb::all());
    root.subcommand_required(true).arg_required_else_help(true)
}

/// The grammar with these verbs.
fn grammar_of(verbs: impl IntoIterator<Item = Command>) -> Command {
    // What it is derived from describes itself to readers of the code.
    Common::augment_args(Command::new("ostler"))
        .version(env!("CARGO_PKG_VERSION"))
        .about("Runs your programs, keeps them up, and tells you what happened")
        .after_help(EXAMPLES)
        .disable_version_flag(true)
        .max_term_width(100)
        .subcommands(verbs)
}

/// Options of every verb.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Print data only, no messages
    #[arg(short, long, global = true, display_order = 900)]
    pub silent: bool,
    /// Print without colour
    #[arg(long, global = true, display_order = 901)]
    pub no_color: bool,
    /// Print the version
    #[arg(short = 'V', visible_short_alias = 'v', long, action = clap::ArgAction::Version, display_order = 902)]
    version: (),
}

/// A command line, understood.
#[derive(Debug)]
pub struct Parsed {
    /// What was typed.
    pub line: CommandLine,
    /// The verb's name, aliases resolved.
    pub verb: String,
    /// What stood after `--`, for the app.
    pub app_args: Option<Vec<String>>,
    /// Options that PM2 knows, but that this verb has no use for.
    pub unused: Vec<String>,
}

/// Understands the words after the program's name.
pub fn parse(words: &[String]) -> Result<Parsed, clap::Error> {
    if let [word] = words
        && let Some((name, verb)) = Verb::alone(word)
    {
        let common = Common::default();
        return Ok(Parsed {
            line: CommandLine { common, verb },
            verb: name.to_owned(),
            app_args: None,
            unused: Vec::new(),
        });
    }
    parse_words(words)
}

fn parse_words(words: &[String]) -> Result<Parsed, clap::Error> {
    let common = Common::augment_args(Command::new("common"));
    let general: LazyCell<Command> = LazyCell::new(|| app_options::AppOptions::augment_args(Command::new("general")));
    let normalised = normalise::normalise(words, &common, &general, Verb::grammar, passes_arguments_on);
    let verb = normalised.words.first().cloned().unwrap_or_default();
    // Help and mistakes are answered with all verbs. Else the parser is told of the one, since it describes what is common to all to
    // each of them.
    let mut root = match Verb::grammar(&verb) {
        Some(typed) => grammar_of([typed]),
        None => {
            let mut all = grammar();
            all.build();
            all
        }
    };
    let words = std::iter::once("ostler".to_owned()).chain(normalised.words);
    let matches = root.try_get_matches_from_mut(words)?;
    let read = || {
        let (name, options) = matches.subcommand().expect("invariant: a verb is required");
        Ok(CommandLine {
            common: Common::from_arg_matches(&matches)?,
            verb: Verb::read(name, options)?.expect("invariant: the parser knows the verbs of the table only"),
        })
    };
    let line = read().map_err(|error: clap::Error| error.format(&mut root))?;
    // Thousands of small pieces, and the process is about to end: the kernel frees them all at once.
    std::mem::forget(root);
    Ok(Parsed {
        line,
        verb,
        app_args: normalised.app_args,
        unused: normalised.unused,
    })
}

/// The verb that there is not, if that is what is wrong.
pub fn unknown_verb(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(verb)) => Some(verb),
        Some(_) | None => None,
    }
}

/// Which verbs give the words after `--` to the app.
fn passes_arguments_on(verb: &str) -> bool {
    matches!(
        verb,
        "start" | "restart" | "reload" | "startOrRestart" | "startOrReload" | "runtime"
    )
}
