//! `docs/compatibility.md`: the matrix for users.

use crate::case::Case;
use crate::cases;
use crate::matrix::{DOES_NOT_APPLY, Matrix, WORKS};
use crate::remarks::{self, Remark};
use ostler_testkit::runtimes::Kind;
use ostler_testkit::{Runtime, tools};
use std::path::PathBuf;

const BOTH: &str = "●";
const HERE_ONLY: &str = "◆";
const NOWHERE: &str = "○";
const THERE_ONLY: &str = "**✗**";
const NOT_APPLICABLE: &str = "–";

const INTRODUCTION: &str = "\
# What works in cluster mode

Ostler takes the place of the primary of Node's `cluster`, and apps are not to notice. Each row below is a small app that knows nothing of
Ostler, with two workers; a client looks at what comes of it: that both of them answer, that errors are those of Node, that a worker
which leaves is replaced. The same apps run under the `cluster` of the runtime itself, which is what Ostler is measured by: nothing that
works there may fail here.

This page is written by the tests, on Linux, with every runtime as npm has it:

```sh
OSTLER_WRITE_COMPATIBILITY=1 cargo nextest run -p ostler-cli --test compatibility --run-ignored only -E 'test(nothing_that_works)'
```

It takes ten minutes. Some thirty of the rows also run with every test run, on one Node.
";

const SIGNS: &str = "\
| sign | what it means |
|---|---|
| ● | works under Ostler and under the runtime's own cluster |
| ◆ | works under Ostler, and not under the runtime's own cluster |
| ○ | works under neither; the number is that of the reason below |
| **✗** | works under the runtime's own cluster and fails under Ostler: a mistake of ours, the test fails |
| – | the runtime lacks what is needed, or is too old for the package |
";

const END: &str = "\
## What this page does not show

What a reload does is shown by other tests ([0011](design/0011-reload.md)). Node's workers are replaced without a lost request; Bun and Deno have no
preload, and Bun's workers accept their HTTP connections by themselves, so a few may be lost there. Programs in other languages share a
port by [`listen`](design/0012-listeners-for-any-language.md).
";

/// Writes the page.
///
/// # Panics
/// When something was not run, a failure is not explained, or the page cannot be written.
pub fn write(reference: &Matrix, matrix: &Matrix) {
    assert!(matrix.is_whole(), "the page is written by a whole run only");
    std::fs::write(path(), text(reference, matrix)).expect("the page written");
}

/// The names of the cases on the page, as it is now.
///
/// # Panics
/// When there is no page.
pub fn cases() -> Vec<String> {
    let page = std::fs::read_to_string(path()).expect("docs/compatibility.md");
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").map(str::trim).collect::<Vec<_>>());
    let of_cases = cells.filter(|cells| cells.len() == 1 + Kind::ALL.len() && cells[1] != Kind::ALL[0].to_string());
    of_cases.map(|cells| cells[0].to_owned()).collect()
}

fn path() -> PathBuf {
    tools::workspace().join("docs/compatibility.md")
}

fn text(reference: &Matrix, matrix: &Matrix) -> String {
    let fails = |remark: &&Remark| {
        let mut cases = remark.cases.iter();
        remark.by_chance || cases.any(|case| matrix.get(case, remark.kind) != Some(WORKS))
    };
    let (nowhere, here_only): (Vec<&Remark>, Vec<&Remark>) = remarks::ALL.iter().partition(fails);
    let versions: Vec<String> = Runtime::all()
        .into_iter()
        .flatten()
        .map(|runtime| runtime.name)
        .collect();
    let mut text = format!("{INTRODUCTION}\nThe last run had {}.\n\n{SIGNS}", versions.join(", "));
    for (about, cases) in cases::families() {
        let names = Kind::ALL.map(|kind| kind.to_string());
        text += &format!("\n## {about}\n\n{}", row("", &names));
        text += &format!("|---|{}\n", ":-:|".repeat(names.len()));
        for case in cases {
            let cells = Kind::ALL.map(|kind| cell(&case, kind, reference, matrix, &nowhere));
            text += &row(case.name, &cells);
        }
    }
    text += "\n## What does not work under any primary\n\n";
    for (number, remark) in nowhere.iter().enumerate() {
        text += &format!("{}. {}\n", number + 1, sentence(remark));
    }
    text += "\n## What works under Ostler alone\n\n";
    for remark in here_only {
        text += &format!("- {}\n", sentence(remark));
    }
    text + "\n" + END
}

fn row(name: &str, cells: &[String]) -> String {
    format!("| {name} | {} |\n", cells.join(" | "))
}

fn sentence(remark: &Remark) -> String {
    format!("**{}**, *{}*. {}", remark.kind, remark.cases.join("*, *"), remark.why)
}

fn cell(case: &Case, kind: Kind, reference: &Matrix, matrix: &Matrix, nowhere: &[&Remark]) -> String {
    let there = reference.get(case.name, kind) == Some(WORKS);
    let is_about = |remark: &&Remark| remark.kind == kind && remark.cases.contains(&case.name);
    let number = nowhere.iter().position(is_about).map(|position| position + 1);
    match (matrix.get(case.name, kind), number) {
        (Some(WORKS), _) if there => BOTH.to_owned(),
        (Some(DOES_NOT_APPLY), _) => NOT_APPLICABLE.to_owned(),
        (Some(_) | None, _) if there => THERE_ONLY.to_owned(),
        (Some(_) | None, Some(number)) => format!("{NOWHERE} {number}"),
        (Some(WORKS), None) => HERE_ONLY.to_owned(),
        (Some(_) | None, None) => panic!("{}, {kind}: no remark on a failure that is kept", case.name),
    }
}
