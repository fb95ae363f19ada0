use super::unexpected;
use crate::chosen_worker::{self, ChosenWorker, Most};
use crate::error::{Error, Result};
use crate::interrupts::Interrupts;
use crate::profile_output;
use crate::session::Session;
use crate::units;
use clap::{ArgGroup, Args};
use ostler_core::profiling::{LONGEST, ProfileKind, SHORTEST};
use ostler_wire::control::{Action, Answer, Profiled};
use serde_json::json;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

/// Between two drawings of how far it is.
const INTERVAL: Duration = Duration::from_millis(200);

/// Find out where a Node process spends its time, or what its memory holds
#[derive(Args, Debug)]
#[command(
    group(ArgGroup::new("kind").required(true).args(["cpu", "heap"])),
    after_help = "Examples:
  ostler profile api --cpu 10s                 writes api-0-DATE-TIME.cpuprofile
  ostler profile api --heap --instance 2       writes api-2-DATE-TIME.heapsnapshot

The process needs no flag and is not restarted. Chrome's DevTools open both files.
While a heap snapshot is taken the process stands still, for many seconds if its heap is large, and
takes several times its memory. The snapshot has all that is in it, passwords too."
)]
pub struct Profile {
    /// An app's name, or an id
    #[arg(value_name = "APP|ID")]
    pub selector: String,
    /// Take a CPU profile, from 1s to 5m long; Ctrl-C ends it early
    #[arg(long, value_name = "TIME")]
    pub cpu: Option<String>,
    /// Take a heap snapshot: the process stands still meanwhile
    #[arg(long)]
    pub heap: bool,
    /// Of this instance [default: the one that uses the most CPU, or memory]
    #[arg(long, value_name = "N")]
    pub instance: Option<u32>,
    /// The file, which must not exist
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
    /// Print what was written as JSON
    #[arg(long)]
    pub json: bool,
}

impl Profile {
    pub async fn run(self, session: &Session) -> Result {
        let kind = self.kind()?;
        let (most, extension) = match kind {
            ProfileKind::Cpu { .. } => (Most::Cpu, "cpuprofile"),
            ProfileKind::Heap => (Most::Memory, "heapsnapshot"),
        };
        let worker = chosen_worker::choose(session, &self.selector, self.instance, most).await?;
        let name = self
            .output
            .unwrap_or_else(|| profile_output::default_name(&worker, extension));
        let output = profile_output::at(session, &name)?;
        session.printer.say(&announcement(kind, &worker));
        let profiled = taken(session, &worker, kind).await?;
        profile_output::take(&session.home, &profiled.path, &output)?;
        tell(session, &profiled, &output, self.json)
    }

    fn kind(&self) -> Result<ProfileKind> {
        let Some(typed) = &self.cpu else {
            return Ok(ProfileKind::Heap);
        };
        let for_ms = ostler_config::milliseconds(typed);
        let for_ms = for_ms.filter(|ms| (SHORTEST..=LONGEST).contains(&Duration::from_millis(*ms)));
        let for_ms = for_ms.ok_or_else(|| {
            Error::user(format!("--cpu is a time from 1s to 5m, not \"{typed}\""))
                .hint("a number of milliseconds, or one with a unit: 10s, 1m")
        })?;
        Ok(ProfileKind::Cpu { for_ms })
    }
}

fn announcement(kind: ProfileKind, worker: &ChosenWorker) -> String {
    let whose = worker.shown_with_reason();
    match kind {
        ProfileKind::Cpu { for_ms } => format!(
            "taking a CPU profile for {} s of {whose}; Ctrl-C ends it early",
            for_ms as f64 / 1e3
        ),
        ProfileKind::Heap => format!("taking a heap snapshot of {whose}; it stands still until that is done"),
    }
}

/// Has it taken, and shows how far it is meanwhile.
async fn taken(session: &Session, worker: &ChosenWorker, kind: ProfileKind) -> Result<Profiled> {
    let mut interrupts = Interrupts::catch()?;
    let mut client = session.daemon().await?;
    let slot = worker.slot;
    let mut operation = pin!(client.operate(&session.verb, Action::Profile { slot, kind }));
    let began = Instant::now();
    let mut ended_early = false;
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut operation => break answer,
            () = interrupts.next() => match kind {
                ProfileKind::Cpu { .. } if !ended_early => {
                    ended_early = true;
                    end(session, worker).await?;
                }
                ProfileKind::Cpu { .. } | ProfileKind::Heap => {
                    clear(session);
                    return Err(left(worker, kind));
                }
            },
            () = tokio::time::sleep(INTERVAL) => draw(session, kind, began.elapsed(), ended_early),
        }
    };
    clear(session);
    match answer? {
        Answer::Profiled(profiled) => Ok(profiled),
        other => Err(unexpected(&other)),
    }
}

/// Ends a CPU profile early. That it has just ended by itself is as well.
async fn end(session: &Session, worker: &ChosenWorker) -> Result {
    let mut client = session.daemon().await?;
    let slot = worker.slot;
    let _ended_by_itself = client.operate(&session.verb, Action::EndProfile { slot }).await;
    Ok(())
}

fn left(worker: &ChosenWorker, kind: ProfileKind) -> Error {
    let what = match kind {
        ProfileKind::Cpu { .. } => "the CPU profile",
        ProfileKind::Heap => "the heap snapshot",
    };
    Error::user(format!("not waiting any longer for {what} of {}", worker.shown()))
        .hint("what has begun goes on to its end, and is thrown away then")
}

fn draw(session: &Session, kind: ProfileKind, passed: Duration, ended_early: bool) {
    if !session.printer.draws() {
        return;
    }
    let passed = passed.as_secs();
    let text = match kind {
        ProfileKind::Cpu { .. } if ended_early => "writing what there is".to_owned(),
        ProfileKind::Cpu { for_ms } if passed * 1000 >= for_ms => "writing".to_owned(),
        ProfileKind::Cpu { for_ms } => format!("{passed} s of {} s", for_ms.div_ceil(1000)),
        ProfileKind::Heap => format!("{passed} s"),
    };
    session.printer.draw(&format!("\r\x1b[2K{text}"));
}

fn clear(session: &Session) {
    if session.printer.draws() {
        session.printer.draw("\r\x1b[2K");
    }
}

fn tell(session: &Session, profiled: &Profiled, output: &Path, as_json: bool) -> Result {
    let Profiled {
        id,
        name,
        instance,
        pid,
        kind,
        path: _,
        bytes,
    } = profiled;
    if as_json {
        let told = json!({
            "path": output.to_string_lossy(), "bytes": bytes, "kind": kind, "id": id, "name": name, "instance": instance, "pid": pid,
        });
        return Ok(session.printer.data(format!("{told}\n"))?);
    }
    let (panel, what) = match kind {
        ProfileKind::Cpu { .. } => ("Performance", "profile"),
        ProfileKind::Heap => ("Memory", "snapshot"),
    };
    let printer = &session.printer;
    printer.say(&format!("wrote {}:", units::memory(*bytes)));
    printer.data(format!("{}\n", output.display()))?;
    printer.hint(&format!(
        "Chrome opens it: DevTools (F12), {panel}, load {what}; `chrome://inspect` has DevTools for Node"
    ));
    if *kind == ProfileKind::Heap {
        printer.warn("it has everything that was in memory, secrets too: only you may read it");
        printer.hint(&format!(
            "the process keeps the memory that this took; `ostler reload {name}` gives it back"
        ));
    }
    Ok(())
}
