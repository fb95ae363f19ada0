//! Everything that is printed goes through here. Standard output is data, standard error is messages; colour is a
//! matter of each stream. Used by every command, from one thread.

use anstyle::{AnsiColor, Style};
use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::os::fd::BorrowedFd;

/// Bold cyan, of table headers and ids.
pub const HEADER: Style = AnsiColor::Cyan.on_default().bold();
/// Green: up, standard output.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Red: down, standard error.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Yellow: warnings.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// Blue: on the way, ourselves.
pub const NEUTRAL: Style = AnsiColor::Blue.on_default();
/// Grey: what is about the data rather than data.
pub const FAINT: Style = AnsiColor::BrightBlack.on_default();

/// One output stream.
struct Stream {
    sink: RefCell<Box<dyn Write>>,
    /// What is written when it is complete.
    held: RefCell<Option<Vec<u8>>>,
    colour: bool,
}

/// The two output streams and what may be written to them.
pub struct Printer {
    out: Stream,
    error: Stream,
    silent: bool,
    /// Messages are objects of JSON, one a line.
    objects: bool,
    width: Option<usize>,
    error_width: Option<usize>,
}

/// Whether colour is wanted, as far as flags and variables say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// On terminals.
    Auto,
    /// Everywhere (`FORCE_COLOR`).
    Always,
    /// Nowhere (`--no-color`, `NO_COLOR`).
    Never,
}

impl Colour {
    /// What the environment asks for; `variable` looks one up. `NO_COLOR` as in no-color.org, `FORCE_COLOR` as in
    /// force-color.org with Node's `0` for off.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        match (set("NO_COLOR"), set("FORCE_COLOR"), set("TERM")) {
            (Some(_), _, _) => Self::Never,
            (None, Some(force), _) if force == "0" || force == "false" => Self::Never,
            (None, Some(_), _) => Self::Always,
            (None, None, Some(term)) if term == "dumb" => Self::Never,
            (None, None, _) => Self::Auto,
        }
    }

    fn on(self, terminal: bool) -> bool {
        match self {
            Self::Auto => terminal,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

impl Printer {
    /// Writes to the process's own streams.
    pub fn to_process(silent: bool, colour: Colour) -> Self {
        let (out, error) = (io::stdout(), io::stderr());
        let width = width_of(rustix::stdio::stdout());
        let error_width = width_of(rustix::stdio::stderr());
        Self {
            out: Stream {
                colour: colour.on(out.is_terminal()),
                sink: RefCell::new(Box::new(out)),
                held: RefCell::default(),
            },
            error: Stream {
                colour: colour.on(error.is_terminal()),
                sink: RefCell::new(Box::new(error)),
                held: RefCell::default(),
            },
            silent,
            objects: false,
            width,
            error_width,
        }
    }

    /// The same, with each message as an object of JSON: for what is read by programs altogether.
    pub fn with_objects(self) -> Self {
        Self { objects: true, ..self }
    }

    /// The terminal's width in columns, when standard output is one.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// The width in columns of standard error, when it is a terminal.
    pub fn error_width(&self) -> Option<usize> {
        self.error_width
    }

    /// Whether what is drawn on standard error can be drawn over.
    pub fn draws(&self) -> bool {
        self.error_width.is_some()
    }

    /// Draws on the terminal of standard error, where [`Printer::draws`]. Hidden by `--silent`.
    pub fn draw(&self, text: &str) {
        if !self.silent {
            // Nobody is left to look at it when it is gone.
            let _ = self.error.write(text.as_bytes());
        }
    }

    /// Whether messages are hidden.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// Whether standard output may be coloured.
    pub fn colours_out(&self) -> bool {
        self.out.colour
    }

    /// Writes the answer itself to standard output, byte for byte. Never silenced.
    pub fn data(&self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.out.write(bytes.as_ref())
    }

    /// Writes data that belongs on standard error (an app's standard error in raw logs). Never silenced.
    pub fn error_data(&self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.error.write(bytes.as_ref())
    }

    /// Writes what accompanies an action to standard output (the list after `start`). Hidden by `--silent`.
    pub fn display(&self, text: &str) -> io::Result<()> {
        if self.silent {
            Ok(())
        } else {
            self.out.write(text.as_bytes())
        }
    }

    /// What `messages` says is written as one piece: a hundred apps are a hundred lines, and who reads them is woken for each write.
    pub fn at_once(&self, messages: impl FnOnce()) {
        *self.error.held.borrow_mut() = Some(Vec::new());
        messages();
        let held = self.error.held.take().unwrap_or_default();
        // Nobody is left to be told when standard error is gone.
        let _ = self.error.write(&held);
    }

    /// Says what happened.
    pub fn say(&self, message: &str) {
        self.message(None, message);
    }

    /// Warns.
    pub fn warn(&self, message: &str) {
        self.message(Some((WARNING, "warning")), message);
    }

    /// Reports a failure.
    pub fn error(&self, message: &str) {
        self.message(Some((BAD, "error")), message);
    }

    /// Says what to do next.
    pub fn hint(&self, message: &str) {
        self.message(Some((HEADER, "hint")), message);
    }

    /// Text for standard output in a style, or plain where there is no colour.
    pub fn paint(&self, style: Style, text: &str) -> String {
        paint(self.out.colour, style, text)
    }

    fn message(&self, label: Option<(Style, &str)>, message: &str) {
        if self.silent {
            return;
        }
        let text = match label {
            _ if self.objects => object(label.map(|(_, label)| label), message),
            Some((style, label)) => format!("{} {message}\n", paint(self.error.colour, style, &format!("{label}:"))),
            None => format!("{message}\n"),
        };
        // Nobody is left to be told when standard error is gone.
        let _ = self.error.write(text.as_bytes());
    }
}

/// A message as `ostler runtime --json` has the daemon's, too.
fn object(level: Option<&str>, message: &str) -> String {
    let at = format!("{:.3}", jiff::Timestamp::now());
    let mut object = serde_json::json!({ "message": message, "timestamp": at, "type": "ostler" });
    if let Some(level) = level {
        object["level"] = level.into();
    }
    format!("{object}\n")
}

impl Stream {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(held) = self.held.borrow_mut().as_mut() {
            held.extend_from_slice(bytes);
            return Ok(());
        }
        let mut sink = self.sink.borrow_mut();
        sink.write_all(bytes)?;
        sink.flush()
    }
}

/// `text` in `style`, or as it is.
pub fn paint(colour: bool, style: Style, text: &str) -> String {
    if colour {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

/// The columns of a terminal; none for anything else.
fn width_of(stream: BorrowedFd<'_>) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

pub mod captured {
    //! A printer that remembers: for tests, and for who shows messages in another place.

    use super::*;
    use std::rc::Rc;

    /// What was printed.
    #[derive(Clone, Default)]
    pub struct Captured {
        out: Rc<RefCell<Vec<u8>>>,
        error: Rc<RefCell<Vec<u8>>>,
    }

    struct Sink(Rc<RefCell<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Captured {
        /// Standard output so far.
        #[cfg(test)]
        pub fn out(&self) -> String {
            String::from_utf8_lossy(&self.out.borrow()).into_owned()
        }

        /// Standard error so far.
        pub fn error(&self) -> String {
            String::from_utf8_lossy(&self.error.borrow()).into_owned()
        }
    }

    /// A printer and what it prints.
    pub fn printer(silent: bool, colour: bool) -> (Printer, Captured) {
        let captured = Captured::default();
        let stream = |sink: &Rc<RefCell<Vec<u8>>>| Stream {
            sink: RefCell::new(Box::new(Sink(sink.clone()))),
            held: RefCell::default(),
            colour,
        };
        let printer = Printer {
            out: stream(&captured.out),
            error: stream(&captured.error),
            silent,
            objects: false,
            width: None,
            error_width: None,
        };
        (printer, captured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(variables: &[(&str, &str)]) -> Colour {
        Colour::from_environment(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_decide_about_colour_before_the_terminal_does() {
        assert_eq!(colour(&[]), Colour::Auto);
        assert_eq!(colour(&[("NO_COLOR", "1"), ("FORCE_COLOR", "1")]), Colour::Never);
        assert_eq!(colour(&[("NO_COLOR", ""), ("FORCE_COLOR", "1")]), Colour::Always);
        assert_eq!(colour(&[("FORCE_COLOR", "0")]), Colour::Never);
        assert_eq!(colour(&[("TERM", "dumb")]), Colour::Never);
    }

    #[test]
    fn silence_hides_messages_but_no_data() {
        let (printer, captured) = captured::printer(true, false);
        printer.say("started");
        printer.error("failed");
        printer.display("table").expect("a buffer takes everything");
        printer.data("[]").expect("a buffer takes everything");
        assert_eq!((captured.out().as_str(), captured.error().as_str()), ("[]", ""));
    }

    #[test]
    fn messages_go_to_standard_error_with_their_label() {
        let (printer, captured) = captured::printer(false, false);
        printer.say("started api");
        printer.warn("slow");
        printer.error("broken");
        printer.hint("try again");
        assert_eq!(
            captured.error(),
            "started api\nwarning: slow\nerror: broken\nhint: try again\n"
        );
        assert_eq!(captured.out(), "");
    }

    #[test]
    fn colour_is_put_around_the_label_only() {
        let (printer, captured) = captured::printer(false, true);
        printer.error("x");
        assert_eq!(captured.error(), "\u{1b}[31merror:\u{1b}[0m x\n");
    }
}
