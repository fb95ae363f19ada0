//! What `npm start` and its like run in the end. In cluster mode the workers must be the Node processes that listen; a package
//! manager between them and Ostler would be what is forked, drained and replaced.
//!
//! Only what can be read off plainly is taken: one command of a package.json, of words alone, that is `node FILE` or a program of
//! `node_modules/.bin` written for Node. Anything else is refused, with what to write instead.

use crate::words;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A Node program, as a package manager would run it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The script.
    pub(crate) file: PathBuf,
    /// Options of Node's before it.
    pub(crate) node_args: Vec<String>,
    /// Its own arguments.
    pub(crate) args: Vec<String>,
    /// The command as the package.json has it.
    pub(crate) command: String,
}

/// Why a command cannot be run in cluster mode.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opaque {
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// What makes a shell do more than run one program.
const SHELL: &str = "&|;<>$`()*?[]{}~#!\\\"'\n";

/// Options of Node's whose value is the next word.
const WITH_VALUE: &[&str] = &[
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "-C",
    "--conditions",
    "--env-file",
    "--title",
];

/// A package manager's command line: its name, whatever its path, and its words.
pub(crate) fn command_of(script: &str, args: &[String]) -> Option<Vec<String>> {
    let mut words: Vec<String> = match script.contains(char::is_whitespace) {
        true => words::split(script),
        false => vec![script.to_owned()],
    };
    words.extend(args.iter().cloned());
    let name = Path::new(words.first()?).file_name()?.to_str()?.to_owned();
    matches!(name.as_str(), "npm" | "yarn" | "pnpm" | "npx").then(|| {
        words[0] = name;
        words
    })
}

/// The Node program that a package manager's command line runs in a directory.
pub(crate) fn entry(command: &[String], cwd: &Path) -> Result<Entry, Opaque> {
    let typed = command.join(" ");
    let Some((tool, words)) = command.split_first() else {
        return Err(opaque(&typed, "it is empty"));
    };
    if tool == "npx" {
        return program(words.to_vec(), cwd, &typed);
    }
    let (script, more) =
        named_script(tool, words).ok_or_else(|| opaque(&typed, "it runs no script of a package.json"))?;
    let package = package(cwd).ok_or_else(|| opaque(&typed, "there is no package.json that can be read"))?;
    for hook in [format!("pre{script}"), format!("post{script}")] {
        if package.pointer(&format!("/scripts/{hook}")).is_some() {
            return Err(opaque(&typed, &format!("its package.json also has \"{hook}\"")));
        }
    }
    let text = match package.pointer(&format!("/scripts/{script}")).and_then(Value::as_str) {
        Some(text) => text.to_owned(),
        // npm's default.
        None if script == "start" && cwd.join("server.js").is_file() => "node server.js".to_owned(),
        None => return Err(opaque(&typed, &format!("its package.json has no script \"{script}\""))),
    };
    if text.contains(|c| SHELL.contains(c)) {
        return Err(opaque(&typed, &format!("its script needs a shell: `{text}`")));
    }
    let mut words = words::split(&text);
    words.extend(more);
    program(words, cwd, &text)
}

/// The script that is asked for, and the arguments for it.
fn named_script(tool: &str, words: &[String]) -> Option<(String, Vec<String>)> {
    let mut rest = words.iter().map(String::as_str);
    let script = match rest.next()? {
        "run" | "run-script" => rest.next()?,
        "start" => "start",
        "test" | "stop" | "install" | "exec" | "ci" | "add" | "dlx" => return None,
        other if tool != "npm" => other,
        _ => return None,
    };
    if script.starts_with('-') || script.contains(['/', '~']) {
        return None;
    }
    let more = rest.filter(|word| *word != "--").map(str::to_owned).collect();
    Some((script.to_owned(), more))
}

/// The package.json of a directory, if it can be read.
pub(crate) fn package(cwd: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(cwd.join("package.json")).ok()?).ok()
}

/// A command of words alone.
fn program(words: Vec<String>, cwd: &Path, command: &str) -> Result<Entry, Opaque> {
    let mut rest = words.into_iter();
    let first = rest.next().ok_or_else(|| opaque(command, "it is empty"))?;
    if first.contains('=') {
        return Err(opaque(command, "it sets variables, which belong into `env`"));
    }
    if first != "node" {
        let file =
            of_dependency(&first, cwd).ok_or_else(|| opaque(command, "it is no Node program of node_modules"))?;
        return Ok(Entry {
            file,
            node_args: Vec::new(),
            args: rest.collect(),
            command: command.to_owned(),
        });
    }
    let mut node_args = Vec::new();
    let file = loop {
        let word = rest.next().ok_or_else(|| opaque(command, "it names no file"))?;
        if !word.starts_with('-') {
            break word;
        }
        if matches!(
            word.as_str(),
            "-e" | "--eval" | "-p" | "--print" | "-" | "--test" | "--run" | "--watch"
        ) {
            return Err(opaque(command, &format!("`{word}` runs no file of its own")));
        }
        let takes_next = WITH_VALUE.contains(&word.as_str());
        node_args.push(word);
        if takes_next {
            node_args.extend(rest.next());
        }
    };
    let file = script_file(&cwd.join(file)).ok_or_else(|| opaque(command, "its file is not there"))?;
    Ok(Entry {
        file,
        node_args,
        args: rest.collect(),
        command: command.to_owned(),
    })
}

/// As Node finds the file it is given: itself, with an extension, or a directory's index.
fn script_file(file: &Path) -> Option<PathBuf> {
    let extended = |extension: &str| PathBuf::from(format!("{}.{extension}", file.display()));
    [file.to_owned(), extended("js"), extended("cjs"), file.join("index.js")]
        .into_iter()
        .find(|file| file.is_file())
}

/// A program that a dependency brings, if it is written for Node.
fn of_dependency(name: &str, cwd: &Path) -> Option<PathBuf> {
    if name.contains('/') {
        return None;
    }
    let found = cwd
        .ancestors()
        .map(|directory| directory.join("node_modules/.bin").join(name))
        .find(|file| file.is_file())?;
    // A link into the package; a shell script of pnpm's is not one.
    let file = fs::canonicalize(found).ok()?;
    let text = fs::read(&file).ok()?;
    let line = text.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    (line.starts_with("#!") && line.trim_end().ends_with("node")).then_some(file)
}

fn opaque(command: &str, why: &str) -> Opaque {
    Opaque {
        message: format!("`{command}` cannot be run in cluster mode: {why}"),
        hint: "name the file that listens as `script`, e.g. script: \"./dist/server.js\"; or let it run as it is with exec_mode: \
               \"fork\""
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn words(text: &str) -> Vec<String> {
        words::split(text)
    }

    /// A package with these scripts, a server, and `next` as a dependency brings it.
    fn package_with(scripts: &Value) -> TempDir {
        let directory = TempDir::new().expect("a directory");
        let root = directory.path();
        let bin = root.join("node_modules/next/dist/bin");
        fs::create_dir_all(&bin).expect("made");
        fs::create_dir_all(root.join("node_modules/.bin")).expect("made");
        fs::write(bin.join("next"), "#!/usr/bin/env node\n").expect("written");
        symlink("../next/dist/bin/next", root.join("node_modules/.bin/next")).expect("linked");
        fs::write(root.join("node_modules/.bin/tool"), "#!/bin/sh\n").expect("written");
        fs::write(root.join("server.js"), "").expect("written");
        fs::write(
            root.join("package.json"),
            serde_json::json!({ "scripts": scripts }).to_string(),
        )
        .expect("written");
        directory
    }

    fn found(scripts: &Value, command: &str) -> Result<(String, Vec<String>, Vec<String>), String> {
        let package = package_with(scripts);
        let root = fs::canonicalize(package.path()).expect("it is there");
        let entry = entry(&words(command), &root).map_err(|opaque| opaque.message)?;
        let file = entry.file.strip_prefix(&root).expect("below the package");
        Ok((file.display().to_string(), entry.node_args, entry.args))
    }

    #[test]
    fn package_managers_are_known_by_their_names() {
        let command = |script: &str, args: &[&str]| {
            command_of(script, &args.iter().map(ToString::to_string).collect::<Vec<_>>()).map(|words| words.join(" "))
        };
        assert_eq!(command("/usr/bin/npm", &["start"]).as_deref(), Some("npm start"));
        assert_eq!(
            command("npm run serve", &["--", "-p", "1"]).as_deref(),
            Some("npm run serve -- -p 1")
        );
        assert_eq!(command("./server.js", &["npm"]), None);
    }

    #[test]
    fn a_plain_script_is_followed_to_its_file() {
        let scripts = serde_json::json!({
            "start": "node --enable-source-maps -r ./trace.js server.js --quiet",
            "web": "next start",
        });
        let file = |file: &str, node: &[&str], args: &[&str]| {
            let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
            Ok((file.to_owned(), owned(node), owned(args)))
        };
        let node = ["--enable-source-maps", "-r", "./trace.js"];
        assert_eq!(found(&scripts, "npm start"), file("server.js", &node, &["--quiet"]));
        let next = "node_modules/next/dist/bin/next";
        assert_eq!(
            found(&scripts, "npm run web -- -p 80"),
            file(next, &[], &["start", "-p", "80"])
        );
        assert_eq!(found(&scripts, "yarn web"), file(next, &[], &["start"]));
        assert_eq!(found(&scripts, "npx next start"), file(next, &[], &["start"]));
        assert_eq!(found(&serde_json::json!({}), "npm start"), file("server.js", &[], &[]));
    }

    #[test]
    fn what_is_not_plain_is_refused_with_the_reason() {
        let scripts = serde_json::json!({
            "start": "npm run build && node server.js",
            "production": "NODE_ENV=production node server.js",
            "hooked": "node server.js", "prehooked": "tsc",
            "shell": "tool", "gone": "node nowhere.js", "eval": "node -e 1",
        });
        let reasons = [
            "start",
            "run production",
            "run hooked",
            "run shell",
            "run gone",
            "run eval",
            "run absent",
            "install",
        ]
        .map(|command| found(&scripts, &format!("npm {command}")).expect_err("refused"));
        insta::assert_snapshot!(reasons.join("\n"));
    }
}
