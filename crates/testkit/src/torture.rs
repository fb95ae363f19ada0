//! A stream of awkward log lines that can be made again from its seed, so that the writer needs to tell nobody what
//! it wrote: the test generates the same bytes and compares.

/// The lines: numbered, 1 byte to 1 MB long, NULs and invalid UTF-8 among them. No line but the last byte of one is a
/// newline.
#[derive(Clone, Debug)]
pub struct Torture {
    random: Random,
    next: usize,
    count: usize,
}

/// A small generator of random numbers (xorshift64*), the same everywhere for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// What bodies are made of.
const NASTY: &[u8] = b"abc\0\xff\xc3xyz \t\r\x1b[0m\xe2\x82{\"a\":1}\\\xed\xa0\x80'\"%s ";

impl Torture {
    /// So many lines from this seed.
    pub fn new(seed: u64, count: usize) -> Self {
        Self {
            random: Random::new(seed),
            next: 0,
            count,
        }
    }
}

impl Iterator for Torture {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.next == self.count {
            return None;
        }
        let mut line = self.next.to_string().into_bytes();
        self.next += 1;
        let body = body_length(&mut self.random);
        if body > 0 {
            line.push(b':');
            line.extend(
                NASTY
                    .iter()
                    .copied()
                    .cycle()
                    .skip(self.random.below(NASTY.len()))
                    .take(body),
            );
        }
        line.push(b'\n');
        Some(line)
    }
}

/// Mostly short, now and then long; one in about fifteen thousand has a megabyte.
fn body_length(random: &mut Random) -> usize {
    match random.below(15_000) {
        0 => 1_000_000 - 16,
        1..10 => 10_000 + random.below(60_000),
        10..1_500 => random.below(1_000),
        1_500..5_000 => 0,
        _ => random.below(60),
    }
}

impl Random {
    /// A generator; a seed of 0 counts as 1.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// A number from 0 up to, not including, `bound`.
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bound = u64::try_from(bound).expect("invariant: a length fits");
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        usize::try_from(number % bound).expect("invariant: smaller than a length")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_lines() {
        assert!(Torture::new(7, 1000).eq(Torture::new(7, 1000)));
        assert!(!Torture::new(7, 1000).eq(Torture::new(8, 1000)));
    }

    #[test]
    fn every_line_is_numbered_and_ends_in_its_only_newline() {
        for (number, line) in Torture::new(3, 20_000).enumerate() {
            let (last, body) = line.split_last().expect("a line is never empty");
            assert_eq!(*last, b'\n');
            assert!(!body.contains(&b'\n'));
            assert!(body.starts_with(number.to_string().as_bytes()));
            assert!(line.len() <= 1_000_000);
        }
    }

    #[test]
    fn the_lines_are_awkward() {
        let lines: Vec<_> = Torture::new(1, 40_000).collect();
        assert!(lines.iter().any(|line| line.len() > 999_000), "a megabyte line");
        assert!(lines.iter().any(|line| line.contains(&0)), "a NUL");
        assert!(
            lines.iter().any(|line| std::str::from_utf8(line).is_err()),
            "invalid UTF-8"
        );
    }
}
