//! The reference of all attributes, as Markdown: `docs/config.md` is made by this from the tables that checking uses.

use crate::pm2::{Attribute, Effect, FAMILIES};
use std::fmt::Write;

/// The tables of all attributes.
pub fn markdown() -> String {
    let mut text = String::new();
    for family in FAMILIES {
        // Writing to a String cannot fail.
        let _written = write!(
            text,
            "## {}\n\n| Attribute | Value | Default | Meaning |\n|---|---|---|---|\n",
            family.title
        );
        for attribute in family.attributes {
            text.push_str(&row(attribute));
        }
        text.push('\n');
    }
    text
}

fn row(attribute: &Attribute) -> String {
    let names: Vec<String> = std::iter::once(&attribute.name)
        .chain(attribute.aliases)
        .map(|name| format!("`{name}`"))
        .collect();
    let note = match attribute.effect {
        Effect::Effective => String::new(),
        Effect::Later(missing) => format!(" **Not yet effective**: {missing}."),
        Effect::Ignored(reason) => format!(" **No effect**: {reason}."),
    };
    let cells = [
        names.join(", "),
        attribute.kind.expectation(),
        attribute.default.to_owned(),
        format!("{}{note}", attribute.meaning),
    ];
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| cell.replace('|', "\\|").replace('<', "&lt;"))
        .collect();
    format!("| {} |\n", cells.join(" | "))
}
