//! From what a user typed to the slots that are meant, by PM2's rules.
//!
//! A word is tried in this order: `all`; `/a regular expression/` on names; a name or a script's path; a namespace; a slot
//! id. The first kind that matches anything wins.

use ostler_core::{SlotId, SlotView};
use ostler_wire::control::{ApiError, ApiErrorKind, Selector};
use std::collections::BTreeSet;
use std::path::Path;

/// The slots that a selector means, by id.
///
/// # Errors
/// If a word matches nothing, or is a regular expression that cannot be read. `all` may match nothing.
pub fn select(selector: &Selector, slots: &[SlotView]) -> Result<BTreeSet<SlotId>, ApiError> {
    let mut chosen = BTreeSet::new();
    for word in &selector.words {
        let matching = one_word(word, &selector.cwd, slots)?;
        if matching.is_empty() && word != "all" {
            return Err(not_found(word));
        }
        chosen.extend(matching);
    }
    Ok(chosen)
}

/// What is said when a word matches nothing.
pub fn not_found(word: &str) -> ApiError {
    ApiError {
        kind: ApiErrorKind::NotFound,
        message: format!("Process or Namespace {word} not found"),
        hint: Some("`ostler list` shows the names, namespaces and ids that exist.".to_owned()),
    }
}

fn one_word(word: &str, cwd: &str, slots: &[SlotView]) -> Result<BTreeSet<SlotId>, ApiError> {
    if word == "all" {
        return Ok(slots.iter().map(|slot| slot.id).collect());
    }
    if let Some(pattern) = word.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        return by_pattern(pattern, slots);
    }
    let path = absolute(word, cwd);
    let rules: [&dyn Fn(&SlotView) -> bool; 3] = [
        &|slot| slot.spec.name == word || slot.spec.program.path == path,
        &|slot| slot.spec.namespace == word,
        &|slot| word.parse() == Ok(slot.id.0),
    ];
    Ok(rules
        .iter()
        .map(|rule| {
            slots
                .iter()
                .filter(|slot| rule(slot))
                .map(|slot| slot.id)
                .collect::<BTreeSet<_>>()
        })
        .find(|matching| !matching.is_empty())
        .unwrap_or_default())
}

fn by_pattern(pattern: &str, slots: &[SlotView]) -> Result<BTreeSet<SlotId>, ApiError> {
    let pattern = regex_lite::Regex::new(pattern).map_err(|error| ApiError {
        kind: ApiErrorKind::User,
        message: format!("`/{pattern}/` is not a regular expression: {error}"),
        hint: None,
    })?;
    Ok(slots
        .iter()
        .filter(|slot| pattern.is_match(&slot.spec.name))
        .map(|slot| slot.id)
        .collect())
}

fn absolute(word: &str, cwd: &str) -> String {
    let joined = Path::new(cwd).join(word);
    let mut clean = std::path::PathBuf::new();
    for part in joined.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                clean.pop();
            }
            std::path::Component::Prefix(_) | std::path::Component::RootDir | std::path::Component::Normal(_) => {
                clean.push(part);
            }
        }
    }
    clean.to_string_lossy().into_owned()
}
