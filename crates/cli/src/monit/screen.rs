//! From one picture to the next: what a terminal has to be sent. Pure.
//!
//! ECMA-48, and of xterm's private modes 25 (cursor), 1049 (second screen), 1000 and 1006 (mouse), 2004 (pastes are told from keys), and
//! 2026 (a picture is shown when it is complete); a terminal that does not know one ignores it.

use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier};
use std::fmt::Write as _;

/// To a screen of our own.
pub const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[0m\x1b[2J";

/// Back to what was there. First a byte that ends whatever sequence was cut off.
pub const LEAVE: &str = "\x18\x1b[?2026l\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l";

/// The mouse's buttons and wheel come to us.
pub const MOUSE: &str = "\x1b[?1000h\x1b[?1006h";

/// They do not.
pub const NO_MOUSE: &str = "\x1b[?1006l\x1b[?1000l";

/// What the terminal shows.
#[derive(Default)]
pub struct Screen {
    shown: Option<Buffer>,
}

impl Screen {
    /// Nothing is known of what it shows.
    pub fn forget(&mut self) {
        self.shown = None;
    }

    /// What makes the terminal show this; empty when it does already.
    pub fn show(&mut self, next: Buffer) -> String {
        let known = self.shown.take().filter(|shown| shown.area == next.area);
        let mut sent = Sent::default();
        let cleared = known.is_none();
        let before = known.unwrap_or_else(|| Buffer::empty(Rect::new(0, 0, next.area.width, next.area.height)));
        for (column, line, cell) in before.diff(&next) {
            sent.cell(column, line, cell);
        }
        self.shown = Some(next);
        match (cleared, sent.text.is_empty()) {
            (false, true) => String::new(),
            (false, false) => format!("\x1b[?2026h{}\x1b[0m\x1b[?2026l", sent.text),
            (true, _) => format!("\x1b[?2026h\x1b[0m\x1b[2J{}\x1b[0m\x1b[?2026l", sent.text),
        }
    }
}

/// Cells on their way.
#[derive(Default)]
struct Sent {
    text: String,
    /// Where the cursor is, if that is certain.
    cursor: Option<(u16, u16)>,
    look: Option<(Color, Color, Modifier)>,
}

impl Sent {
    fn cell(&mut self, column: u16, line: u16, cell: &Cell) {
        if self.cursor != Some((column, line)) {
            self.push(format_args!("\x1b[{};{}H", line + 1, column + 1));
        }
        let look = (cell.fg, cell.bg, cell.modifier);
        if self.look != Some(look) {
            self.look = Some(look);
            self.style(look);
        }
        self.text.push_str(cell.symbol());
        // How wide the terminal draws anything else is its own opinion.
        let narrow = cell.symbol().len() == 1;
        self.cursor = narrow.then_some((column + 1, line));
    }

    fn style(&mut self, (foreground, background, modifier): (Color, Color, Modifier)) {
        const CODES: [(Modifier, u8); 6] = [
            (Modifier::BOLD, 1),
            (Modifier::DIM, 2),
            (Modifier::ITALIC, 3),
            (Modifier::UNDERLINED, 4),
            (Modifier::REVERSED, 7),
            (Modifier::CROSSED_OUT, 9),
        ];
        self.text.push_str("\x1b[0");
        for (flag, code) in CODES {
            if modifier.contains(flag) {
                self.push(format_args!(";{code}"));
            }
        }
        self.color(foreground, 30);
        self.color(background, 40);
        self.text.push('m');
    }

    /// `base` is 30 for the foreground, 40 for the background.
    fn color(&mut self, color: Color, base: u8) {
        let (normal, bright) = (base, base + 60);
        let code = match color {
            Color::Reset => return,
            Color::Indexed(index) => return self.push(format_args!(";{};5;{index}", base + 8)),
            Color::Rgb(red, green, blue) => return self.push(format_args!(";{};2;{red};{green};{blue}", base + 8)),
            Color::Black => normal,
            Color::Red => normal + 1,
            Color::Green => normal + 2,
            Color::Yellow => normal + 3,
            Color::Blue => normal + 4,
            Color::Magenta => normal + 5,
            Color::Cyan => normal + 6,
            Color::Gray => normal + 7,
            Color::DarkGray => bright,
            Color::LightRed => bright + 1,
            Color::LightGreen => bright + 2,
            Color::LightYellow => bright + 3,
            Color::LightBlue => bright + 4,
            Color::LightMagenta => bright + 5,
            Color::LightCyan => bright + 6,
            Color::White => bright + 7,
        };
        self.push(format_args!(";{code}"));
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _infallible = self.text.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui_core::style::Style;

    fn picture(lines: &[&str]) -> Buffer {
        Buffer::with_lines(lines.iter().copied())
    }

    #[test]
    fn the_first_picture_is_drawn_on_a_cleared_screen_and_then_only_what_changes() {
        let mut screen = Screen::default();
        let first = screen.show(picture(&["ab ", "cd "]));
        assert_eq!(
            first,
            "\x1b[?2026h\x1b[0m\x1b[2J\x1b[1;1H\x1b[0mab\x1b[2;1Hcd\x1b[0m\x1b[?2026l"
        );
        assert_eq!(screen.show(picture(&["ab ", "cd "])), "", "nothing has changed");
        assert_eq!(
            screen.show(picture(&["ab ", "cx "])),
            "\x1b[?2026h\x1b[2;2H\x1b[0mx\x1b[0m\x1b[?2026l"
        );
        assert!(
            screen.show(picture(&["ab", "cx"])).contains("\x1b[2J"),
            "another size is another picture"
        );
        screen.forget();
        assert!(screen.show(picture(&["ab", "cx"])).contains("\x1b[2J"));
    }

    #[test]
    fn after_wide_characters_the_cursor_is_placed_anew() {
        let mut screen = Screen::default();
        let sent = screen.show(picture(&["表x"]));
        assert!(sent.contains("\x1b[1;1H\x1b[0m表\x1b[1;3Hx"), "{sent:?}");
    }

    #[test]
    fn styles_are_sent_when_they_change() {
        let mut next = picture(&["ab"]);
        let style = Style::new()
            .fg(Color::Red)
            .bg(Color::Indexed(200))
            .add_modifier(Modifier::BOLD | Modifier::REVERSED);
        next.set_style(next.area, style);
        let sent = Screen::default().show(next);
        assert!(sent.contains("\x1b[0;1;7;31;48;5;200mab\x1b[0m"), "{sent:?}");
        let mut next = picture(&["a"]);
        next.set_style(next.area, Style::new().fg(Color::DarkGray).bg(Color::Rgb(1, 2, 3)));
        assert!(Screen::default().show(next).contains("\x1b[0;90;48;2;1;2;3ma"));
    }
}
