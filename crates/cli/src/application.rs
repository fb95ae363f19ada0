//! One run of the command line: the surroundings, the words, the command, the exit code. Called by `main`.

use crate::arguments::{self, Parsed, of_pm2};
use crate::commands;
use crate::container;
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::printer::{Colour, Printer};
use crate::session::Session;
use clap::error::ErrorKind;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

/// Carries out the command that the process was called with.
pub fn run() -> ExitCode {
    let (environment, unreadable_variables) = environment();
    let colour = Colour::from_environment(|name| environment.get(name).cloned());
    let words = match words() {
        Ok(words) => words,
        Err(error) => return finish(&Printer::to_process(false, colour), &error),
    };
    let parsed = match arguments::parse(&words) {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error, &words, colour),
    };
    let colour = if parsed.line.common.no_color {
        Colour::Never
    } else {
        colour
    };
    let silent = parsed.line.common.silent || environment.contains_key("PM2_SILENT");
    let printer = Printer::to_process(silent, colour);
    match surroundings(environment, unreadable_variables) {
        Ok(surroundings) => carry_out(parsed, printer, surroundings),
        Err(error) => finish(&printer, &error),
    }
}

struct Surroundings {
    cwd: PathBuf,
    home: Home,
    environment: BTreeMap<String, String>,
    unreadable_variables: Vec<String>,
}

fn surroundings(environment: BTreeMap<String, String>, unreadable_variables: Vec<String>) -> Result<Surroundings> {
    let cwd = std::env::current_dir().map_err(|error| {
        Error::system(format!("the working directory cannot be found: {error}")).hint("change to one that exists")
    })?;
    let variable = |name: &str| environment.get(name).cloned();
    let home = Home::find(variable, &cwd).or_of_container(variable);
    Ok(Surroundings {
        cwd,
        home,
        environment,
        unreadable_variables,
    })
}

fn carry_out(parsed: Parsed, printer: Printer, surroundings: Surroundings) -> ExitCode {
    for option in &parsed.unused {
        printer.warn(&format!("`{option}` has no effect on `{}`", parsed.verb));
    }
    let Surroundings {
        cwd,
        home,
        environment,
        unreadable_variables,
    } = surroundings;
    let (verb, app_args) = (parsed.verb, parsed.app_args);
    let session = Session {
        printer: Rc::new(printer),
        home,
        cwd,
        environment,
        unreadable_variables,
        verb,
        app_args,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_io()
        // There are a few descriptors, and room for a thousand events is three pages.
        .max_io_events_per_tick(16)
        .enable_time()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return finish(
                &session.printer,
                &Error::system(format!("starting the event loop: {error}")),
            );
        }
    };
    let result = runtime.block_on(parsed.line.verb.run(&session));
    // A thread that waits for standard input must not hold the process up.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => finish(&session.printer, &error),
    }
}

/// What was typed, which must be UTF-8 since it becomes JSON.
fn words() -> Result<Vec<String>> {
    let word = |word: std::ffi::OsString| {
        word.into_string()
            .map_err(|word| Error::user(format!("the argument {} is not valid UTF-8", word.display())))
    };
    let mut words = std::env::args_os();
    let program = words.next();
    Ok(container::with_verb(
        program.as_ref(),
        words.map(word).collect::<Result<_>>()?,
    ))
}

/// The environment, and the names of variables that are not UTF-8.
fn environment() -> (BTreeMap<String, String>, Vec<String>) {
    let mut readable = BTreeMap::new();
    let mut unreadable = Vec::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => {
                readable.insert(name, value);
            }
            (Ok(name), Err(_)) => unreadable.push(name),
            (Err(name), _) => unreadable.push(name.to_string_lossy().into_owned()),
        }
    }
    (readable, unreadable)
}

/// Help and version are answers; everything else that the parser says is a failure. Verbs of PM2's have a word of their own.
fn usage(error: &clap::Error, words: &[String], colour: Colour) -> ExitCode {
    let printer = Printer::to_process(false, colour);
    if let Some(verb) = arguments::unknown_verb(error) {
        if let Some(why) = of_pm2::is_so_anyway(words) {
            printer.say(why);
            return ExitCode::SUCCESS;
        }
        if let Some(instead) = of_pm2::instead_of(verb) {
            let error = Error::user(format!("PM2 has `{verb}`, Ostler has not")).hint(instead);
            return finish(&printer, &error);
        }
    }
    let text = if printer.colours_out() {
        error.render().ansi().to_string()
    } else {
        error.render().to_string()
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match printer.data(text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => finish(&printer, &error.into()),
        },
        _failure => {
            printer.say(text.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn finish(printer: &Printer, error: &Error) -> ExitCode {
    match error.kind {
        Kind::OutputClosed | Kind::Reported => {}
        Kind::User | Kind::Config | Kind::System => commands::show(printer, error),
        Kind::Internal => {
            commands::show(printer, error);
            printer.hint("this is a bug of Ostler; please report it with what you did before");
        }
    }
    error.exit_code()
}
