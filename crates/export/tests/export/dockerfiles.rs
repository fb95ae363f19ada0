//! Dockerfiles are read by a parser of Dockerfiles, and each package manager gets its own words.

use crate::support::{Stage, shop};
use ostler_export::dockerfile::dockerfile;
use ostler_export::probe::Paths;
use ostler_testkit::{skip, tools};
use std::fs;
use std::process::Command;

const NODE_CONFIG: (&str, &str) = (
    "ecosystem.config.js",
    "module.exports = { apps: [{ name: 'app', script: 'app.js', port: 3000 }] };",
);
const PYTHON_CONFIG: (&str, &str) = (
    "ecosystem.config.js",
    "module.exports = { apps: [{ name: 'web', script: 'gunicorn', args: 'app:app', interpreter: 'none', listen: 'tcp://0.0.0.0:8000' }] };",
);

/// Names and texts.
type Files<'a> = &'a [(&'a str, &'a str)];

fn of(files: Files<'_>) -> String {
    let loaded = Stage::new(files).load("ecosystem.config.js", None);
    dockerfile(&loaded.specs, &loaded.project, &Paths::default())
        .documents
        .remove(0)
        .text
}

fn node(files: Files<'_>) -> String {
    of(&[&[NODE_CONFIG, ("app.js", "")], files].concat())
}

fn python(files: Files<'_>) -> String {
    of(&[&[PYTHON_CONFIG], files].concat())
}

#[test]
fn each_package_manager_is_known_by_its_lock_file() {
    let package = ("package.json", "{}");
    let built = (
        "package.json",
        r#"{ "scripts": { "build": "tsc" }, "packageManager": "pnpm@9.1.0+sha256.abc" }"#,
    );
    let cases: [(Files<'_>, &[&str]); 7] = [
        (
            &[package, ("package-lock.json", "")],
            &["COPY package.json package-lock.json ./\nRUN npm ci --omit=dev\n"],
        ),
        (
            &[package],
            &[
                "COPY package.json ./\nRUN npm install --omit=dev\n",
                "there is no lock file",
            ],
        ),
        (
            &[built, ("pnpm-lock.yaml", "")],
            &[
                "npm install --global pnpm@9.1.0\n",
                "RUN pnpm install --frozen-lockfile\n",
                "pnpm run build && pnpm prune --prod",
            ],
        ),
        (
            &[package, ("yarn.lock", "")],
            &["yarn@1", "RUN yarn install --frozen-lockfile --production\n"],
        ),
        (
            &[package, ("yarn.lock", ""), (".yarnrc.yml", "")],
            &[
                "corepack enable",
                "COPY package.json yarn.lock .yarnrc.yml ./",
                "yarn workspaces focus",
            ],
        ),
        (&[package, (".nvmrc", "v20.11\n")], &["ARG NODE_VERSION=20\n"]),
        (&[], &["COPY . .\n", "ARG NODE_VERSION=24\n"]),
    ];
    for (files, expected) in cases {
        let text = node(files);
        for words in expected {
            assert!(text.contains(words), "{words} in\n{text}");
        }
    }
}

#[test]
fn python_gets_an_environment_of_its_own_and_a_config_that_needs_no_node() {
    let cases = [
        (
            ("requirements.txt", ""),
            "pip install --no-cache-dir --requirement requirements.txt",
        ),
        (("uv.lock", ""), "uv sync --locked --no-dev"),
        (("poetry.lock", ""), "poetry install --only main"),
        (("Pipfile.lock", ""), "pipenv sync"),
        (("pyproject.toml", ""), "pip install --no-cache-dir .\n"),
    ];
    for (file, words) in cases {
        let text = python(&[file]);
        assert!(
            text.contains(words) && text.contains("COPY --from=build /venv /venv"),
            "{words} in\n{text}"
        );
        assert!(
            text.contains("COPY <<'END_OF_CONFIG' ecosystem.config.json\n{"),
            "{text}"
        );
        assert!(
            text.contains("CMD [\"ostler\",\"runtime\",\"ecosystem.config.json\",\"--shutdown-timeout\",\"32s\"]"),
            "{text}"
        );
    }
    assert!(
        !python(&[]).contains("AS build"),
        "nothing is installed where nothing is declared"
    );
}

#[test]
fn a_parser_of_dockerfiles_finds_no_fault() {
    let test = "a_parser_of_dockerfiles_finds_no_fault";
    let linter = match tools::npm("dockerfile-utils@0.16", "node_modules/.bin/dockerfile-utils") {
        Ok(linter) => linter,
        Err(reason) => return skip(test, &reason),
    };
    let shop = shop().load("ecosystem.config.js", Some("production"));
    let paths = Paths {
        health: Some("/healthz".into()),
        ready: None,
    };
    let texts = [
        dockerfile(&shop.specs, &shop.project, &paths).documents.remove(0).text,
        node(&[("package.json", "{}"), ("yarn.lock", "")]),
        python(&[("poetry.lock", "")]),
        "FROM scratch\nRUNN x\n".to_owned(),
    ];
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("Dockerfile");
    let verdicts = texts.iter().map(|text| {
        fs::write(&path, text).expect("a file");
        let output = Command::new(&linter)
            .arg("lint")
            .arg(&path)
            .output()
            .expect("the linter runs");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    });
    let verdicts: Vec<(bool, String)> = verdicts.collect();
    let good: Vec<bool> = verdicts.iter().map(|(good, _)| *good).collect();
    assert_eq!(good, [true, true, true, false], "{verdicts:?}");
}
