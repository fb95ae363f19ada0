use super::startup::{prepared, refuse_without_rights};
use crate::boot::{Machine, Wish};
use crate::error::Result;
use crate::session::Session;
use clap::Args;

/// Do not start at boot any more
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler unstartup                    take back what `ostler startup` did
  ostler unstartup systemd -u www     as root, for another user

What runs goes on running; the saved list stays.")]
pub struct Unstartup {
    /// The init system; looked up unless given
    pub platform: Option<String>,
    #[command(flatten)]
    pub wish: Wish,
}

impl Unstartup {
    pub async fn run(self, session: &Session) -> Result {
        let machine = Machine::here(session.variable("PATH"));
        let (platform, service, plan) = prepared(session, &machine, self.platform.as_deref(), &self.wish, true)?;
        refuse_without_rights(
            session,
            &plan,
            &service.as_root("unstartup", platform, session, &self.wish),
        )?;
        if plan.remove(&machine)? {
            let text = format!("removed {}: nothing is started at boot any more", plan.file.display());
            session.printer.say(&text);
        } else {
            let text = format!("there is no {}: nothing to take back", plan.file.display());
            session.printer.say(&text);
        }
        Ok(())
    }
}
