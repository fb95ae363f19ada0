//! What a terminal sends becomes keys. Pure; fed by the loop with what was read, in pieces of any size.
//!
//! Sequences are those of ECMA-48 as xterm, the Linux console, tmux and their like send them; those that mean nothing here
//! are dropped as a whole, so that no part of one is taken for a command.

/// As much of a paste is kept at most, bytes; more than fits into any field here.
const LONGEST_PASTE: usize = 4096;

/// No sequence but a paste is longer.
const LONGEST_SEQUENCE: usize = 64;

/// What was pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A printable character.
    Char(char),
    /// A letter with Ctrl, in lower case.
    Ctrl(char),
    Enter,
    Escape,
    Backspace,
    Tab,
    BackTab,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    /// Text that was pasted: never a command.
    Paste(String),
    /// The mouse's wheel.
    Wheel {
        /// Away from the top.
        down: bool,
    },
    /// The mouse's first button, at a cell counted from 0.
    Click {
        column: u16,
        row: u16,
    },
}

/// Bytes on their way to become keys.
#[derive(Default)]
pub struct Keys {
    pending: Vec<u8>,
}

/// What stands at the beginning of some bytes.
enum Found {
    Key(Key, usize),
    /// So many bytes that mean nothing.
    Nothing(usize),
    /// More has to come.
    Unfinished,
}

impl Keys {
    /// Takes what was read.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.pending.extend_from_slice(bytes);
        let mut keys = Vec::new();
        let mut rest = self.pending.as_slice();
        while !rest.is_empty() {
            let length = match first(rest) {
                Found::Key(key, length) => {
                    keys.push(key);
                    length
                }
                Found::Nothing(length) => length,
                Found::Unfinished => break,
            };
            rest = &rest[length..];
        }
        self.pending = rest.to_vec();
        keys
    }

    /// Whether a sequence has begun that is not complete.
    pub fn waits(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Nothing more has come for a while: an escape character alone is the key, any other beginning is dropped.
    pub fn finish(&mut self) -> Option<Key> {
        let pending = std::mem::take(&mut self.pending);
        (pending == [0x1b]).then_some(Key::Escape)
    }
}

fn first(bytes: &[u8]) -> Found {
    match bytes[0] {
        0x1b => escape(bytes),
        b'\r' | b'\n' => Found::Key(Key::Enter, 1),
        0x7f | 0x08 => Found::Key(Key::Backspace, 1),
        b'\t' => Found::Key(Key::Tab, 1),
        0 => Found::Nothing(1),
        control @ 1..=26 => Found::Key(Key::Ctrl(char::from(control - 1 + b'a')), 1),
        28..=31 => Found::Nothing(1),
        _ => character(bytes),
    }
}

/// A character of UTF-8.
fn character(bytes: &[u8]) -> Found {
    let length = match bytes[0] {
        0..0x80 => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Found::Nothing(1),
    };
    let Some(part) = bytes.get(..length) else {
        return Found::Unfinished;
    };
    let decoded = std::str::from_utf8(part).ok().and_then(|text| text.chars().next());
    match decoded {
        Some(decoded) if !decoded.is_control() => Found::Key(Key::Char(decoded), length),
        Some(_) => Found::Nothing(length),
        None => Found::Nothing(1),
    }
}

fn escape(bytes: &[u8]) -> Found {
    match bytes.get(1) {
        None => Found::Unfinished,
        Some(b'[') => control_sequence(bytes),
        Some(b'O') => match bytes.get(2) {
            None => Found::Unfinished,
            Some(last) => arrow(*last).map_or(Found::Nothing(3), |key| Found::Key(key, 3)),
        },
        Some(0x1b) => Found::Key(Key::Escape, 1),
        // A key with Alt.
        Some(_) => match first(&bytes[1..]) {
            Found::Key(_, length) | Found::Nothing(length) => Found::Nothing(1 + length),
            Found::Unfinished => Found::Unfinished,
        },
    }
}

/// `ESC [`, parameters, intermediates, and a last byte (ECMA-48, 5.4).
fn control_sequence(bytes: &[u8]) -> Found {
    let body = &bytes[2..];
    let Some(end) = body.iter().position(|byte| !(0x20..=0x3f).contains(byte)) else {
        return match body.len() > LONGEST_SEQUENCE {
            true => Found::Nothing(bytes.len()),
            false => Found::Unfinished,
        };
    };
    let (parameters, last, length) = (&body[..end], body[end], 2 + end + 1);
    if !(0x40..=0x7e).contains(&last) {
        // It was broken off.
        return Found::Nothing(2 + end);
    }
    if (parameters, last) == (b"200", b'~') {
        return paste(bytes, length);
    }
    let key = match (parameters.first(), last) {
        (Some(b'<'), b'M') => mouse(&parameters[1..]),
        (_, b'~') => numbered(parameters),
        (_, b'Z') => Some(Key::BackTab),
        (_, last) => arrow(last),
    };
    key.map_or(Found::Nothing(length), |key| Found::Key(key, length))
}

fn arrow(last: u8) -> Option<Key> {
    Some(match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'M' => Key::Enter,
        _ => return None,
    })
}

fn numbered(parameters: &[u8]) -> Option<Key> {
    let number = parameters.split(|byte| *byte == b';').next()?;
    Some(match number {
        b"1" | b"7" => Key::Home,
        b"4" | b"8" => Key::End,
        b"5" => Key::PageUp,
        b"6" => Key::PageDown,
        _ => return None,
    })
}

/// Button, column and row, counted from 1 (xterm's mode 1006).
fn mouse(parameters: &[u8]) -> Option<Key> {
    let text = std::str::from_utf8(parameters).ok()?;
    let mut numbers = text.split(';').map(str::parse::<u16>);
    let (button, column, row) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(match button {
        0 => Key::Click {
            column: column.saturating_sub(1),
            row: row.saturating_sub(1),
        },
        64 => Key::Wheel { down: false },
        65 => Key::Wheel { down: true },
        _ => return None,
    })
}

/// What stands between the marks of a paste (xterm's mode 2004).
fn paste(bytes: &[u8], begin: usize) -> Found {
    const END: &[u8] = b"\x1b[201~";
    let body = &bytes[begin..];
    let Some(end) = body.windows(END.len()).position(|part| part == END) else {
        return Found::Unfinished;
    };
    let text = String::from_utf8_lossy(&body[..end.min(LONGEST_PASTE)]);
    let text = text.chars().filter(|character| !character.is_control()).collect();
    Found::Key(Key::Paste(text), begin + end + END.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        Keys::default().feed(bytes)
    }

    #[test]
    fn keys_of_several_terminals_are_known() {
        let table: [(&[u8], Key); 17] = [
            (b"q", Key::Char('q')),
            ("é".as_bytes(), Key::Char('é')),
            ("表".as_bytes(), Key::Char('表')),
            (b"\x03", Key::Ctrl('c')),
            (b"\r", Key::Enter),
            (b"\x7f", Key::Backspace),
            (b"\t", Key::Tab),
            (b"\x1b[Z", Key::BackTab),
            (b"\x1b[A", Key::Up),
            (b"\x1bOB", Key::Down),
            (b"\x1b[1;5C", Key::Right),
            (b"\x1b[5~", Key::PageUp),
            (b"\x1b[1~", Key::Home),
            (b"\x1bOF", Key::End),
            (b"\x1b[<0;5;3M", Key::Click { column: 4, row: 2 }),
            (b"\x1b[<65;5;3M", Key::Wheel { down: true }),
            (b"\x1b[200~s\ny\x1b[201~", Key::Paste("sy".into())),
        ];
        for (bytes, key) in table {
            assert_eq!(keys(bytes), [key], "{bytes:?}");
        }
    }

    #[test]
    fn what_means_nothing_is_dropped_as_a_whole() {
        for bytes in [
            &b"\x1b[3~"[..],
            b"\x1bs",
            b"\x1b[24~",
            b"\x1b[<0;5;3m",
            b"\x1b[I",
            b"\x1bOP",
            b"\xff",
            b"\0",
        ] {
            assert_eq!(keys(bytes), [], "{bytes:?}");
        }
        assert_eq!(keys(b"\x1b[3~q"), [Key::Char('q')]);
    }

    #[test]
    fn a_sequence_in_pieces_is_one_key() {
        for cut in 1..5 {
            let sequence = b"\x1b[1;5A";
            let mut decoder = Keys::default();
            assert_eq!(decoder.feed(&sequence[..cut]), []);
            assert!(decoder.waits());
            assert_eq!(decoder.feed(&sequence[cut..]), [Key::Up]);
            assert!(!decoder.waits());
        }
    }

    #[test]
    fn escape_is_a_key_when_nothing_follows() {
        let mut decoder = Keys::default();
        assert_eq!(decoder.feed(b"\x1b"), []);
        assert_eq!(decoder.finish(), Some(Key::Escape));
        assert_eq!(decoder.feed(b"\x1b["), []);
        assert_eq!(decoder.finish(), None);
        assert_eq!(decoder.feed(b"\x1b\x1b[A"), [Key::Escape, Key::Up]);
    }
}
