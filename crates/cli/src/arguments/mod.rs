//! The command line as typed: its grammar, generated help included. What words mean is decided by the commands.

pub mod app_options;
pub mod attributes;
mod normalise;
#[cfg(test)]
mod tests;

use crate::commands::{
    attach, completion, daemon, delete, describe, env, export, flush, id, jlist, kill, list, logs, pid, ping,
    prettylist, reload, reload_logs, reset, restart, resurrect, runtime, save, scale, send, send_signal, start,
    start_or_reload, start_or_restart, startup, stop, unstartup, why,
};
use clap::{Args, Command, FromArgMatches, Subcommand};
use std::cell::LazyCell;

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
    grammar_of(Verb::augment_subcommands)
}

/// The grammar with these verbs.
fn grammar_of(with_verbs: impl FnOnce(Command) -> Command) -> Command {
    // Their derived descriptions are for readers of the code.
    with_verbs(Common::augment_args(Command::new("ostler")))
        .version(env!("CARGO_PKG_VERSION"))
        .about("Runs your programs, keeps them up, and tells you what happened")
        .after_help(EXAMPLES)
        .disable_version_flag(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
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

/// The verbs, PM2's and ours. The options of a verb are told to the parser once it was typed: describing those of all takes
/// longer than most commands altogether.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    Start(Box<start::Start>),
    Stop(stop::Stop),
    Restart(Box<restart::Restart>),
    Reload(Box<reload::Reload>),
    #[command(name = "startOrRestart")]
    StartOrRestart(Box<start_or_restart::StartOrRestart>),
    #[command(name = "startOrReload", alias = "startOrGracefulReload")]
    StartOrReload(Box<start_or_reload::StartOrReload>),
    #[command(visible_alias = "del")]
    Delete(delete::Delete),
    Scale(scale::Scale),
    Reset(reset::Reset),
    #[command(visible_aliases = ["ls", "l", "ps", "status"])]
    List(list::List),
    Jlist(jlist::Jlist),
    Prettylist(prettylist::Prettylist),
    #[command(visible_aliases = ["desc", "show", "info"])]
    Describe(describe::Describe),
    Why(why::Why),
    #[command(visible_alias = "log")]
    Logs(logs::Logs),
    Flush(flush::Flush),
    #[command(name = "reloadLogs")]
    ReloadLogs(reload_logs::ReloadLogs),
    Env(env::Env),
    Id(id::Id),
    Pid(pid::Pid),
    #[command(visible_alias = "dump")]
    Save(save::Save),
    Resurrect(resurrect::Resurrect),
    #[command(name = "sendSignal")]
    SendSignal(send_signal::SendSignal),
    Send(send::Send),
    Attach(attach::Attach),
    Ping(ping::Ping),
    Kill(kill::Kill),
    Daemon(daemon::Daemon),
    Startup(startup::Startup),
    Unstartup(unstartup::Unstartup),
    Export(export::Export),
    Runtime(Box<runtime::Runtime>),
    Completion(completion::Completion),
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
    let all = grammar();
    let general: LazyCell<Command> = LazyCell::new(|| app_options::AppOptions::augment_args(Command::new("general")));
    let normalised = normalise::normalise(words, &all, &general, passes_arguments_on);
    let verb = normalised.words.first().cloned().unwrap_or_default();
    let mut root = match all.find_subcommand(&verb).cloned() {
        // Alone: the parser would describe to each verb what is common to them.
        Some(typed) => grammar_of(|root| root.subcommand(typed)),
        // Help, or a mistake: whoever reads the answer reads of all verbs.
        None => {
            let mut all = all.clone();
            all.build();
            all
        }
    };
    // Thousands of small pieces, and the process is about to end: the kernel frees them all at once.
    std::mem::forget(all);
    let words = std::iter::once("ostler".to_owned()).chain(normalised.words);
    let matches = root.try_get_matches_from_mut(words)?;
    let read = || {
        Ok(CommandLine {
            common: Common::from_arg_matches(&matches)?,
            verb: Verb::from_arg_matches(&matches)?,
        })
    };
    let line = read().map_err(|error: clap::Error| error.format(&mut root))?;
    std::mem::forget(root);
    Ok(Parsed {
        line,
        verb,
        app_args: normalised.app_args,
        unused: normalised.unused,
    })
}

/// Which verbs give the words after `--` to the app.
fn passes_arguments_on(verb: &str) -> bool {
    matches!(
        verb,
        "start" | "restart" | "reload" | "startOrRestart" | "startOrReload" | "runtime"
    )
}
