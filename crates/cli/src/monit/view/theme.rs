//! What means what: by the terminal's own sixteen colours on its own background, which are legible on light ones and dark ones, or by
//! bold, dim and reversed alone.

use ostler_core::Status;
use ratatui_core::style::{Color, Modifier, Style};

/// A meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    /// Headers, names of keys.
    Title,
    /// Up.
    Good,
    /// Down, failed.
    Bad,
    /// To be looked at.
    Warning,
    /// On the way.
    Moving,
    /// About the data rather than data.
    Faint,
    /// Lines of charts.
    Chart,
    /// What the keys act on.
    Selected,
}

impl Tone {
    /// How it looks.
    pub fn style(self, colour: bool) -> Style {
        let plain = Style::new();
        match (self, colour) {
            (Self::Plain, _) | (Self::Good | Self::Moving | Self::Chart, false) => plain,
            (Self::Title, true) => plain.fg(Color::Cyan).add_modifier(Modifier::BOLD),
            (Self::Title | Self::Bad | Self::Warning, false) => plain.add_modifier(Modifier::BOLD),
            (Self::Good, true) => plain.fg(Color::Green),
            (Self::Bad, true) => plain.fg(Color::Red),
            (Self::Warning, true) => plain.fg(Color::Yellow),
            (Self::Moving, true) => plain.fg(Color::Blue),
            (Self::Faint, true) => plain.fg(Color::DarkGray),
            (Self::Faint, false) => plain.add_modifier(Modifier::DIM),
            (Self::Chart, true) => plain.fg(Color::Cyan),
            (Self::Selected, _) => plain.add_modifier(Modifier::REVERSED),
        }
    }
}

/// What a status means.
pub fn of_status(status: Status) -> Tone {
    match status {
        Status::Online => Tone::Good,
        Status::Launching | Status::Stopping => Tone::Moving,
        Status::WaitingRestart => Tone::Warning,
        Status::Stopped => Tone::Faint,
        Status::Errored => Tone::Bad,
    }
}
