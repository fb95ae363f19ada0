//! Passing over a value without looking at it: no recursion, so nothing in it can be too deep.

use super::bytes::{Bytes, HostObject};
use super::{Unreadable, tag};

impl Bytes<'_> {
    /// Passes over the next value. `met` is told where each object begins, in order, since references count them.
    pub(super) fn skip(&mut self, mut met: impl FnMut(usize)) -> Result<(), Unreadable> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            let wants_value = match open.last() {
                Some(&tag::ERROR_END) => self.error_part(&mut open)?,
                Some(&end) => !self.ends(end, &mut open)?,
                None => true,
            };
            while wants_value && self.skip_one(&mut open, &mut met)? {}
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes the end of the innermost object, if that is what comes next.
    fn ends(&mut self, end: u8, open: &mut Vec<u8>) -> Result<bool, Unreadable> {
        if self.peek_tag()? != end {
            return Ok(false);
        }
        self.end(end)?;
        open.pop();
        Ok(true)
    }

    /// Takes the end of an object with the counts that stand behind it.
    pub(super) fn end(&mut self, expected: u8) -> Result<(), Unreadable> {
        if self.tag()? != expected {
            return Err(Unreadable::Malformed("end of an object"));
        }
        self.varint()?;
        if matches!(expected, tag::DENSE_ARRAY_END | tag::SPARSE_ARRAY_END) {
            self.varint()?;
        }
        Ok(())
    }

    /// Takes the next tag inside an error; whether a value follows it.
    fn error_part(&mut self, open: &mut Vec<u8>) -> Result<bool, Unreadable> {
        match self.byte()? {
            tag::ERROR_MESSAGE | tag::ERROR_STACK | tag::ERROR_CAUSE => Ok(true),
            tag::ERROR_END => {
                open.pop();
                Ok(false)
            }
            kind => tag::error_name(kind)
                .map(|_| false)
                .ok_or(Unreadable::Malformed("error")),
        }
    }

    /// Takes a value, or the beginning of one whose end is then expected. Whether one more has to follow in its place.
    fn skip_one(&mut self, open: &mut Vec<u8>, met: &mut impl FnMut(usize)) -> Result<bool, Unreadable> {
        let at = self.at;
        let found = self.tag()?;
        if is_object(found) {
            met(at);
        }
        match found {
            tag::UNDEFINED | tag::HOLE | tag::NULL | tag::TRUE | tag::FALSE => {}
            tag::TRUE_OBJECT | tag::FALSE_OBJECT => {}
            tag::INT32 | tag::UINT32 | tag::REFERENCE => {
                self.varint()?;
            }
            tag::DOUBLE | tag::DATE | tag::NUMBER_OBJECT => {
                self.slice(8)?;
            }
            tag::BIG_INT | tag::BIG_INT_OBJECT => {
                self.big_int()?;
            }
            tag::UTF8_STRING | tag::ONE_BYTE_STRING | tag::TWO_BYTE_STRING => self.skip_text()?,
            tag::STRING_OBJECT => self.skip_tagged_text()?,
            tag::REGULAR_EXPRESSION => {
                self.skip_tagged_text()?;
                self.varint()?;
            }
            tag::ARRAY_BUFFER | tag::RESIZABLE_ARRAY_BUFFER => {
                self.array_buffer(found)?;
            }
            tag::HOST_OBJECT => return Ok(matches!(self.host_object()?, HostObject::Plain)),
            tag::OBJECT => open.push(tag::OBJECT_END),
            tag::MAP => open.push(tag::MAP_END),
            tag::SET => open.push(tag::SET_END),
            tag::ERROR => open.push(tag::ERROR_END),
            tag::DENSE_ARRAY | tag::SPARSE_ARRAY => {
                self.varint()?;
                open.push(array_end(found));
            }
            _ => return Err(Unreadable::Unsupported(found)),
        }
        Ok(false)
    }

    fn skip_text(&mut self) -> Result<(), Unreadable> {
        let length = self.varint()?;
        self.slice(length)?;
        Ok(())
    }

    fn skip_tagged_text(&mut self) -> Result<(), Unreadable> {
        self.tag()?;
        self.skip_text()
    }
}

fn array_end(found: u8) -> u8 {
    if found == tag::DENSE_ARRAY {
        tag::DENSE_ARRAY_END
    } else {
        tag::SPARSE_ARRAY_END
    }
}

/// Whether references can mean it: those are counted among the objects only.
pub(super) fn is_object(found: u8) -> bool {
    matches!(
        found,
        tag::OBJECT
            | tag::SPARSE_ARRAY
            | tag::DENSE_ARRAY
            | tag::DATE
            | tag::TRUE_OBJECT
            | tag::FALSE_OBJECT
            | tag::NUMBER_OBJECT
            | tag::BIG_INT_OBJECT
            | tag::STRING_OBJECT
            | tag::REGULAR_EXPRESSION
            | tag::MAP
            | tag::SET
            | tag::ARRAY_BUFFER
            | tag::RESIZABLE_ARRAY_BUFFER
            | tag::HOST_OBJECT
            | tag::ERROR
    )
}
