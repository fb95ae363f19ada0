//! A program in a terminal of its own, and what it shows there.

use crate::invocation::Invocation;
use crate::process;
use crate::wait::{DEADLINE, wait_within};
use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::time::Duration;

/// A program in a terminal. Killed when dropped.
#[derive(Debug)]
pub struct PseudoTerminal {
    /// Our end: what is written to it was typed. Dropping it closes the terminal.
    keyboard: Option<OwnedFd>,
    child: Child,
    screen: RefCell<Screen>,
    before: String,
}

/// What the terminal shows: as much of ECMA-48 as is needed to read it.
#[derive(Debug, Default)]
struct Screen {
    lines: Vec<Vec<char>>,
    line: usize,
    column: usize,
    /// The program has a screen of its own.
    second: bool,
    cursor_hidden: bool,
    pending: Vec<u8>,
}

impl PseudoTerminal {
    /// Runs a command in a terminal of so many columns and lines, as the leader of a session of its own: `setsid --ctty`, followed by
    /// its words, is what it has to be.
    ///
    /// # Panics
    /// When there is no pseudo terminal to be had, or the program cannot be executed.
    pub fn run(command: Invocation, columns: u16, lines: u16) -> Self {
        let keyboard =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pseudo terminal");
        grantpt(&keyboard).expect("grantpt");
        unlockpt(&keyboard).expect("unlockpt");
        fcntl_setfl(&keyboard, OFlags::NONBLOCK).expect("fcntl");
        resize(&keyboard, columns, lines);
        let name = ptsname(&keyboard, Vec::new()).expect("ptsname");
        let terminal =
            open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).expect("the terminal");
        let before = modes(&tcgetattr(&keyboard).expect("tcgetattr"));
        let end = || Stdio::from(terminal.try_clone().expect("a descriptor"));
        let mut command = command.into_command();
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn();
        let screen = RefCell::new(Screen::default());
        screen.borrow_mut().resize(columns, lines);
        Self {
            keyboard: Some(keyboard),
            child: child.expect("the program can be executed"),
            screen,
            before,
        }
    }

    /// The program's process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("invariant: a process id fits")
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal takes nothing.
    pub fn types(&self, text: &str) {
        let written = rustix::io::write(self.keyboard(), text.as_bytes()).expect("the terminal takes what is typed");
        assert_eq!(written, text.len());
    }

    /// Gives it another size.
    pub fn resize(&self, columns: u16, lines: u16) {
        self.screen.borrow_mut().resize(columns, lines);
        resize(self.keyboard(), columns, lines);
    }

    /// What it shows now.
    pub fn text(&self) -> String {
        self.look();
        let screen = self.screen.borrow();
        let lines = screen.lines.iter().map(|line| line.iter().collect::<String>());
        lines.map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    /// Waits until what it shows fulfils a condition, and gives it.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let found = wait_within(DEADLINE, || Some(self.text()).filter(|text| condition(text)));
        found.unwrap_or_else(|limit| panic!("not within {limit:?}: {what}\n{}", self.text()))
    }

    /// Waits until it shows a text.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |shown| shown.contains(text))
    }

    /// Whether it is as it was before the program: modes, screen, cursor.
    pub fn is_as_before(&self) -> bool {
        self.look();
        let screen = self.screen.borrow();
        let now = modes(&tcgetattr(self.keyboard()).expect("tcgetattr"));
        !screen.second && !screen.cursor_hidden && now == self.before
    }

    /// Whether the program has a screen of its own and gets keys as they are pressed.
    pub fn is_taken(&self) -> bool {
        self.look();
        self.screen.borrow().second && modes(&tcgetattr(self.keyboard()).expect("tcgetattr")) != self.before
    }

    /// Closes it under the program.
    pub fn close(&mut self) {
        self.keyboard = None;
    }

    /// Waits for the program's end; gives its exit code, none when a signal ended it.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn wait_end(&mut self, limit: Duration) -> Option<i32> {
        process::wait_end(self.pid(), limit);
        let ended = self
            .child
            .try_wait()
            .expect("invariant: our own child can be waited for");
        let shown = if self.keyboard.is_some() {
            self.text()
        } else {
            String::new()
        };
        ended
            .unwrap_or_else(|| panic!("not ended within {limit:?}\n{shown}"))
            .code()
    }

    fn keyboard(&self) -> &OwnedFd {
        self.keyboard.as_ref().expect("the terminal is open")
    }

    /// Takes what the program has written since.
    fn look(&self) {
        let mut block = vec![0; 65536];
        while let Ok(length @ 1..) = rustix::io::read(self.keyboard(), &mut block) {
            self.screen.borrow_mut().feed(&block[..length]);
        }
    }
}

impl Drop for PseudoTerminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            process::kill(self.pid());
            drop(self.child.wait());
        }
    }
}

fn resize(keyboard: &OwnedFd, columns: u16, lines: u16) {
    let size = Winsize {
        ws_row: lines,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(keyboard, size).expect("TIOCSWINSZ");
}

/// What a program may change of a terminal.
fn modes(modes: &Termios) -> String {
    let Termios {
        input_modes,
        output_modes,
        control_modes,
        local_modes,
        special_codes,
        ..
    } = modes;
    format!("{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?} {special_codes:?}")
}

impl Screen {
    fn resize(&mut self, columns: u16, lines: u16) {
        self.lines.resize(lines.into(), Vec::new());
        for line in &mut self.lines {
            line.resize(columns.into(), ' ');
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let valid = match std::str::from_utf8(&pending) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let text = std::str::from_utf8(&pending[..valid]).expect("invariant: that much is valid");
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let Some(after) = self.take(next, &rest[next.len_utf8()..]) else {
                break;
            };
            rest = after;
        }
        let taken = valid - rest.len();
        self.pending = pending[taken..].to_vec();
    }

    /// Takes one character or one sequence and gives what follows; nothing when the sequence is not complete.
    fn take<'t>(&mut self, next: char, after: &'t str) -> Option<&'t str> {
        match next {
            '\x1b' => return self.sequence(after),
            '\n' => self.line = (self.line + 1).min(self.lines.len() - 1),
            '\r' => self.column = 0,
            next if next.is_control() => {}
            next => {
                let line = &mut self.lines[self.line];
                if let Some(cell) = line.get_mut(self.column) {
                    *cell = next;
                }
                self.column += 1;
            }
        }
        Some(after)
    }

    fn sequence<'t>(&mut self, after: &'t str) -> Option<&'t str> {
        let body = after
            .strip_prefix('[')
            .or_else(|| (!after.is_empty()).then(|| panic!("another sequence: {after:?}")))?;
        let end = body.find(|character: char| ('@'..='~').contains(&character))?;
        let (parameters, kind) = (&body[..end], body.as_bytes()[end]);
        match (parameters, kind) {
            (place, b'H') => {
                let mut numbers = place.split(';').map(|number| number.parse::<usize>().unwrap_or(1) - 1);
                self.line = numbers.next().unwrap_or(0).min(self.lines.len() - 1);
                self.column = numbers.next().unwrap_or(0);
            }
            ("2", b'J') => self.lines.iter_mut().for_each(|line| line.fill(' ')),
            ("?1049", b'h' | b'l') => self.second = kind == b'h',
            ("?25", b'h' | b'l') => self.cursor_hidden = kind == b'l',
            (_, b'm' | b'h' | b'l') => {}
            (parameters, kind) => panic!("an unexpected sequence: {parameters:?} {:?}", char::from(kind)),
        }
        Some(&body[end + 1..])
    }
}
