//! What is said of how it goes: that it goes wrong once, however long it does, and once that it goes well again.

use super::answer::Trouble;
use crate::printer::Printer;
use std::rc::Rc;

/// Of one side of the work: the collector, or the daemon.
pub struct News {
    printer: Rc<Printer>,
    /// Who it is about.
    about: String,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    /// Nothing has been tried yet.
    Unknown,
    /// It goes well.
    Well,
    /// It does not, and that has been said.
    Trouble {
        /// What it is of.
        kind: String,
    },
}

impl News {
    /// Of whom nothing is known.
    pub fn new(printer: Rc<Printer>, about: impl Into<String>) -> Self {
        Self {
            printer,
            about: about.into(),
            state: State::Unknown,
        }
    }

    /// It goes well. `at_first` is said when that is known for the first time, `again` after it did not.
    pub fn well(&mut self, at_first: Option<&str>, again: &str) {
        let said = match &self.state {
            State::Unknown => at_first,
            State::Well => None,
            State::Trouble { .. } => Some(again),
        };
        if let Some(said) = said {
            self.printer.say(&format!("{} {said}", self.about));
        }
        self.state = State::Well;
    }

    /// It goes wrong; `then` is what becomes of it.
    pub fn trouble(&mut self, trouble: &Trouble, then: &str) {
        let state = State::Trouble {
            kind: trouble.kind.clone(),
        };
        if self.state == state {
            return;
        }
        self.state = state;
        self.printer.warn(&format!("{} {}; {then}", self.about, trouble.cause));
        if let Some(hint) = trouble.hint {
            self.printer.hint(hint);
        }
    }

    /// It may go well yet, at the next try. Who has never seen it go well is told at once.
    pub fn stumble(&mut self, trouble: &Trouble, then: &str) {
        if self.state == State::Unknown {
            self.trouble(trouble, then);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::captured;

    fn trouble(kind: &str) -> Trouble {
        Trouble {
            kind: kind.to_owned(),
            cause: format!("is {kind}"),
            hint: None,
        }
    }

    #[test]
    fn each_change_is_said_once() {
        let (printer, printed) = captured::printer(false, false);
        let mut news = News::new(Rc::new(printer), "it");
        for _ in 0..3 {
            news.trouble(&trouble("away"), "trying on");
        }
        for _ in 0..3 {
            news.trouble(&trouble("full"), "trying on");
        }
        for _ in 0..3 {
            news.well(Some("is there"), "is back");
        }
        news.trouble(&trouble("away"), "trying on");
        let expected = "warning: it is away; trying on\nwarning: it is full; trying on\nit is back\nwarning: it is away; trying on\n";
        assert_eq!(printed.error(), expected);
    }

    #[test]
    fn who_has_stumbled_is_told_of_only_if_he_never_stood() {
        let (printer, printed) = captured::printer(false, false);
        let mut news = News::new(Rc::new(printer), "it");
        news.well(Some("is there"), "is back");
        news.stumble(&trouble("slow"), "trying on");
        news.well(Some("is there"), "is back");
        assert_eq!(printed.error(), "it is there\n");
    }
}
