//! Verbs of PM2's that Ostler does not have, and what to do instead: who comes from there types them.

/// Why what was typed needs nothing to be done, if that is so: scripts say it to be sure.
pub fn is_so_anyway(words: &[String]) -> Option<&'static str> {
    let mut words = words.iter().map(String::as_str).filter(|word| !word.starts_with('-'));
    match (words.next()?, words.next()) {
        ("unlink" | "unmonitor", _) | ("link", Some("delete" | "kill" | "stop")) => {
            Some("Ostler reports to no service, and is linked to none")
        }
        _ => None,
    }
}

/// What to do instead of a verb of PM2's; none for what is no verb of PM2's, or of both.
pub fn instead_of(verb: &str) -> Option<&'static str> {
    let advice = match verb {
        "update" | "updatePM2" | "deepUpdate" => {
            "to run another version, install it, then `ostler save`, `ostler kill`, `ostler resurrect`"
        }
        "serve" | "expose" => {
            "`ostler start npx --name files -- --yes serve DIRECTORY` keeps a program up that serves files"
        }
        "deploy" | "pull" | "forward" | "backward" => {
            "fetch the code as you like; `ostler reload` then takes it up without losing a request"
        }
        "cleardump" => "`ostler delete all` and then `ostler save --force` save an empty list",
        "slist" | "sysinfos" | "report" => {
            "`ostler describe` shows everything about a process, `ostler why` its history, `ostler monit` and `ostler web` all of them"
        }
        "logrotate" => "logs are rotated and compressed anyway; `log_rotate` in the config says how",
        "profile:cpu" => "`ostler profile APP --cpu 10s` profiles an app",
        "profile:mem" => "`ostler profile APP --heap` takes a picture of an app's memory",
        "set" | "get" | "conf" | "config" | "unset" | "multiset" => {
            "there are no settings but the keys of config files and the variables of the environment"
        }
        "install" | "uninstall" | "module:install" | "module:uninstall" | "module:update" | "module:generate"
        | "module:publish" | "package" | "publish" | "autoinstall" => {
            "there are no modules; log rotation, metrics (`ostler web`, `/metrics`) and health checks are built in"
        }
        "install-otel" | "uninstall-otel" => "`ostler otlp` sends metrics to a collector of OpenTelemetry",
        "link" | "plus" | "register" | "login" | "logout" | "open" | "monitor" => {
            "Ostler reports to no service; `ostler web` shows what it knows, `/metrics` and `ostler otlp` hand it on"
        }
        "create" | "examples" => "`ostler init` writes a config file to begin with; `ostler help VERB` has examples",
        "gracefulReload" => "it is `ostler reload`",
        _ => return None,
    };
    Some(advice)
}
