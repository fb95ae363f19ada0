//! `ostler monit`: everything at a glance, live, in the terminal (docs/design/0019).
//!
//! Facts become [`Input`]s, [`Dashboard`] decides and knows what is to be shown, [`view`] draws it: all of that is pure. Here is the
//! rest: one loop that takes what comes from the terminal, from signals and from the daemon, and carries out what the model orders.

mod keys;
mod log_pane;
mod model;
mod output;
mod press;
mod request;
mod rows;
#[cfg(test)]
mod samples;
mod screen;
mod series;
mod sources;
mod terminal;
mod view;

use crate::error::{Error, Result};
use crate::home::Home;
use keys::Keys;
use model::{Dashboard, Effect, Input, Question};
use ostler_core::SlotId;
use rustix::process::Signal;
use std::io;
use std::time::Duration;
use terminal::{Terminal, Turn};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, UnboundedSender};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};

/// Between two pictures, unless a key was pressed.
const FRAME: Duration = Duration::from_millis(50);

/// How long after an escape character the rest of a sequence may come.
const ESCAPE: Duration = Duration::from_millis(40);

/// Facts that wait; who makes more of them waits, too.
const WAITING: usize = 64;

/// Shows the dashboard until it is left.
pub async fn run(home: &Home, colour: bool) -> Result {
    let mut signals = Caught::new().map_err(|error| Error::system(format!("sigaction: {error}")))?;
    let mut terminal = Terminal::take()?;
    LocalSet::new()
        .run_until(async {
            let mut page = Page::open(home, &terminal, colour);
            page.show(&mut terminal, &mut signals).await;
        })
        .await;
    terminal.leave();
    Ok(())
}

/// The signals that concern the terminal.
struct Caught {
    ends: [Signals; 4],
    resized: Signals,
    stop: Signals,
    goes_on: Signals,
}

/// What a signal asks for.
enum Told {
    End,
    Resize,
    Stop,
    GoOn,
}

impl Caught {
    fn new() -> io::Result<Self> {
        let caught = |number: Signal| signal(SignalKind::from_raw(number.as_raw()));
        Ok(Self {
            ends: [
                caught(Signal::TERM)?,
                caught(Signal::HUP)?,
                caught(Signal::INT)?,
                caught(Signal::QUIT)?,
            ],
            resized: caught(Signal::WINCH)?,
            stop: caught(Signal::TSTP)?,
            goes_on: caught(Signal::CONT)?,
        })
    }

    async fn next(&mut self) -> Told {
        let [term, hup, int, quit] = &mut self.ends;
        tokio::select! {
            _ = term.recv() => Told::End,
            _ = hup.recv() => Told::End,
            _ = int.recv() => Told::End,
            _ = quit.recv() => Told::End,
            _ = self.resized.recv() => Told::Resize,
            _ = self.stop.recv() => Told::Stop,
            _ = self.goes_on.recv() => Told::GoOn,
        }
    }
}

/// What the loop works with.
struct Page {
    home: Home,
    dashboard: Dashboard,
    keys: Keys,
    /// When an unfinished sequence of keys is taken for what it is.
    escape: Instant,
    /// No picture is drawn before that.
    next_frame: Instant,
    dirty: bool,
    facts: Receiver<Input>,
    tell: Sender<Input>,
    questions: UnboundedSender<Question>,
    followed: watch::Sender<Vec<SlotId>>,
}

impl Page {
    fn open(home: &Home, terminal: &Terminal, colour: bool) -> Self {
        let (tell, facts) = mpsc::channel(WAITING);
        let (questions, asked) = mpsc::unbounded_channel();
        let (followed, wanted) = watch::channel(Vec::new());
        tokio::task::spawn_local(sources::poll(home.clone(), asked, tell.clone()));
        tokio::task::spawn_local(output::follow(home.clone(), wanted, tell.clone()));
        let mut dashboard = Dashboard::new(terminal.size(), colour);
        dashboard.zone = Some(jiff::tz::TimeZone::system());
        Self {
            home: home.clone(),
            dashboard,
            keys: Keys::default(),
            escape: Instant::now(),
            next_frame: Instant::now(),
            dirty: true,
            facts,
            tell,
            questions,
            followed,
        }
    }

    /// Until the page is left, or the terminal is gone.
    async fn show(&mut self, terminal: &mut Terminal, signals: &mut Caught) {
        loop {
            self.draw(terminal);
            let goes_on = tokio::select! {
                biased;
                told = signals.next() => self.obey(&told, terminal),
                turn = terminal.turn() => self.turn(turn, terminal),
                () = sleep_until(self.escape), if self.keys.waits() => {
                    let key = self.keys.finish();
                    key.is_none_or(|key| self.take(Input::Key(key), terminal))
                }
                () = sleep_until(self.next_frame), if self.dirty && terminal.is_idle() => true,
                // There is always a sender: our own.
                Some(fact) = self.facts.recv() => self.take(fact, terminal),
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Draws when there is something new, the terminal has taken what came before, and the time has come.
    fn draw(&mut self, terminal: &mut Terminal) {
        self.dirty |= self.dashboard.take_changed();
        let now = Instant::now();
        if self.dirty && terminal.is_idle() && now >= self.next_frame {
            terminal.show(view::draw(&self.dashboard));
            self.dirty = false;
            self.next_frame = now + FRAME;
        }
    }

    fn obey(&mut self, told: &Told, terminal: &mut Terminal) -> bool {
        match told {
            Told::End => false,
            Told::Resize => {
                let (columns, rows) = terminal.size();
                self.take(Input::Resized(columns, rows), terminal)
            }
            Told::Stop => {
                terminal.leave();
                // Cannot fail: it is our own process. It returns once we are told to go on.
                let _stopped = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
                true
            }
            // Others have used the terminal, and its size may be another.
            Told::GoOn => match terminal.enter() {
                Ok(()) => self.obey(&Told::Resize, terminal),
                Err(_gone) => false,
            },
        }
    }

    fn turn(&mut self, turn: Turn, terminal: &mut Terminal) -> bool {
        match turn {
            Turn::Closed => false,
            Turn::Wrote(length) => {
                terminal.wrote(length);
                true
            }
            Turn::Read(bytes) => {
                self.escape = Instant::now() + ESCAPE;
                // Whoever presses a key looks.
                self.next_frame = Instant::now();
                let keys = self.keys.feed(&bytes);
                keys.into_iter().all(|key| self.take(Input::Key(key), terminal))
            }
        }
    }

    fn take(&mut self, input: Input, terminal: &mut Terminal) -> bool {
        let effects = self.dashboard.update(input);
        effects.into_iter().all(|effect| self.carry_out(effect, terminal))
    }

    /// Tells whether the page stays open.
    fn carry_out(&mut self, effect: Effect, terminal: &mut Terminal) -> bool {
        match effect {
            Effect::Quit => return false,
            Effect::Suspend => {
                // To all of the job, as the terminal itself would: comes back to us as a signal.
                let _sent = rustix::process::kill_current_process_group(Signal::TSTP);
            }
            Effect::Redraw => {
                terminal.forget();
                self.dirty = true;
            }
            Effect::Mouse(ours) => terminal.use_mouse(ours),
            // Both end with the page only.
            Effect::Follow(slots) => drop(self.followed.send(slots)),
            Effect::Ask(question) => drop(self.questions.send(question)),
            Effect::Carry(request) => {
                let (home, tell) = (self.home.clone(), self.tell.clone());
                tokio::task::spawn_local(async move {
                    let report = request.carry_out(&home).await;
                    // The page may have been closed meanwhile; the daemon goes on with it.
                    let _told = tell.send(Input::Done(request, report)).await;
                });
            }
        }
        true
    }
}
