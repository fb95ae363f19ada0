use crate::chosen_worker::{self, ChosenWorker, Most};
use crate::client::Client;
use crate::connection;
use crate::error::{Error, Result};
use crate::interrupts::Interrupts;
use crate::session::Session;
use clap::Args;
use ostler_wire::inspection::{InspectionChange, InspectionState};
use std::time::Duration;

/// Where it is asked for.
const CALL: &str = "/v1/inspection";

/// How often we say that we are still there. What was said last holds for 20 s.
const AGAIN: Duration = Duration::from_secs(5);

/// Let a debugger into a Node process, until Ctrl-C
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler inspect api
  ostler inspect 2 --port 9229

The process needs no flag and is not restarted. The inspector listens on 127.0.0.1 only, never elsewhere:
whoever reaches it can run any code in the process. From another machine, use a tunnel:
  ssh -L 9229:127.0.0.1:9229 HOST")]
pub struct Inspect {
    /// An app's name, or an id
    #[arg(value_name = "APP|ID")]
    pub selector: String,
    /// The port on 127.0.0.1 [default: one that is free]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Of this instance [default: the one that uses the most CPU]
    #[arg(long, value_name = "N")]
    pub instance: Option<u32>,
}

impl Inspect {
    pub async fn run(self, session: &Session) -> Result {
        let worker = chosen_worker::choose(session, &self.selector, self.instance, Most::Cpu).await?;
        let mut interrupts = Interrupts::catch()?;
        let mut client = session.daemon().await?;
        let open = InspectionChange::Open {
            id: connection::operation_id(),
            slot: worker.slot,
            port: self.port,
        };
        let state: InspectionState = tokio::select! {
            state = client.post(CALL, &open) => state?,
            () = interrupts.next() => {
                close(&worker, &mut session.daemon().await?, open).await?;
                return Ok(());
            }
        };
        show(session, &worker, &state)?;
        let kept = keep_open(&mut client, &worker, &open, &state, &mut interrupts).await;
        // Also when something went wrong: it may be open still. If the connection was broken off in an answer, a new one is needed.
        let closed = match session.daemon().await {
            Ok(mut client) => close(&worker, &mut client, open).await,
            Err(error) => Err(error.into()),
        };
        kept?;
        closed?;
        session.printer.say("the inspector is closed");
        Ok(())
    }
}

/// Says that we are still there until somebody has had enough.
async fn keep_open(
    client: &mut Client,
    worker: &ChosenWorker,
    open: &InspectionChange,
    shown: &InspectionState,
    interrupts: &mut Interrupts,
) -> Result {
    loop {
        tokio::select! {
            () = interrupts.next() => return Ok(()),
            () = tokio::time::sleep(AGAIN) => {}
        }
        let again: InspectionState = tokio::select! {
            () = interrupts.next() => return Ok(()),
            state = client.post(CALL, open) => state?,
        };
        if again.pid != shown.pid {
            return Err(Error::system(format!("{} has ended", worker.shown())).hint(format!(
                "process {} has taken its place: `ostler inspect` it anew",
                again.pid
            )));
        }
    }
}

async fn close(worker: &ChosenWorker, client: &mut Client, open: InspectionChange) -> Result {
    if let InspectionChange::Open { id, .. } = open {
        let slot = worker.slot;
        let _: InspectionState = client.post(CALL, &InspectionChange::Close { id, slot }).await?;
    }
    Ok(())
}

/// The addresses are the answer; the rest is said beside it.
fn show(session: &Session, worker: &ChosenWorker, state: &InspectionState) -> Result {
    let printer = &session.printer;
    let Some(url) = &state.url else {
        return Err(Error::system(format!(
            "the inspector of {} is not open",
            worker.shown()
        )));
    };
    let address = url.strip_prefix("ws://").unwrap_or(url);
    if state.own {
        printer.say(&format!(
            "the inspector of {} is open until Ctrl-C:",
            worker.shown_with_reason()
        ));
    } else {
        printer.warn(&format!(
            "{} has its inspector open anyway (`--inspect`), and it stays so",
            worker.shown_with_reason()
        ));
    }
    printer.data(format!(
        "{url}\ndevtools://devtools/bundled/js_app.html?experiments=true&v8only=true&ws={address}\n"
    ))?;
    printer.hint("open `chrome://inspect` and add the address there, or the second line in Chrome's address bar");
    printer
        .warn("whoever reaches it can run any code in the process; a breakpoint stops the process for all its users");
    Ok(())
}
