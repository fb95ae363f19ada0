//! PM2 takes its options before or after the verb, and most of them with every verb. This brings a command line into the
//! one order that the parser knows: the verb, its options as `--name=value`, its words. Options that the verb has no
//! use for are taken out, to be reported. Pure.

use clap::{Arg, ArgAction, Command};
use std::cell::LazyCell;

/// A command line in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normalised {
    /// The verb and what belongs to it.
    pub words: Vec<String>,
    /// What stood after `--`, for verbs that pass it on to the app.
    pub app_args: Option<Vec<String>>,
    /// Options that are known, but not to this verb.
    pub unused: Vec<String>,
}

/// How an option takes its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    /// None.
    No,
    /// With `=`, or the next word unless it begins with a hyphen.
    Optional,
    /// With `=`, or the next word whatever it is.
    Required,
}

/// Brings `words` (without the program's name) into order. `common` has the options of every verb, `general` those that PM2
/// knows everywhere (many, and most command lines have none that is not the verb's own), `verbs` gives the grammar of a verb by its name, `passes_on`
/// tells which verbs give the words after `--` to the app.
pub fn normalise(
    words: &[String],
    common: &Command,
    general: &LazyCell<Command>,
    verbs: fn(&str) -> Option<Command>,
    passes_on: impl Fn(&str) -> bool,
) -> Normalised {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (front, back) = words.split_at(end);
    let Some(at) = verb_position(front, common, general, verbs) else {
        return Normalised {
            words: words.iter().map(version_word).collect(),
            ..Normalised::default()
        };
    };
    let Some(mut verb) = verbs(&front[at]) else {
        let words = [&front[at..=at], &front[..at], &front[at + 1..], back].concat();
        return Normalised {
            words,
            ..Normalised::default()
        };
    };
    verb.build();
    let mut result = Normalised {
        words: vec![verb.get_name().to_owned()],
        ..Normalised::default()
    };
    let mut walk = Walk {
        common,
        verb: &verb,
        general,
        result: &mut result,
    };
    walk.all(&front[..at]);
    walk.all(&front[at + 1..]);
    if passes_on(verb.get_name()) {
        result.app_args = back.get(1..).map(<[String]>::to_vec);
    } else {
        result.words.extend_from_slice(back);
    }
    result
}

/// `-v` is PM2's other name for `-V`.
fn version_word(word: &String) -> String {
    if word == "-v" {
        "--version".to_owned()
    } else {
        word.clone()
    }
}

fn verb_position(
    words: &[String],
    common: &Command,
    general: &LazyCell<Command>,
    verbs: fn(&str) -> Option<Command>,
) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if !word.starts_with('-') {
            return Some(at);
        }
        let next = words.get(at + 1);
        let takes_next = !word.contains('=')
            && match value_of_word(word, common, general) {
                Value::No => false,
                Value::Required => true,
                // `--watch start app.js`: the verb is not a folder to watch.
                Value::Optional => next.is_some_and(|next| is_value(next) && verbs(next).is_none()),
            };
        at += if takes_next { 2 } else { 1 };
    }
    None
}

fn value_of_word(word: &str, common: &Command, general: &LazyCell<Command>) -> Value {
    let commands = [common, &**general];
    if let Some(long) = word.strip_prefix("--") {
        return commands
            .iter()
            .find_map(|command| find_long(command, long))
            .map_or(Value::No, value_of);
    }
    let mut letters = word[1..].chars();
    while let Some(letter) = letters.next() {
        let found = commands
            .iter()
            .find_map(|command| find_short(command, letter))
            .map_or(Value::No, value_of);
        if found != Value::No {
            return if letters.as_str().is_empty() { found } else { Value::No };
        }
    }
    Value::No
}

struct Walk<'a> {
    common: &'a Command,
    verb: &'a Command,
    general: &'a LazyCell<Command>,
    result: &'a mut Normalised,
}

impl<'a> Walk<'a> {
    fn all(&mut self, words: &[String]) {
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = long
                    .split_once('=')
                    .map_or((long, None), |(name, value)| (name, Some(value)));
                let Some((arg, used)) = self.find(|command| find_long(command, name)) else {
                    self.result.words.push(word.clone());
                    continue;
                };
                let value = value.map(str::to_owned).or_else(|| match value_of(arg) {
                    Value::No => None,
                    Value::Optional => words.next_if(|next| is_value(next)).cloned(),
                    Value::Required => words.next().cloned(),
                });
                self.put(arg, used, &format!("--{name}"), value);
            } else if is_value(word) {
                self.result.words.push(word.clone());
            } else {
                self.cluster(&word[1..], &mut words);
            }
        }
    }

    /// Short options, perhaps several in a word, the last one perhaps with its value.
    fn cluster<'w>(&mut self, letters: &str, words: &mut std::iter::Peekable<impl Iterator<Item = &'w String>>) {
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            let Some((arg, used)) = self.find(|command| find_short(command, letter)) else {
                self.result.words.push(format!("-{letter}"));
                continue;
            };
            let kind = value_of(arg);
            let attached = rest.as_str().strip_prefix('=').unwrap_or(rest.as_str());
            let value = match kind {
                Value::No => None,
                Value::Optional | Value::Required if !attached.is_empty() => Some(attached.to_owned()),
                Value::Optional => words.next_if(|next| is_value(next)).cloned(),
                Value::Required => words.next().cloned(),
            };
            self.put(arg, used, &format!("-{letter}"), value);
            if kind != Value::No {
                return;
            }
        }
    }

    /// The option, and whether this verb has a use for it.
    fn find(&self, by: impl Fn(&'a Command) -> Option<&'a Arg>) -> Option<(&'a Arg, bool)> {
        let own = by(self.verb).or_else(|| by(self.common)).map(|arg| (arg, true));
        own.or_else(|| by(self.general).map(|arg| (arg, false)))
    }

    fn put(&mut self, arg: &Arg, used: bool, typed: &str, value: Option<String>) {
        if !used {
            self.result.unused.push(typed.to_owned());
            return;
        }
        let name = arg
            .get_long()
            .map_or_else(|| typed.to_owned(), |long| format!("--{long}"));
        self.result
            .words
            .push(value.map_or(name.clone(), |value| format!("{name}={value}")));
    }
}

fn is_value(word: &str) -> bool {
    word == "-" || !word.starts_with('-')
}

fn value_of(arg: &Arg) -> Value {
    if !matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) {
        return Value::No;
    }
    match arg.get_num_args() {
        Some(range) if range.min_values() == 0 => Value::Optional,
        Some(_) | None => Value::Required,
    }
}

fn find_long<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| {
        arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    })
}

fn find_short(command: &Command, letter: char) -> Option<&Arg> {
    command.get_arguments().find(|arg| {
        arg.get_short() == Some(letter)
            || arg
                .get_all_short_aliases()
                .is_some_and(|aliases| aliases.contains(&letter))
    })
}
