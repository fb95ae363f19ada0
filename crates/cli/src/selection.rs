//! PM2's selectors, matched here for questions about processes (`describe`, `pid`, `logs`); operations are matched by
//! the daemon with the same rules: `all`; `/a regular expression/` on names; a name or a script's path, else a
//! namespace; a number first as a name, then as a namespace, then as an id.

use crate::error::{Error, Result};
use ostler_core::SlotId;
use ostler_wire::control::{Process, ProcessRow, Selector};
use regex_lite::Regex;
use std::path::Path;

/// What a selector looks at.
pub trait Selectable {
    /// The slot.
    fn id(&self) -> SlotId;
    /// The app's name.
    fn name(&self) -> &str;
    /// Its namespace.
    fn namespace(&self) -> &str;
    /// Its script's path, where known.
    fn path(&self) -> Option<&str>;
}

impl Selectable for Process {
    fn id(&self) -> SlotId {
        self.view.id
    }
    fn name(&self) -> &str {
        &self.view.spec.name
    }
    fn namespace(&self) -> &str {
        &self.view.spec.namespace
    }
    fn path(&self) -> Option<&str> {
        Some(&self.view.spec.program.path)
    }
}

impl Selectable for ProcessRow {
    fn id(&self) -> SlotId {
        self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn namespace(&self) -> &str {
        &self.namespace
    }
    fn path(&self) -> Option<&str> {
        None
    }
}

/// Those that match any of the selector's words, in their order; empty when none does.
pub fn select<'a, T: Selectable>(processes: &'a [T], selector: &Selector) -> Result<Vec<&'a T>> {
    let mut chosen = vec![false; processes.len()];
    for word in &selector.words {
        for (slot, matches) in chosen.iter_mut().zip(matches(processes, word, &selector.cwd)?) {
            *slot |= matches;
        }
    }
    Ok(processes
        .iter()
        .zip(chosen)
        .filter_map(|(process, chosen)| chosen.then_some(process))
        .collect())
}

fn matches<T: Selectable>(processes: &[T], word: &str, cwd: &str) -> Result<Vec<bool>> {
    if word == "all" {
        return Ok(vec![true; processes.len()]);
    }
    if let Some(pattern) = regular_expression(word) {
        let pattern = pattern?;
        return Ok(processes
            .iter()
            .map(|process| pattern.is_match(process.name()))
            .collect());
    }
    let path = Path::new(cwd).join(word);
    let by_name = |process: &T| process.name() == word || process.path().is_some_and(|own| Path::new(own) == path);
    let by_namespace = |process: &T| process.namespace() == word;
    let id = word.parse::<u32>().ok().map(SlotId);
    let by_id = |process: &T| Some(process.id()) == id;
    let rules: [&dyn Fn(&T) -> bool; 3] = [&by_name, &by_namespace, &by_id];
    let rule = rules.into_iter().find(|rule| processes.iter().any(rule));
    Ok(processes
        .iter()
        .map(|process| rule.is_some_and(|rule| rule(process)))
        .collect())
}

/// `/…/`, with all slashes taken out as PM2 does.
fn regular_expression(word: &str) -> Option<Result<Regex>> {
    if word.len() < 3 || !word.starts_with('/') || !word.ends_with('/') {
        return None;
    }
    let pattern = word.replace('/', "");
    Some(Regex::new(&pattern).map_err(|error| {
        Error::user(format!("{word} is no regular expression: {error}"))
            .hint("look-around and back-references are not known")
    }))
}

/// The failure to match, in PM2's words.
pub fn not_found(word: &str) -> Error {
    Error::user(format!("Process or Namespace {word} not found")).hint("`ostler list` shows what there is")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(u32, &'static str, &'static str, &'static str);

    impl Selectable for Thing {
        fn id(&self) -> SlotId {
            SlotId(self.0)
        }
        fn name(&self) -> &str {
            self.1
        }
        fn namespace(&self) -> &str {
            self.2
        }
        fn path(&self) -> Option<&str> {
            Some(self.3)
        }
    }

    const THINGS: [Thing; 5] = [
        Thing(0, "api", "default", "/srv/api.js"),
        Thing(1, "web", "front", "/srv/web.js"),
        Thing(2, "api", "default", "/srv/api.js"),
        Thing(3, "1", "default", "/srv/one.js"),
        Thing(4, "front", "other", "/srv/f.js"),
    ];

    fn ids(words: &[&str]) -> Vec<u32> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let selector = Selector {
            words,
            cwd: "/srv".into(),
        };
        select(&THINGS, &selector)
            .expect("a valid selector")
            .iter()
            .map(|thing| thing.0)
            .collect()
    }

    #[test]
    fn a_word_is_a_name_then_a_namespace_then_an_id() {
        assert_eq!(ids(&["api"]), [0, 2]);
        assert_eq!(ids(&["front"]), [4], "a name hides the namespace");
        assert_eq!(ids(&["other"]), [4]);
        assert_eq!(ids(&["1"]), [3], "a number is a name first");
        assert_eq!(ids(&["2"]), [2]);
        assert_eq!(ids(&["web.js"]), [1], "a script, relative to the working directory");
        assert_eq!(ids(&["nope"]), [] as [u32; 0]);
    }

    #[test]
    fn words_add_up_and_all_means_all() {
        assert_eq!(ids(&["web", "api"]), [0, 1, 2]);
        assert_eq!(ids(&["all"]), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn slashes_make_a_regular_expression_on_names() {
        assert_eq!(ids(&["/^a|eb$/"]), [0, 1, 2]);
        let selector = Selector {
            words: vec!["/(/".into()],
            cwd: "/".into(),
        };
        assert!(select(&THINGS, &selector).is_err());
    }
}
