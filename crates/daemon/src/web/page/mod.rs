//! The files of the page, as they are in the binary.

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
    ($name:literal) => {
        Asset::new(concat!("/", $name), SCRIPT, include_bytes!($name))
    };
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
    fn each_file_has_a_path_and_a_tag_of_its_own_and_all_are_small() {
        let paths: BTreeSet<&str> = ASSETS.iter().map(|asset| asset.path).collect();
        let tags: BTreeSet<String> = ASSETS.iter().map(Asset::tag).collect();
        assert_eq!((paths.len(), tags.len()), (ASSETS.len(), ASSETS.len()));
        let all: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(all < 92 << 10, "{all} bytes");
    }
}
