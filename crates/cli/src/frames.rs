//! Frames of a followed stream: a [`FrameHeader`] as one line of JSON, then its bytes. Pure; fed by the client with what
//! arrives, in pieces of any size.

use ostler_wire::control::FrameHeader;

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub header: FrameHeader,
    /// Its bytes, `header.len` of them.
    pub bytes: Vec<u8>,
}

/// Bytes on their way to become frames.
#[derive(Default)]
pub struct Frames {
    pending: Vec<u8>,
    /// How much of `pending` has been handed out.
    taken: usize,
    /// The header that waits for its bytes.
    header: Option<FrameHeader>,
}

impl Frames {
    /// Takes what has arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.taken == self.pending.len() {
            self.pending.clear();
            self.taken = 0;
        }
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one.
    pub fn next(&mut self) -> Result<Option<Frame>, serde_json::Error> {
        let Some(header) = self.header()? else { return Ok(None) };
        if self.rest().len() < header.len {
            self.header = Some(header);
            self.forget_taken();
            return Ok(None);
        }
        let bytes = self.rest()[..header.len].to_vec();
        self.taken += header.len;
        Ok(Some(Frame { header, bytes }))
    }

    fn header(&mut self) -> Result<Option<FrameHeader>, serde_json::Error> {
        if let Some(header) = self.header.take() {
            return Ok(Some(header));
        }
        let Some(length) = self.rest().iter().position(|byte| *byte == b'\n') else {
            self.forget_taken();
            return Ok(None);
        };
        let header = serde_json::from_slice(&self.rest()[..length])?;
        self.taken += length + 1;
        Ok(Some(header))
    }

    fn rest(&self) -> &[u8] {
        &self.pending[self.taken..]
    }

    fn forget_taken(&mut self) {
        self.pending.drain(..self.taken);
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::{SlotId, WallTime};
    use ostler_wire::control::FrameKind;

    fn frame(bytes: &[u8]) -> Frame {
        let header = FrameHeader {
            kind: FrameKind::Out,
            id: SlotId(3),
            name: "api".into(),
            at: WallTime(1),
            len: bytes.len(),
            place: None,
        };
        Frame {
            header,
            bytes: bytes.to_vec(),
        }
    }

    fn encode(frame: &Frame) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(&frame.header).expect("a header is JSON");
        bytes.push(b'\n');
        bytes.extend_from_slice(&frame.bytes);
        bytes
    }

    #[test]
    fn frames_come_out_whole_however_they_are_cut() {
        let sent = [
            frame(b"one\n"),
            frame(b""),
            frame(b"\x00\xff{\n}\n"),
            frame(&[b'x'; 300]),
        ];
        let wire: Vec<u8> = sent.iter().flat_map(encode).collect();
        for size in [1, 2, 7, 64, wire.len()] {
            let mut frames = Frames::default();
            let mut received = Vec::new();
            for piece in wire.chunks(size) {
                frames.feed(piece);
                while let Some(frame) = frames.next().expect("valid frames") {
                    received.push(frame);
                }
            }
            assert_eq!(received, sent, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_header_is_an_error() {
        let mut frames = Frames::default();
        frames.feed(b"HTTP/1.1 500\n");
        assert!(frames.next().is_err());
    }
}
