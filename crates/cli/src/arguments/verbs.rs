//! The verbs, PM2's and ours: one table of names and of what carries each out.

use crate::commands::{
    attach, completion, daemon, delete, describe, env, export, flush, id, init, inspect, jlist, kill, list, logs,
    monit, otlp, pid, ping, prettylist, profile, reload, reload_logs, reset, restart, resurrect, runtime, save, scale,
    send, send_signal, start, start_or_reload, start_or_restart, startup, stop, trigger, unstartup, web, why,
};
use crate::error::Result;
use crate::session::Session;
use clap::{ArgMatches, Args, Command, FromArgMatches};

/// Each with its name, other names that help tells, other names that it does not, and its options. These are described to the
/// parser once the verb was typed: describing those of all takes longer than most commands altogether. And where nothing but a verb
/// marked `default` was typed there is nothing to parse: its options are their defaults.
macro_rules! verbs {
    ($($variant:ident = $name:literal $(or $others:tt)? $(hidden $hidden:tt)? => $options:ty $(, $default:ident)?;)+) => {
        /// A verb with its options.
        #[derive(Debug)]
        pub enum Verb {
            $($variant(Box<$options>),)+
        }

        impl Verb {
            /// The grammar of the verb with this name.
            pub fn grammar(name: &str) -> Option<Command> {
                let known = |names: &[&str]| names.contains(&name);
                $(if name == $name $(|| known(&$others))? $(|| known(&$hidden))? {
                    return Some(command::<$options>($name)$(.visible_aliases($others))?$(.aliases($hidden))?);
                })+
                None
            }

            /// The verb with this name as it is by itself, and what it is called, if it is one that the parser is not needed for.
            pub fn alone(name: &str) -> Option<(&'static str, Self)> {
                let known = |names: &[&str]| names.contains(&name);
                $(if name == $name $(|| known(&$others))? $(|| known(&$hidden))? {
                    let alone: Option<Self> = None;
                    $(let alone = alone.or_else(|| Some(Self::$variant(Box::$default())));)?
                    return alone.map(|verb| ($name, verb));
                })+
                None
            }

            /// The grammars of all.
            pub fn all() -> impl Iterator<Item = Command> {
                [$($name),+].into_iter().filter_map(Self::grammar)
            }

            /// What the parser has understood; nothing for a name that is not in the table.
            pub fn read(name: &str, matches: &ArgMatches) -> std::result::Result<Option<Self>, clap::Error> {
                Ok(match name {
                    $($name => Some(Self::$variant(Box::new(<$options>::from_arg_matches(matches)?))),)+
                    _ => None,
                })
            }

            /// Carries it out.
            pub async fn run(self, session: &Session) -> Result {
                match self {
                    $(Self::$variant(command) => command.run(session).await,)+
                }
            }
        }
    };
}

fn command<O: Args>(name: &'static str) -> Command {
    Command::new(name).defer(O::augment_args)
}

verbs! {
    Start = "start" => start::Start;
    Stop = "stop" => stop::Stop;
    Restart = "restart" => restart::Restart;
    Reload = "reload" => reload::Reload;
    StartOrRestart = "startOrRestart" => start_or_restart::StartOrRestart;
    StartOrReload = "startOrReload" hidden ["startOrGracefulReload"] => start_or_reload::StartOrReload;
    Delete = "delete" or ["del"] => delete::Delete;
    Scale = "scale" => scale::Scale;
    Reset = "reset" => reset::Reset;
    List = "list" or ["ls", "l", "ps", "status"] => list::List, default;
    Jlist = "jlist" => jlist::Jlist, default;
    Prettylist = "prettylist" => prettylist::Prettylist, default;
    Describe = "describe" or ["desc", "show", "info"] => describe::Describe;
    Why = "why" => why::Why;
    Logs = "logs" or ["log"] => logs::Logs;
    Monit = "monit" or ["dash", "dashboard"] hidden ["imonit"] => monit::Monit, default;
    Web = "web" => web::Web;
    Flush = "flush" => flush::Flush;
    ReloadLogs = "reloadLogs" => reload_logs::ReloadLogs, default;
    Env = "env" => env::Env;
    Id = "id" => id::Id;
    Pid = "pid" => pid::Pid;
    Save = "save" or ["dump"] => save::Save, default;
    Resurrect = "resurrect" => resurrect::Resurrect, default;
    SendSignal = "sendSignal" => send_signal::SendSignal;
    Send = "send" => send::Send;
    Trigger = "trigger" => trigger::Trigger;
    Attach = "attach" => attach::Attach;
    Profile = "profile" => profile::Profile;
    Inspect = "inspect" => inspect::Inspect;
    Otlp = "otlp" => otlp::Otlp;
    Ping = "ping" => ping::Ping, default;
    Kill = "kill" => kill::Kill, default;
    Daemon = "daemon" => daemon::Daemon;
    Startup = "startup" => startup::Startup;
    Unstartup = "unstartup" => unstartup::Unstartup;
    Export = "export" => export::Export;
    Runtime = "runtime" => runtime::Runtime;
    Init = "init" or ["ecosystem"] => init::Init;
    Completion = "completion" => completion::Completion;
}
