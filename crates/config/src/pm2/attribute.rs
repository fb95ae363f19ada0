//! What an attribute is: its names, what values it takes, and whether Ostler acts on it. The tables of the key families
//! are made of these; checking, documentation and suggestions all read the same tables.

use super::kind::Kind;

/// One attribute of an app.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// PM2's main name, or Ostler's own.
    pub name: &'static str,
    /// Other names that mean the same. Every name is understood in camelCase too.
    pub aliases: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// What holds when it is absent, for people.
    pub default: &'static str,
    /// What Ostler makes of it.
    pub effect: Effect,
    /// What it means.
    pub meaning: &'static str,
}

/// What Ostler makes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is acted upon.
    Effective,
    /// Accepted, not acted upon yet: what is missing. Reported when a config asks for it.
    Later(&'static str),
    /// Accepted and without use here: why. Reported when a config asks for it.
    Ignored(&'static str),
}

impl Attribute {
    /// An effective attribute without aliases.
    pub(crate) const fn new(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            default,
            effect: Effect::Effective,
            meaning,
        }
    }

    pub(crate) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(crate) const fn later(mut self, missing: &'static str) -> Self {
        self.effect = Effect::Later(missing);
        self
    }

    pub(crate) const fn ignored(mut self, reason: &'static str) -> Self {
        self.effect = Effect::Ignored(reason);
        self
    }

    /// Whether one of its names is this one.
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// The attribute that a key names, in snake_case or camelCase, if any.
pub(crate) fn find(key: &str) -> Option<&'static Attribute> {
    let snake = snake_case(key);
    super::attributes().find(|attribute| attribute.is_called(key) || attribute.is_called(&snake))
}

/// The known name most like `key`, if one is like it at all.
pub(crate) fn nearest(key: &str) -> Option<&'static str> {
    let key = snake_case(key);
    let near_enough = key.chars().count().div_ceil(3).min(4);
    super::attributes()
        .flat_map(|attribute| std::iter::once(attribute.name).chain(attribute.aliases.iter().copied()))
        .map(|name| (strsim::damerau_levenshtein(&key, name), name))
        .filter(|(distance, _name)| *distance <= near_enough)
        .min_by_key(|(distance, _name)| *distance)
        .map(|(_distance, name)| name)
}

/// `maxMemoryRestart` as `max_memory_restart`.
pub(crate) fn snake_case(key: &str) -> String {
    let mut snake = String::with_capacity(key.len() + 4);
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
            snake.push(c.to_ascii_lowercase());
        } else {
            snake.push(if c == '-' { '_' } else { c });
        }
    }
    snake
}
