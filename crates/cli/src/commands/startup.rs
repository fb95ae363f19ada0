use crate::boot::{self, Machine, Plan, Platform, Service, Wish, check};
use crate::error::{Error, Result};
use crate::session::Session;
use clap::Args;
use ostler_wire::control::ProcessRows;
use std::collections::BTreeSet;

/// Start the saved list at boot
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler startup                                 for the caller, under the init system that is found
  ostler startup systemd -u www --hp /home/www   as root, for another user
  ostler startup systemd-user                    without root: a service of your own service manager
  ostler startup --check                         what would fail at the next boot?
  ostler save                                    what is started then

Init systems: systemd, systemd-user, openrc, systemv, launchd. Where only root may set it up, the command to be typed is
printed, and the exit code is 1.")]
pub struct Startup {
    /// The init system; looked up unless given
    pub platform: Option<String>,
    #[command(flatten)]
    pub wish: Wish,
    /// Say what would fail at the next boot, change nothing
    #[arg(long, conflicts_with = "print")]
    pub check: bool,
    /// Print what would be written and done, change nothing
    #[arg(long)]
    pub print: bool,
}

impl Startup {
    pub async fn run(self, session: &Session) -> Result {
        let machine = Machine::here(session.variable("PATH"));
        let (platform, service, plan) = prepared(session, &machine, self.platform.as_deref(), &self.wish, self.check)?;
        if self.print {
            return Ok(session.printer.data(plan.shown())?);
        }
        if self.check {
            let running = running(session, &service).await;
            let report = check::check(&machine, platform, &service, &plan, running.as_ref());
            return show(session, &report);
        }
        refuse_without_rights(
            session,
            &plan,
            &service.as_root("startup", platform, session, &self.wish),
        )?;
        plan.install(&machine)?;
        let text = format!("wrote {} and enabled it", plan.file.display());
        session.printer.say(&text);
        let running = running(session, &service).await;
        let report = check::check(&machine, platform, &service, &plan, running.as_ref());
        for finding in &report.findings {
            session.printer.warn(&finding.what);
            session.printer.hint(&finding.remedy);
        }
        if report.findings.is_empty() {
            session.printer.say(&ready(&report));
        }
        if let Some(caller) = session.variable("SUDO_USER").filter(|caller| *caller != service.user)
            && self.wish.user.is_none()
        {
            let text = format!(
                "this starts the apps of {}; for those of {caller}: `-u {caller}`",
                service.user
            );
            session.printer.hint(&text);
        }
        if running.is_some() && platform == Platform::Systemd {
            let name = &service.name;
            let hint = format!(
                "what runs now goes on as it is; `ostler save && ostler kill && systemctl start {name}` makes it the service's"
            );
            session.printer.hint(&hint);
        }
        Ok(())
    }
}

/// What the words come to.
pub fn prepared(
    session: &Session,
    machine: &Machine,
    platform: Option<&str>,
    wish: &Wish,
    whichever_is_there: bool,
) -> Result<(Platform, Service, Plan)> {
    let mut found = match platform {
        Some(name) => Platform::named(name)?,
        None => Platform::detect(machine)?,
    };
    let mut service = Service::new(session, found, wish)?;
    let mut plan = boot::plan(found, &service);
    // Who set up a unit of his own means that one.
    if whichever_is_there && platform.is_none() && found == Platform::Systemd && !machine.at(&plan.file).exists() {
        let own = Service::new(session, Platform::SystemdUser, wish);
        if let Some(own) = own
            .ok()
            .filter(|own| machine.at(boot::plan(Platform::SystemdUser, own).file).exists())
        {
            plan = boot::plan(Platform::SystemdUser, &own);
            (found, service) = (Platform::SystemdUser, own);
        }
    }
    Ok((found, service, plan))
}

/// Root only, as a rule: says what to type. On standard output, where scripts take it from, as with PM2.
pub fn refuse_without_rights(session: &Session, plan: &Plan, line: &str) -> Result {
    if !plan.needs_root || rustix::process::geteuid().is_root() {
        return Ok(());
    }
    session
        .printer
        .say("only root may set that up; copy this line, and run it:");
    session.printer.data(format!("{line}\n"))?;
    Err(Error::reported())
}

/// The apps that run now in the home of the service, if that is the caller's.
async fn running(session: &Session, service: &Service) -> Option<BTreeSet<String>> {
    if service.home != session.home.path() {
        return None;
    }
    let mut client = session.daemon().await.ok()?;
    let rows: ProcessRows = client.get("/v1/processes").await.ok()?;
    Some(rows.processes.into_iter().map(|row| row.name).collect())
}

fn ready(report: &check::Report) -> String {
    format!(
        "the next boot restores {} processes from {}",
        report.processes,
        report.list.display()
    )
}

fn show(session: &Session, report: &check::Report) -> Result {
    if report.findings.is_empty() {
        let text = format!("{} is enabled; {}\n", report.file.display(), ready(report));
        return Ok(session.printer.data(text)?);
    }
    let mut text = "at the next boot this would fail:\n".to_owned();
    for finding in &report.findings {
        text.push_str(&format!("  {}\n    {}\n", finding.what, finding.remedy));
    }
    session.printer.data(text)?;
    Err(Error::reported())
}
