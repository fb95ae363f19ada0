//! A config file to begin with, for a directory with a program: what `ostler init` writes.

use crate::wrapper;
use serde_json::json;
use std::path::Path;

/// What may be what is to be run, where nothing says so, the likeliest first.
const CANDIDATES: [&str; 9] = [
    "index.js",
    "server.js",
    "app.js",
    "main.js",
    "index.mjs",
    "server.mjs",
    "src/index.js",
    "main.py",
    "app.py",
];

/// A config file that is still to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// What it is to be called.
    pub file: &'static str,
    /// What it is to contain.
    pub text: String,
    /// The script that it starts.
    pub script: String,
    /// Whether there is one.
    pub found: bool,
}

/// How much is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What there must be.
    Least,
    /// And what most want sooner or later, some of it commented out.
    Usual,
}

/// A config file for what is in a directory.
pub fn begin(directory: &Path, extent: Extent) -> Beginning {
    let package = wrapper::package(directory);
    let declared = |pointer: &str| package.as_ref()?.pointer(pointer)?.as_str();
    let script = script(directory, declared("/main"));
    let name = name(directory, declared("/name"));
    // Node reads `.js` as an ES module there, which has no `module.exports`.
    let file = match declared("/type") {
        Some("module") => "ecosystem.config.cjs",
        Some(_) | None => "ecosystem.config.js",
    };
    let found = script.is_some();
    let script = script.unwrap_or_else(|| "app.js".to_owned());
    Beginning {
        file,
        text: text(&name, &script, extent),
        script,
        found,
    }
}

/// What `npm start` runs, or else what the package is, or else what is called as such files are.
fn script(directory: &Path, main: Option<&str>) -> Option<String> {
    let start = ["npm", "start"].map(str::to_owned);
    let started = wrapper::entry(&start, directory)
        .ok()
        .filter(|entry| entry.node_args.is_empty() && entry.args.is_empty())
        .and_then(|entry| Some(entry.file.strip_prefix(directory).ok()?.to_str()?.to_owned()));
    let named = started.as_deref().into_iter().chain(main).chain(CANDIDATES);
    let plain = named.map(|path| path.strip_prefix("./").unwrap_or(path));
    let mut there = plain.filter(|path| directory.join(path).is_file());
    there.next().map(str::to_owned)
}

/// That of the package without its owner (`@acme/shop`), or else of the directory.
fn name(directory: &Path, package: Option<&str>) -> String {
    let package = package.and_then(|name| name.rsplit('/').next());
    let directory = directory.file_name().and_then(|name| name.to_str());
    let name = package.into_iter().chain(directory).find(|name| !name.is_empty());
    name.unwrap_or("app").to_owned()
}

fn text(name: &str, script: &str, extent: Extent) -> String {
    // A string of JSON is one of JavaScript.
    let (name, quoted) = (json!(name), json!(script));
    let more = match extent {
        Extent::Least => String::new(),
        Extent::Usual if is_for_node(script) => format!("{NODE}{ANY}{ENVIRONMENT}"),
        Extent::Usual => ANY.to_owned(),
    };
    format!(
        "module.exports = {{\n  apps: [\n    {{\n      name: {name},\n      script: {quoted},\n{more}    }},\n  ],\n}};\n"
    )
}

fn is_for_node(script: &str) -> bool {
    Path::new(script).extension().is_none_or(|extension| extension != "py")
}

const NODE: &str = "
      // A worker on each processor, all behind one port. `ostler reload` replaces them without losing a request.
      // exec_mode: \"cluster\",
      // instances: \"max\",
";

const ANY: &str = "
      // Started anew when it uses more memory than this, or answers this path with an error or not at all.
      // max_memory_restart: \"500M\",
      // health: \"/healthz\",
";

const ENVIRONMENT: &str = "
      env: {
        NODE_ENV: \"development\",
      },
      // `ostler start --env production`
      env_production: {
        NODE_ENV: \"production\",
      },
";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Files by name, and what they contain.
    type Files<'a> = &'a [(&'a str, &'a str)];

    /// A directory called `shop` with these files.
    fn directory(files: Files<'_>) -> (tempfile::TempDir, std::path::PathBuf) {
        let temporary = tempfile::tempdir().expect("a directory");
        let directory = temporary.path().join("shop");
        for (file, text) in files {
            let path = directory.join(file);
            fs::create_dir_all(path.parent().expect("below it")).expect("a directory");
            fs::write(path, text).expect("written");
        }
        fs::create_dir_all(&directory).expect("a directory");
        (temporary, directory)
    }

    fn begun(files: Files<'_>) -> Beginning {
        begin(&directory(files).1, Extent::Least)
    }

    #[test]
    fn a_file_of_the_usual_extent() {
        let (_temporary, node) = directory(&[("server.js", "")]);
        insta::assert_snapshot!(begin(&node, Extent::Usual).text);
    }

    #[test]
    fn a_file_of_the_usual_extent_for_another_language() {
        let (_temporary, python) = directory(&[("main.py", "")]);
        insta::assert_snapshot!(begin(&python, Extent::Usual).text);
    }

    #[test]
    fn the_script_is_what_is_started_or_the_package_or_looks_like_it() {
        let start = r#"{ "scripts": { "start": "node ./bin/www" }, "main": "lib.js" }"#;
        let table: &[(Files<'_>, &str, bool)] = &[
            (
                &[("package.json", start), ("bin/www", ""), ("lib.js", "")],
                "bin/www",
                true,
            ),
            (
                &[
                    ("package.json", r#"{ "main": "./lib.js" }"#),
                    ("lib.js", ""),
                    ("index.js", ""),
                ],
                "lib.js",
                true,
            ),
            (
                &[("package.json", r#"{ "main": "gone.js" }"#), ("index.js", "")],
                "index.js",
                true,
            ),
            (
                &[("package.json", "{"), ("app.js", ""), ("main.py", "")],
                "app.js",
                true,
            ),
            (&[("main.py", "")], "main.py", true),
            (&[("README", "")], "app.js", false),
        ];
        for (files, script, found) in table {
            let begun = begun(files);
            assert_eq!((begun.script.as_str(), begun.found), (*script, *found), "{files:?}");
            assert!(begun.text.contains(&format!("script: \"{script}\",")), "{}", begun.text);
        }
    }

    #[test]
    fn it_is_called_as_the_package_or_the_directory_and_is_javascript_whatever_that_is() {
        let called = |package: &str| begun(&[("package.json", package)]).text;
        assert!(called(r#"{ "name": "@acme/till" }"#).contains("name: \"till\","));
        assert!(called("{}").contains("name: \"shop\","));
        assert!(called(r#"{ "name": "a\"b\\c\nd" }"#).contains(r#"name: "a\"b\\c\nd","#));
    }

    #[test]
    fn where_js_is_a_module_it_is_not_js() {
        assert_eq!(
            begun(&[("package.json", r#"{ "type": "module" }"#)]).file,
            "ecosystem.config.cjs"
        );
        assert_eq!(
            begun(&[("package.json", r#"{ "type": "commonjs" }"#)]).file,
            "ecosystem.config.js"
        );
    }
}
