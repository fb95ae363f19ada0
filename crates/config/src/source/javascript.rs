//! Configs that are JavaScript: evaluated by the user's own node, with a deadline. It is the user's code, run with the
//! user's rights, as in PM2; what it prints, throws, or leaves undone is reported.

use super::Document;
use crate::Context;
use crate::diagnostic::{ConfigError, ConfigErrorKind, Diagnostic};
use crate::place::Positions;
use crate::source::evaluation::{self, Ended, Evaluation};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why an expression could not be evaluated.
pub(crate) enum Failure {
    /// It is not JavaScript.
    Syntax(String),
    /// There is no node.
    NoNode,
    /// Anything else.
    Other(ConfigError),
}

/// What the loader answers; see `loader.cjs`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// A configuration, and what in it is no data: path and kind.
    Value(Value, Vec<(String, String)>),
    /// It threw.
    Error(Thrown),
    /// The process ended, by `process.exit` with this code and at this line of the config, or else by itself.
    Exited(Option<i32>, Option<String>),
    /// Node has to be started again with this flag.
    Needs(String),
    /// This version of Node cannot run the file.
    Unsupported(String),
}

#[derive(Debug, Deserialize)]
struct Thrown {
    name: String,
    message: String,
    stack: String,
    code: Option<Value>,
}

/// Loads a module, CommonJS or ES, JavaScript or TypeScript.
pub(crate) fn module(source: &str, file: &Path, context: &Context) -> Result<Document, ConfigError> {
    let node = node(context).ok_or_else(|| {
        failed(source, "it is JavaScript, and there is no node in PATH to evaluate it")
            .hinted("install node, or write the config as JSON, YAML or TOML")
    })?;
    let run = |program: &Path, flags: &[&str]| {
        let evaluation = evaluation::run(&evaluation::Order {
            program,
            flags,
            kind: "module",
            file,
            text: "",
            context,
            deadline: context.patience,
        });
        evaluation.map_err(|error| unstartable(source, program, &error))
    };
    let mut evaluation = run(&node, &[])?;
    if let Some(Answer::Needs(needs)) = parsed(&evaluation) {
        evaluation = run(&node, &[&needs])?;
    }
    if let Some(Answer::Unsupported(version)) = parsed(&evaluation) {
        let bun = context.program("bun").ok_or_else(|| {
            failed(source, &format!("it is TypeScript, which Node {version} does not run"))
                .hinted("use Node 22.6 or newer, or bun; or write the config in JavaScript")
        })?;
        evaluation = run(&bun, &[])?;
    }
    document(source, &evaluation, context.patience)
}

/// Evaluates an expression, e.g. JSON with calls in it.
pub(crate) fn expression(source: &str, text: &str, context: &Context) -> Result<Document, Failure> {
    let program = node(context).ok_or(Failure::NoNode)?;
    let order = evaluation::Order {
        program: &program,
        flags: &[],
        kind: "expression",
        file: Path::new(source),
        text,
        context,
        deadline: context.patience,
    };
    let evaluation = evaluation::run(&order).map_err(|error| Failure::Other(unstartable(source, &program, &error)))?;
    match parsed(&evaluation) {
        Some(Answer::Error(error)) if error.name == "SyntaxError" => Err(Failure::Syntax(error.message)),
        Some(_) | None => document(source, &evaluation, context.patience).map_err(Failure::Other),
    }
}

fn node(context: &Context) -> Option<PathBuf> {
    context.node.clone().or_else(|| context.program("node"))
}

fn parsed(evaluation: &Evaluation) -> Option<Answer> {
    match &evaluation.ended {
        Ended::Answered(line) => serde_json::from_str(line).ok(),
        Ended::Silent(_) | Ended::TimedOut => None,
    }
}

fn document(source: &str, evaluation: &Evaluation, patience: Duration) -> Result<Document, ConfigError> {
    let warnings = printed(source, evaluation);
    let (value, odd) = value(source, evaluation, patience).map_err(|error| error.with_warnings(warnings.clone()))?;
    let odd = odd
        .into_iter()
        .map(|(path, what)| Diagnostic::new(source, &path, format!("it is no data ({what}) and left out")));
    let warnings = warnings.into_iter().chain(odd).collect();
    Ok(Document {
        source: source.to_owned(),
        value,
        positions: Positions::new(),
        warnings,
    })
}

type ValueAndOdd = (Value, Vec<(String, String)>);

fn value(source: &str, evaluation: &Evaluation, patience: Duration) -> Result<ValueAndOdd, ConfigError> {
    match (&evaluation.ended, parsed(evaluation)) {
        (_, Some(Answer::Value(value, odd))) => Ok((value, odd)),
        (_, Some(Answer::Error(error))) => Err(threw(source, &error)),
        (_, Some(Answer::Exited(code, at))) => Err(exited_early(source, code, at)),
        (Ended::TimedOut, _) => Err(hung(source, patience)),
        (Ended::Silent(status), _) => Err(silent(source, status, evaluation)),
        (Ended::Answered(line), None | Some(Answer::Needs(_) | Answer::Unsupported(_))) => Err(failed(
            source,
            &format!("node gave an answer that makes no sense: {line}"),
        )),
    }
}

/// What it printed is for people; it is passed on as a warning, shortened.
fn printed(source: &str, evaluation: &Evaluation) -> Vec<Diagnostic> {
    let streams = [
        ("standard output", &evaluation.out),
        ("standard error", &evaluation.error),
    ];
    let warning = |(stream, text): (&str, &String)| {
        let text = text.trim_end();
        let first = text.lines().next()?;
        let more = text.lines().count() - 1;
        let more = if more > 0 {
            format!(" (and {more} more)")
        } else {
            String::new()
        };
        Some(Diagnostic::new(
            source,
            "",
            format!("it printed to {stream}: {first}{more}"),
        ))
    };
    streams.into_iter().filter_map(warning).collect()
}

fn failed(source: &str, message: &str) -> ConfigError {
    ConfigError::one(ConfigErrorKind::Evaluation, Diagnostic::new(source, "", message))
}

impl ConfigError {
    fn hinted(mut self, hint: &str) -> Self {
        for problem in &mut self.problems {
            problem.hint = Some(hint.to_owned());
        }
        self
    }
}

fn threw(source: &str, error: &Thrown) -> ConfigError {
    if error.name == "function" {
        return failed(source, "it exports a function, and a config is data")
            .hinted("call it in the config: module.exports = build()");
    }
    let message = error.message.lines().next().unwrap_or_default();
    let stack = error.stack.trim();
    let place = if stack.is_empty() {
        String::new()
    } else {
        format!(" ({stack})")
    };
    let failure = failed(
        source,
        &format!("evaluating it failed: {}: {message}{place}", error.name),
    );
    match error.code.as_ref().and_then(Value::as_str) {
        Some("MODULE_NOT_FOUND" | "ERR_MODULE_NOT_FOUND") => failure.hinted("install what it requires"),
        Some(_) | None => failure,
    }
}

fn exited_early(source: &str, code: Option<i32>, at: Option<String>) -> ConfigError {
    match code {
        Some(code) => {
            let at = at.map(|at| at.trim().to_owned()).filter(|at| !at.is_empty());
            let place = at.map(|at| format!(" ({at})")).unwrap_or_default();
            failed(
                source,
                &format!("it called process.exit({code}) before it gave a configuration{place}"),
            )
            .hinted("remove the call: a config only describes apps")
        }
        None => failed(source, "it ended without giving a configuration")
            .hinted("it exports a promise, or awaits one, that is never settled"),
    }
}

fn hung(source: &str, patience: Duration) -> ConfigError {
    failed(
        source,
        &format!(
            "evaluating it took longer than {} s and was stopped",
            patience.as_secs_f64()
        ),
    )
    .hinted("look for an endless loop, or for something it waits for")
}

fn silent(source: &str, status: &str, evaluation: &Evaluation) -> ConfigError {
    let last = evaluation.error.trim_end().lines().next_back().unwrap_or_default();
    let said = if last.is_empty() {
        String::new()
    } else {
        format!("; its last words: {last}")
    };
    failed(
        source,
        &format!("node ended ({status}) before it gave a configuration{said}"),
    )
}

fn unstartable(source: &str, program: &Path, error: &std::io::Error) -> ConfigError {
    failed(source, &format!("cannot run {}: {error}", program.display())).hinted("check that it can be executed")
}
