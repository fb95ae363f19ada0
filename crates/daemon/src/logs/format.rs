//! Bytes in, bytes out: what a chunk of a stream looks like in its files. Pure and deterministic, so that a successor
//! that repeats a chunk gets the same output.
//!
//! Called by the transfer with the input (held bytes, then the chunk), segment by segment: a segment's output is small
//! whatever the input. Cutting the input into other chunks or segments never changes what all outputs joined say.

use super::journal::CARRY_MAX;
use super::pattern::Pattern;
use super::target::StreamKind;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use memchr::memchr;
use std::ops::Range;

/// A segment ends once its output has this size; one line (or piece of a line) may exceed it. Small in this crate's own
/// tests, so that the deaths played there fall between the segments of a chunk, too.
const SEGMENT: usize = if cfg!(test) { 16 } else { 64 << 10 };
/// A line longer than this becomes several JSON objects.
const PIECE_MAX: usize = CARRY_MAX;

/// The form of a stream in its files.
#[derive(Debug)]
pub(super) enum Form {
    /// As written.
    Raw,
    /// Something before each line.
    Prefixed(Prefix),
    /// One JSON object a line.
    Json(Box<JsonForm>),
}

/// What JSON objects say besides the line.
#[derive(Debug)]
pub(super) struct JsonForm {
    pub dates: Dates,
    pub kind: StreamKind,
    pub process: u32,
    /// The app's name as a JSON string.
    pub name: String,
}

/// What stands before each line.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    pub before: Vec<u8>,
    /// When the line was begun.
    pub dates: Option<Dates>,
    pub after: Vec<u8>,
}

/// A date in the form asked for, made at most once a millisecond.
#[derive(Debug)]
pub(super) struct Dates {
    pattern: Option<Pattern>,
    at: Option<i64>,
    text: String,
}

/// How a segment is to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    /// When the chunk was read, ms since the epoch.
    pub at: i64,
    /// When the first byte of the input was read, if it was held back.
    pub first_at: Option<i64>,
    /// Hold unfinished lines back.
    pub hold: bool,
    /// The stream ends.
    pub last: bool,
}

/// What became of a part of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The output is this part of the input as it is; otherwise it was put into the buffer.
    pub verbatim: Option<Range<usize>>,
    /// Up to where the input is dealt with.
    pub end: usize,
    /// Where the bytes begin that are to be held back; all up to `end`. Equal to `end` if none.
    pub held_from: usize,
    /// The output ends within a line.
    pub mid: bool,
}

impl Form {
    /// Makes the next segment of `input` from `start` on; `mid` says whether it continues a line. The output goes to
    /// `out`, unless it is verbatim.
    pub fn segment(&mut self, input: &[u8], start: usize, mid: bool, how: Circumstances, out: &mut Vec<u8>) -> Segment {
        out.clear();
        match self {
            Self::Raw => raw(input, start, mid, how, out),
            Self::Prefixed(prefix) => prefix.segment(input, start, mid, how, out),
            Self::Json(json) => json.segment(input, start, mid, how, out),
        }
    }

    /// Whether output is what was written, byte by byte.
    pub fn is_verbatim(&self) -> bool {
        matches!(self, Self::Raw)
    }

    /// Unfinished lines are always held back, since they have no form yet.
    pub fn needs_whole_lines(&self) -> bool {
        match self {
            Self::Raw | Self::Prefixed(_) => false,
            Self::Json(_) => true,
        }
    }
}

/// Where the unfinished line at the end of `input[start..]` begins that is to be held back; the end if there is none, if
/// it must not be held, or if it has grown too long to be.
fn held_from(input: &[u8], start: usize, how: Circumstances) -> usize {
    if !how.hold || how.last {
        return input.len();
    }
    let line = memchr::memrchr(b'\n', &input[start..]).map_or(start, |end| start + end + 1);
    if input.len() - line > CARRY_MAX {
        input.len()
    } else {
        line
    }
}

/// The output is the input. Only where several streams share a file, a last line without an end gets one.
fn raw(input: &[u8], start: usize, mid: bool, how: Circumstances, out: &mut Vec<u8>) -> Segment {
    let body = held_from(input, start, how);
    let ends_within = input[start..body].last().map_or(mid, |byte| *byte != b'\n');
    if how.last && how.hold && ends_within {
        out.extend_from_slice(&input[start..body]);
        out.push(b'\n');
        return Segment {
            verbatim: None,
            end: input.len(),
            held_from: input.len(),
            mid: false,
        };
    }
    Segment {
        verbatim: Some(start..body),
        end: input.len(),
        held_from: body,
        mid: ends_within,
    }
}

impl Dates {
    /// Dates in the form of `pattern`; as ISO 8601 in UTC (JavaScript's `toISOString`) when absent.
    pub fn new(pattern: Option<&str>) -> Self {
        Self {
            pattern: pattern.map(Pattern::new),
            at: None,
            text: String::new(),
        }
    }

    /// The moment in text.
    fn text(&mut self, at: i64) -> &str {
        if self.at != Some(at) {
            self.at = Some(at);
            self.text.clear();
            let moment = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
            match &self.pattern {
                Some(pattern) => pattern.format(&moment.to_zoned(TimeZone::system()), &mut self.text),
                None => self.text = format!("{moment:.3}"),
            }
        }
        &self.text
    }
}

impl Prefix {
    /// `<date>: `.
    pub fn date(dates: Dates) -> Self {
        Self {
            dates: Some(dates),
            after: b": ".to_vec(),
            ..Self::default()
        }
    }

    /// Each line with all of it before it.
    fn segment(&mut self, input: &[u8], start: usize, mut mid: bool, how: Circumstances, out: &mut Vec<u8>) -> Segment {
        let body = held_from(input, start, how);
        let mut at = start;
        while at < body && out.len() < SEGMENT {
            if !mid {
                out.extend_from_slice(&self.before);
                if let Some(dates) = &mut self.dates {
                    out.extend_from_slice(dates.text(how.moment(at)).as_bytes());
                }
                out.extend_from_slice(&self.after);
            }
            let end = memchr(b'\n', &input[at..body]).map_or(body, |end| at + end + 1);
            out.extend_from_slice(&input[at..end]);
            mid = input[end - 1] != b'\n';
            at = end;
        }
        if at < body {
            return Segment {
                verbatim: None,
                end: at,
                held_from: at,
                mid,
            };
        }
        if how.last && mid {
            out.push(b'\n');
            mid = false;
        }
        Segment {
            verbatim: None,
            end: input.len(),
            held_from: body,
            mid,
        }
    }
}

impl Circumstances {
    /// When the line beginning at this place of the input was begun.
    fn moment(self, place: usize) -> i64 {
        if place == 0 {
            self.first_at.unwrap_or(self.at)
        } else {
            self.at
        }
    }
}

impl JsonForm {
    /// Each line as an object; `mid` says that a piece of the line is out already.
    fn segment(&mut self, input: &[u8], start: usize, mut mid: bool, how: Circumstances, out: &mut Vec<u8>) -> Segment {
        let mut at = start;
        while at < input.len() {
            if out.len() >= SEGMENT {
                return Segment {
                    verbatim: None,
                    end: at,
                    held_from: at,
                    mid,
                };
            }
            let line = memchr(b'\n', &input[at..]).map(|end| end + 1);
            let length = line.unwrap_or(input.len() - at);
            let whole = line.is_some() || how.last;
            if length <= PIECE_MAX && !whole {
                return Segment {
                    verbatim: None,
                    end: input.len(),
                    held_from: at,
                    mid,
                };
            }
            let piece = if length <= PIECE_MAX {
                length
            } else {
                character_boundary(&input[at..], PIECE_MAX)
            };
            mid = piece < length;
            self.object(&input[at..at + piece], how.moment(at), mid, out);
            at += piece;
        }
        Segment {
            verbatim: None,
            end: at,
            held_from: at,
            mid,
        }
    }

    /// One object, with PM2's keys in PM2's order, and `partial` where more of the line follows.
    fn object(&mut self, message: &[u8], at: i64, partial: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"message\":");
        write_json_string(message, out);
        out.extend_from_slice(b",\"timestamp\":");
        write_json_string(self.dates.text(at).as_bytes(), out);
        let kind = match self.kind {
            StreamKind::Out => "out",
            StreamKind::Error => "err",
        };
        let rest = format!(
            ",\"type\":\"{kind}\",\"process_id\":{},\"app_name\":{}",
            self.process, self.name
        );
        out.extend_from_slice(rest.as_bytes());
        out.extend_from_slice(if partial { b",\"partial\":true}\n" } else { b"}\n" });
    }
}

/// The longest length up to `limit` that does not cut a UTF-8 sequence in two.
fn character_boundary(bytes: &[u8], limit: usize) -> usize {
    let continues = |at: usize| bytes[at] & 0xC0 == 0x80;
    (limit - 3..=limit).rev().find(|at| !continues(*at)).unwrap_or(limit)
}

/// Writes bytes as a JSON string; what is not UTF-8 becomes U+FFFD.
fn write_json_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        escape(chunk.valid().as_bytes(), out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
    out.push(b'"');
}

/// Copies valid UTF-8 with JSON's escapes.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut plain = 0;
    for (at, byte) in text.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&text[plain..]);
}
