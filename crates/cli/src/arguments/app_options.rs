//! The options that describe an app (PM2's root options), as typed. Taken by `start`, `restart`, `reload` and the like,
//! before or after the verb. What they mean as attributes is in `attributes.rs`.

use clap::Args;

/// What was typed about an app.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct AppOptions {
    /// The app's name [default: the script's, without extension]
    #[arg(short, long, value_name = "NAME", help_heading = "App")]
    pub name: Option<String>,
    /// The group it can be selected by [default: default]
    #[arg(long, value_name = "NAMESPACE", help_heading = "App")]
    pub namespace: Option<String>,
    /// Its working directory
    #[arg(long, value_name = "PATH", help_heading = "App")]
    pub cwd: Option<String>,
    /// What runs the script [default: by extension]; `none` executes it directly
    #[arg(long, value_name = "PROGRAM", help_heading = "App")]
    pub interpreter: Option<String>,
    /// Arguments of the interpreter
    #[arg(long, alias = "node-args", value_name = "ARGUMENTS", help_heading = "App")]
    pub interpreter_args: Option<String>,
    /// How many instances: a number, `max`, or `-1` for one fewer than processors
    #[arg(short, long, value_name = "NUMBER", help_heading = "App")]
    pub instances: Option<String>,
    /// Run in fork mode, whatever else says cluster
    #[arg(short = 'x', long, help_heading = "App")]
    pub execute_command: bool,
    /// Run as this user (needs root)
    #[arg(
        long,
        visible_short_alias = 'u',
        alias = "user",
        value_name = "USER",
        help_heading = "App"
    )]
    pub uid: Option<String>,
    /// Run as this group (needs root)
    #[arg(long, value_name = "GROUP", help_heading = "App")]
    pub gid: Option<String>,
    /// Where to write the process id
    #[arg(short, long, value_name = "PATH", help_heading = "App")]
    pub pid: Option<String>,
    /// Register the app without starting it
    #[arg(long, help_heading = "App")]
    pub no_autostart: bool,

    /// Take the block `env_<NAME>` of the config file
    #[arg(long, value_name = "NAME", help_heading = "Environment")]
    pub env: Option<String>,
    /// Give existing apps this shell's environment
    #[arg(short = 'a', long, help_heading = "Environment")]
    pub update_env: bool,
    /// Leave out variables whose name contains this; may be repeated
    #[arg(long, value_name = "TEXT", num_args = 0..=1, require_equals = true, help_heading = "Environment")]
    pub filter_env: Option<Vec<String>>,

    /// File for standard output; `/dev/null` for none
    #[arg(short, long, value_name = "PATH", help_heading = "Logs")]
    pub output: Option<String>,
    /// File for standard error; `/dev/null` for none
    #[arg(short, long, value_name = "PATH", help_heading = "Logs")]
    pub error: Option<String>,
    /// File for both, in addition
    #[arg(short, long, value_name = "PATH", num_args = 0..=1, require_equals = true, help_heading = "Logs")]
    pub log: Option<Option<String>>,
    /// `raw` or `json`, one object a line
    #[arg(long, value_name = "TYPE", help_heading = "Logs")]
    pub log_type: Option<String>,
    /// Put the time before each line, e.g. `YYYY-MM-DD HH:mm:ss`
    #[arg(long, value_name = "FORMAT", help_heading = "Logs")]
    pub log_date_format: Option<String>,
    /// Put the time before each line, as `YYYY-MM-DDTHH:mm:ss`
    #[arg(long, help_heading = "Logs")]
    pub time: bool,
    /// One log file for all instances
    #[arg(long, help_heading = "Logs")]
    pub merge_logs: bool,
    /// Keep no logs
    #[arg(long, help_heading = "Logs")]
    pub disable_logs: bool,

    /// Do not start again when it ends
    #[arg(long, help_heading = "Restarts")]
    pub no_autorestart: bool,
    /// Give up after so many restarts in a row that did not hold
    #[arg(long, value_name = "COUNT", num_args = 0..=1, require_equals = true, help_heading = "Restarts")]
    pub max_restarts: Option<Option<String>>,
    /// Wait before each restart, in milliseconds
    #[arg(long, value_name = "MS", help_heading = "Restarts")]
    pub restart_delay: Option<String>,
    /// Wait longer with each restart, beginning with so many milliseconds
    #[arg(long, value_name = "MS", help_heading = "Restarts")]
    pub exp_backoff_restart_delay: Option<String>,
    /// Restart above this much memory, e.g. `300M`
    #[arg(long, value_name = "MEMORY", help_heading = "Restarts")]
    pub max_memory_restart: Option<String>,
    /// Kill above this much memory
    #[arg(long, value_name = "MEMORY", help_heading = "Restarts")]
    pub max_memory_kill: Option<String>,
    /// Restart by the clock, e.g. `"0 4 * * *"`; `0` ends it
    #[arg(short, long, alias = "cron", value_name = "PATTERN", help_heading = "Restarts")]
    pub cron_restart: Option<String>,
    /// Exit codes that mean "done", e.g. `"0 143"`
    #[arg(long, value_name = "CODES", help_heading = "Restarts")]
    pub stop_exit_codes: Option<String>,

    /// Restart when files change; may be repeated with paths
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true, help_heading = "Watching")]
    pub watch: Option<Vec<String>>,
    /// Files and folders not to watch
    #[arg(long, value_name = "PATHS", help_heading = "Watching")]
    pub ignore_watch: Option<String>,
    /// Wait after a change, in seconds, or `4000ms`
    #[arg(long, value_name = "DELAY", help_heading = "Watching")]
    pub watch_delay: Option<String>,
    /// Watch only files with these extensions, e.g. `js,json`
    #[arg(long, value_name = "EXTENSIONS", help_heading = "Watching")]
    pub ext: Option<String>,

    /// Time to end in before SIGKILL, in milliseconds [default: 1600]
    #[arg(short, long, value_name = "MS", help_heading = "Starting and stopping")]
    pub kill_timeout: Option<String>,
    /// Time to become ready in, in milliseconds [default: 3000]
    #[arg(long, value_name = "MS", help_heading = "Starting and stopping")]
    pub listen_timeout: Option<String>,
    /// Ready when the app sends `ready`
    #[arg(long, help_heading = "Starting and stopping")]
    pub wait_ready: bool,
    /// Add up over all workers what the app has registered with `prom-client`
    #[arg(long, help_heading = "Starting and stopping")]
    pub prom_client: bool,
    /// Send the message `shutdown` instead of a signal
    #[arg(long, help_heading = "Starting and stopping")]
    pub shutdown_with_message: bool,
    /// Stop the main process only, not its descendants
    #[arg(long, help_heading = "Starting and stopping")]
    pub no_treekill: bool,
    /// Start a second one even if the script runs already
    #[arg(short, long, help_heading = "Starting and stopping")]
    pub force: bool,

    /// Who gets a connection: `round-robin`, `least-connections`, `sticky`, or `direct`
    #[arg(long, value_name = "MODE", help_heading = "Serving side by side")]
    pub balance: Option<String>,
    /// Listen here for workers of any language, which inherit the socket: `tcp://0.0.0.0:3000`
    #[arg(long, value_name = "ADDRESS", help_heading = "Serving side by side")]
    pub listen: Option<Vec<String>>,
    /// Replace a worker when this fails: a path of HTTP, `tcp`, `heartbeat` or `exec:COMMAND`
    #[arg(long, value_name = "PROBE", help_heading = "Serving side by side")]
    pub health: Option<String>,
    /// Give a worker connections only while this passes: a path of HTTP, `tcp`, `heartbeat` or `exec:COMMAND`
    #[arg(long, value_name = "PROBE", help_heading = "Serving side by side")]
    pub ready: Option<String>,
    /// Time for a replaced worker to finish with its connections, in milliseconds [default: 30000]
    #[arg(long, value_name = "MS", help_heading = "Serving side by side")]
    pub drain_timeout: Option<String>,

    /// Only these apps of the config file
    #[arg(long, value_name = "NAMES", help_heading = "Command")]
    pub only: Option<String>,
    /// Show the apps' output afterwards
    #[arg(long, help_heading = "Command")]
    pub attach: bool,
    /// Stay in the foreground with the apps' output; the end of the command ends everything
    #[arg(long, help_heading = "Command")]
    pub no_daemon: bool,
    /// Write the resolved config to `<NAME>-pm2.json`
    #[arg(short, long, help_heading = "Command")]
    pub write: bool,
    /// Short list afterwards
    #[arg(short, long, help_heading = "Command")]
    pub mini_list: bool,
    /// Order of the list afterwards, e.g. `memory:desc`
    #[arg(long, value_name = "FIELD[:ORDER]", help_heading = "Command")]
    pub sort: Option<String>,

    /// How many workers of an app a reload replaces at once
    #[arg(long, value_name = "NUMBER", help_heading = "Command")]
    pub parallel: Option<String>,

    #[command(flatten)]
    pub without_effect: WithoutEffect,
}

/// PM2's options that are taken and have no effect: their features come later, or are not ours to build.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct WithoutEffect {
    #[arg(long, hide = true)]
    pub source_map_support: bool,
    #[arg(long, hide = true)]
    pub disable_source_map_support: bool,
    #[arg(long, hide = true)]
    pub no_vizion: bool,
    #[arg(long, hide = true)]
    pub no_pmx: bool,
    #[arg(long, hide = true)]
    pub no_automation: bool,
    #[arg(long, hide = true)]
    pub trace: bool,
    #[arg(long, hide = true)]
    pub disable_trace: bool,
    #[arg(long, hide = true)]
    pub v8: bool,
    #[arg(long, hide = true)]
    pub event_loop_inspector: bool,
    #[arg(long, hide = true)]
    pub deep_monitoring: bool,
    #[arg(long, hide = true, value_name = "PATH")]
    pub hp: Option<String>,
    #[arg(long, hide = true)]
    pub wait_ip: bool,
    #[arg(long, hide = true, value_name = "NAME")]
    pub service_name: Option<String>,
}

impl WithoutEffect {
    /// The options given whose absence of effect somebody might notice. Those that ask for what happens anyway
    /// (`--no-pmx`, `--no-vizion`) are not worth a word.
    pub fn noticeable(&self) -> Vec<&'static str> {
        let given = [
            (self.source_map_support, "--source-map-support"),
            (self.trace, "--trace"),
            (self.v8, "--v8"),
            (self.event_loop_inspector, "--event-loop-inspector"),
            (self.deep_monitoring, "--deep-monitoring"),
            (self.hp.is_some(), "--hp"),
            (self.wait_ip, "--wait-ip"),
            (self.service_name.is_some(), "--service-name"),
        ];
        given
            .into_iter()
            .filter_map(|(given, name)| given.then_some(name))
            .collect()
    }
}
