use super::processes;
use crate::error::{Error, Result};
use crate::session::Session;
use clap::Args;
use ostler_wire::control::Process;
use std::collections::BTreeMap;

/// Print the environment that a process is given
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ostler env 0 | grep NODE_ENV")]
pub struct Env {
    /// The process's id
    #[arg(value_name = "ID")]
    pub id: u32,
}

impl Env {
    pub async fn run(self, session: &Session) -> Result {
        let all = processes(session).await?;
        let process = all.processes.iter().find(|process| process.view.id.0 == self.id);
        let process = process.ok_or_else(|| {
            Error::user(format!("no process has the id {}", self.id)).hint("`ostler list` shows the ids")
        })?;
        let lines: String = variables(process)
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        Ok(session.printer.data(lines)?)
    }
}

/// Inherited, then declared, then what is only known at the start. Files of variables are read by the daemon then.
pub fn variables(process: &Process) -> BTreeMap<String, String> {
    let environment = &process.view.spec.environment;
    let mut variables = BTreeMap::clone(&environment.inherited);
    variables.extend(environment.declared.clone());
    variables.insert(environment.instance_var.clone(), process.view.instance.to_string());
    variables
}
