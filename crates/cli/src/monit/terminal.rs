//! The terminal: taken, written to without waiting for it, and given back as it was, whatever happens.

use super::screen::{ENTER, LEAVE, MOUSE, NO_MOUSE, Screen};
use crate::error::{Error, Result};
use ratatui_core::buffer::Buffer;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// For so long a terminal that takes nothing is waited for in the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// Read at once.
const BLOCK: usize = 4096;

/// A terminal that nobody has told its size.
const USUAL: (u16, u16) = (80, 24);

/// What has to be done for the terminal when we panic.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

/// A terminal that is ours for now.
struct Taken {
    terminal: OwnedFd,
    /// As it was.
    modes: Termios,
}

/// What the terminal has to tell.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// This was typed.
    Read(Vec<u8>),
    /// So many bytes were taken.
    Wrote(usize),
    /// It is gone.
    Closed,
}

/// The terminal of standard output.
pub struct Terminal {
    terminal: AsyncFd<OwnedFd>,
    modes: Termios,
    screen: Screen,
    /// What it has not taken yet.
    pending: Vec<u8>,
    mouse: bool,
    taken: bool,
}

impl Terminal {
    /// Takes it. From then on a panic gives it back before it says what it has to say.
    pub fn take() -> Result<Self> {
        let terminal = open().map_err(|error| system("opening a second descriptor", &error.into()))?;
        Self::over(terminal)
    }

    /// Takes this one, which must not block.
    fn over(terminal: OwnedFd) -> Result<Self> {
        let modes = tcgetattr(&terminal).map_err(|error| system("tcgetattr", &error.into()))?;
        #[expect(
            deprecated,
            reason = "what follows it is unsafe; an owned descriptor is ours alone, and closed when it is dropped"
        )]
        let terminal = AsyncFd::new(terminal).map_err(|error| system("epoll_ctl", &error))?;
        let mut taken = Self {
            terminal,
            modes,
            screen: Screen::default(),
            pending: Vec::new(),
            mouse: false,
            taken: false,
        };
        give_back_on_panic();
        taken.enter().map_err(|error| system("tcsetattr", &error))?;
        Ok(taken)
    }

    /// Makes it ours, also once again after it was left, or after others have used it.
    pub fn enter(&mut self) -> io::Result<()> {
        let mut raw = self.modes.clone();
        raw.make_raw();
        tcsetattr(&self.terminal, OptionalActions::Now, &raw)?;
        let twin = self.terminal.get_ref().try_clone()?;
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Taken {
            terminal: twin,
            modes: self.modes.clone(),
        });
        self.taken = true;
        self.screen.forget();
        self.pending.extend_from_slice(ENTER.as_bytes());
        self.use_mouse(self.mouse);
        Ok(())
    }

    /// Gives it back as it was.
    pub fn leave(&mut self) {
        if !std::mem::take(&mut self.taken) {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        write_within(FAREWELL, self.terminal.as_fd(), &pending);
        give_back();
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        match tcgetwinsize(&self.terminal) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            Ok(_) | Err(_) => USUAL,
        }
    }

    /// Takes the mouse, or leaves it to the terminal.
    pub fn use_mouse(&mut self, ours: bool) {
        if ours || self.mouse {
            self.pending
                .extend_from_slice(if ours { MOUSE } else { NO_MOUSE }.as_bytes());
        }
        self.mouse = ours;
    }

    /// Draws everything anew next time.
    pub fn forget(&mut self) {
        self.screen.forget();
    }

    /// Whether it has taken everything.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Shows a picture, as soon as it takes it.
    pub fn show(&mut self, picture: Buffer) {
        self.pending.extend_from_slice(self.screen.show(picture).as_bytes());
    }

    /// Waits for what comes next. May be dropped at any moment; what was taken has to be told by [`Terminal::wrote`].
    pub async fn turn(&self) -> Turn {
        tokio::select! {
            read = self.read() => read,
            wrote = self.write(), if !self.is_idle() => wrote,
        }
    }

    async fn read(&self) -> Turn {
        let mut block = vec![0; BLOCK];
        let read = self.terminal.async_io(Interest::READABLE, |terminal| {
            Ok(rustix::io::read(terminal, &mut block)?)
        });
        match read.await {
            Ok(length @ 1..) => {
                block.truncate(length);
                Turn::Read(block)
            }
            Ok(0) | Err(_) => Turn::Closed,
        }
    }

    async fn write(&self) -> Turn {
        let write = |terminal: &OwnedFd| Ok(rustix::io::write(terminal, &self.pending)?);
        match self.terminal.async_io(Interest::WRITABLE, write).await {
            Ok(length) => Turn::Wrote(length),
            Err(_) => Turn::Closed,
        }
    }

    /// So many bytes were taken.
    pub fn wrote(&mut self, length: usize) {
        self.pending.drain(..length.min(self.pending.len()));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A descriptor of its own for the terminal: one that does not block, which standard output, shared with the shell, must not become.
fn open() -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    // The terminal itself may belong to another user, as after `su`.
    rustix::fs::open("/proc/self/fd/1", flags, Mode::empty())
        .or_else(|_| rustix::fs::open("/dev/tty", flags, Mode::empty()))
}

fn system(call: &str, error: &io::Error) -> Error {
    Error::system(format!("{call} of the terminal: {error}"))
}

fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        before(panic);
    }));
}

fn give_back() {
    // A panic while this was locked is no reason to leave the terminal as it is.
    let Some(taken) = TAKEN.lock().unwrap_or_else(PoisonError::into_inner).take() else {
        return;
    };
    write_within(FAREWELL, taken.terminal.as_fd(), LEAVE.as_bytes());
    // What was typed and not read was meant for us, not for the shell. Nobody is left to be told of a failure.
    let _given = tcsetattr(&taken.terminal, OptionalActions::Flush, &taken.modes);
}

/// Writes, as far as the terminal takes it in that time.
fn write_within(limit: Duration, terminal: impl AsFd, mut bytes: &[u8]) {
    let end = Instant::now() + limit;
    while !bytes.is_empty() {
        match rustix::io::write(&terminal, bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let left = end.saturating_duration_since(Instant::now());
                let Ok(left) = left.try_into() else { return };
                let mut polled = [PollFd::new(&terminal, PollFlags::OUT)];
                if !matches!(poll(&mut polled, Some(&left)), Ok(1..)) {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::LocalModes;

    /// Our end of a pseudo terminal, and the terminal.
    fn pair() -> (OwnedFd, OwnedFd) {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
        grantpt(&keyboard).expect("grantpt");
        unlockpt(&keyboard).expect("unlockpt");
        let name = ptsname(&keyboard, Vec::new()).expect("ptsname");
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY;
        let terminal = rustix::fs::open(&*name, flags, Mode::empty()).expect("the terminal");
        (keyboard, terminal)
    }

    fn echoes(terminal: impl AsFd) -> bool {
        let modes = tcgetattr(terminal).expect("tcgetattr");
        modes.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    fn shown(keyboard: &OwnedFd) -> String {
        let mut block = vec![0; BLOCK];
        let length = rustix::io::read(keyboard, &mut block).expect("something was written");
        String::from_utf8_lossy(&block[..length]).into_owned()
    }

    #[tokio::test]
    async fn a_panic_gives_the_terminal_back_before_it_says_anything() {
        let (keyboard, terminal) = pair();
        assert!(echoes(&keyboard));
        let said_when_given_back = std::sync::Arc::new(Mutex::new(None));
        let (twin, said) = (
            keyboard.try_clone().expect("a descriptor"),
            said_when_given_back.clone(),
        );
        // What says what has happened, as the standard library's own would on standard error.
        std::panic::set_hook(Box::new(move |_| {
            *said.lock().expect("no panic here") = Some(echoes(&twin));
        }));
        let taken = Terminal::over(terminal).expect("a terminal can be taken");
        assert!(!echoes(&keyboard));
        let panicked = std::panic::catch_unwind(|| panic!("as a bug would"));
        assert!(panicked.is_err());
        assert_eq!(*said_when_given_back.lock().expect("no panic there"), Some(true));
        assert!(shown(&keyboard).contains(LEAVE));
        drop(taken);
        assert!(echoes(&keyboard), "leaving it once more changes nothing");
    }

    #[tokio::test]
    async fn what_is_typed_is_read_and_what_is_shown_is_written() {
        let (keyboard, terminal) = pair();
        let mut taken = Terminal::over(terminal).expect("a terminal can be taken");
        let Turn::Wrote(length) = taken.turn().await else {
            panic!("it takes what it is told to show")
        };
        taken.wrote(length);
        assert!(taken.is_idle());
        assert_eq!(shown(&keyboard), ENTER);
        rustix::io::write(&keyboard, b"\x03").expect("typed");
        assert_eq!(taken.turn().await, Turn::Read(vec![3]), "Ctrl-C is a key");
        taken.leave();
        assert!(echoes(&keyboard));
        taken.enter().expect("it can be taken again");
        assert!(!echoes(&keyboard));
        drop(keyboard);
        // What is still to be written fails, or what is to be read ends: either way it is gone.
        assert_eq!(taken.turn().await, Turn::Closed);
    }

    #[tokio::test]
    async fn a_terminal_that_takes_nothing_is_not_waited_for_long() {
        let (_keyboard, terminal) = pair();
        let mut taken = Terminal::over(terminal).expect("a terminal can be taken");
        taken.pending.extend_from_slice(&vec![b'x'; 4 << 20]);
        let begin = std::time::Instant::now();
        taken.leave();
        assert!(begin.elapsed() < 6 * FAREWELL, "{:?}", begin.elapsed());
    }
}
