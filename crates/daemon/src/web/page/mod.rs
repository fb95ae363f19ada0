//! The files of the page, as they are in the binary: modules without their comments and what their lines are indented by, which are for who reads
//! them here.

/// A file of the page.
#[derive(Debug, PartialEq, Eq)]
pub struct Asset {
    path: &'static str,
    /// What it is.
    pub kind: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
    hash: u64,
}

impl Asset {
    const fn new(path: &'static str, kind: &'static str, bytes: &'static [u8]) -> Self {
        let hash = hash(bytes);
        Self {
            path,
            kind,
            bytes,
            hash,
        }
    }

    /// Its `ETag`: another one for another content.
    pub fn tag(&self) -> String {
        format!("\"{:016x}\"", self.hash)
    }
}

const HTML: &str = "text/html; charset=utf-8";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A module by its file's name.
macro_rules! script {
    ($name:literal) => {{
        const SOURCE: &[u8] = include_bytes!($name);
        const BYTES: [u8; stripped_length(SOURCE)] = stripped(SOURCE);
        Asset::new(concat!("/", $name), SCRIPT, &BYTES)
    }};
}

static ASSETS: [Asset; 18] = [
    Asset::new("/", HTML, include_bytes!("index.html")),
    Asset::new("/style.css", "text/css; charset=utf-8", include_bytes!("style.css")),
    Asset::new("/icon.svg", "image/svg+xml", include_bytes!("icon.svg")),
    script!("acts.js"),
    script!("charts.js"),
    script!("detail.js"),
    script!("dock.js"),
    script!("element.js"),
    script!("format.js"),
    script!("history.js"),
    script!("lines.js"),
    script!("logs.js"),
    script!("main.js"),
    script!("model.js"),
    script!("series.js"),
    script!("server.js"),
    script!("table.js"),
    script!("words.js"),
];

/// What is at a path.
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// Where the line at `from` begins after its indentation, and where the next one begins.
const fn line(source: &[u8], from: usize) -> (usize, usize) {
    let mut first = from;
    while first < source.len() && source[first] == b' ' {
        first += 1;
    }
    let mut end = first;
    while end < source.len() && source[end] != b'\n' {
        end += 1;
    }
    (first, if end < source.len() { end + 1 } else { end })
}

/// Whether a line that begins there is empty or of a comment: these have lines of their own, and those of a block begin with a star.
const fn is_left_out(source: &[u8], first: usize) -> bool {
    if first >= source.len() {
        return true;
    }
    match source[first] {
        b'\n' | b'*' => true,
        b'/' => first + 1 < source.len() && matches!(source[first + 1], b'/' | b'*'),
        _ => false,
    }
}

const fn stripped_length(source: &[u8]) -> usize {
    let (mut length, mut at) = (0, 0);
    while at < source.len() {
        let (first, next) = line(source, at);
        if !is_left_out(source, first) {
            length += next - first;
        }
        at = next;
    }
    length
}

/// `LENGTH` is what [`stripped_length`] says.
const fn stripped<const LENGTH: usize>(source: &[u8]) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let (mut written, mut at) = (0, 0);
    while at < source.len() {
        let (mut first, next) = line(source, at);
        if !is_left_out(source, first) {
            while first < next {
                bytes[written] = source[first];
                (written, first) = (written + 1, first + 1);
            }
        }
        at = next;
    }
    bytes
}

/// FNV-1a (Fowler, Noll, Vo). Only to tell versions from one another.
const fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_for_readers_is_left_out_and_nothing_else() {
        const SOURCE: &[u8] =
            b"// About.\nlet a = 1; // one\n\n/**\n * Long.\n */\n  b(`//`);\n  /** Short. */\n  c / 2;";
        const BYTES: [u8; stripped_length(SOURCE)] = stripped(SOURCE);
        assert_eq!(std::str::from_utf8(&BYTES), Ok("let a = 1; // one\nb(`//`);\nc / 2;"));
        let module = find("/model.js").expect("a module");
        let source = include_str!("model.js");
        assert!(source.contains("// What is known") && module.bytes.len() < source.len());
        assert!(module.bytes.starts_with(b"export const"));
    }

    #[test]
    fn each_file_has_a_path_and_a_tag_of_its_own_and_all_are_small() {
        let paths: BTreeSet<&str> = ASSETS.iter().map(|asset| asset.path).collect();
        let tags: BTreeSet<String> = ASSETS.iter().map(Asset::tag).collect();
        assert_eq!((paths.len(), tags.len()), (ASSETS.len(), ASSETS.len()));
        let all: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(all < 80 << 10, "{all} bytes");
    }
}
