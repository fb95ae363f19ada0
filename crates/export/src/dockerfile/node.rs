//! Stages for Node and its like: what the lock file says is installed, what builds is built, and what only builds is left behind.

use super::Stages;
use crate::Project;
use crate::container::ROOT;
use crate::remarks::Remarks;
use ostler_core::Spec;
use serde_json::Value;

/// The long-term release of 2026.
const NODE: &str = "24";

/// What installs packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Installer {
    Npm,
    Pnpm,
    YarnClassic,
    /// Yarn 2 and later, which comes by corepack.
    Yarn,
}

/// What to run, and what it reads.
struct Commands {
    /// What gets the installer itself, if the image has not got it.
    get: String,
    /// Files it reads, besides `package.json`.
    files: Vec<&'static str>,
    all: String,
    /// Without what is for development only.
    production: String,
    build: &'static str,
    prune: &'static str,
}

pub(super) fn node(specs: &[Spec], project: &Project, remarks: &mut Remarks) -> Stages {
    let version = version(project, remarks);
    let arguments = format!("ARG NODE_VERSION={version}\n\n");
    let base = "node:${NODE_VERSION}-bookworm-slim".to_owned();
    let mut finish = "ENV NODE_ENV=production\n".to_owned();
    let Some(package) = &project.package else {
        return Stages {
            arguments,
            build: String::new(),
            base,
            finish,
            from_build: false,
        };
    };
    let installer = installer(project, package);
    let commands = commands(installer, project, package, remarks);
    if package.get("workspaces").is_some() || has(project, "pnpm-workspace.yaml") {
        remarks.say("the project has workspaces: copy their package.json files, too, before packages are installed");
    }
    if runs_installer(specs, installer) {
        finish.push_str(&commands.get);
    }
    Stages {
        arguments,
        build: build(project, package, &commands),
        base,
        finish,
        from_build: true,
    }
}

fn build(project: &Project, package: &Value, commands: &Commands) -> String {
    let builds = package.pointer("/scripts/build").is_some();
    let files: Vec<&str> = commands
        .files
        .iter()
        .copied()
        .filter(|file| has(project, file))
        .collect();
    let mut text = "# The whole image has the compilers that some packages need.\n".to_owned();
    text.push_str("FROM node:${NODE_VERSION}-bookworm AS build\n");
    text.push_str(&format!("WORKDIR {ROOT}\n"));
    text.push_str(&commands.get);
    text.push_str(&format!("COPY package.json {} ./\n", files.join(" ")).replace("  ", " "));
    if has(project, ".yarn") && commands.files.contains(&".yarnrc.yml") {
        text.push_str("COPY .yarn ./.yarn\n");
    }
    text.push_str(&format!(
        "RUN {}\n",
        if builds { &commands.all } else { &commands.production }
    ));
    text.push_str("COPY . .\n");
    if builds {
        text.push_str(&format!("RUN {} && {}\n", commands.build, commands.prune));
    }
    text.push('\n');
    text
}

fn has(project: &Project, name: &str) -> bool {
    project.entries.contains(name)
}

fn installer(project: &Project, package: &Value) -> Installer {
    let declared = declared(package).unwrap_or_default();
    let yarn = || {
        let later = has(project, ".yarnrc.yml") || declared.starts_with("yarn@") && !declared.starts_with("yarn@1");
        if later { Installer::Yarn } else { Installer::YarnClassic }
    };
    match () {
        () if has(project, "pnpm-lock.yaml") => Installer::Pnpm,
        () if has(project, "yarn.lock") => yarn(),
        () if has(project, "package-lock.json") || has(project, "npm-shrinkwrap.json") => Installer::Npm,
        () if declared.starts_with("pnpm@") => Installer::Pnpm,
        () if declared.starts_with("yarn@") => yarn(),
        () => Installer::Npm,
    }
}

/// `packageManager`, without the checksum behind its version.
fn declared(package: &Value) -> Option<&str> {
    package.get("packageManager")?.as_str()?.split('+').next()
}

fn commands(installer: Installer, project: &Project, package: &Value, remarks: &mut Remarks) -> Commands {
    let locked = [
        "package-lock.json",
        "npm-shrinkwrap.json",
        "pnpm-lock.yaml",
        "yarn.lock",
    ]
    .iter()
    .any(|file| has(project, file));
    if !locked {
        remarks.say("there is no lock file: each build may install other versions; commit the one that your package manager writes");
    }
    let install = if locked { "ci" } else { "install" };
    let frozen = if locked { " --frozen-lockfile" } else { "" };
    match installer {
        Installer::Npm => Commands {
            get: String::new(),
            files: vec!["package-lock.json", "npm-shrinkwrap.json", ".npmrc"],
            all: format!("npm {install}"),
            production: format!("npm {install} --omit=dev"),
            build: "npm run build",
            prune: "npm prune --omit=dev",
        },
        Installer::Pnpm => {
            let version = declared(package)
                .filter(|declared| declared.starts_with("pnpm@"))
                .unwrap_or_else(|| {
                    remarks.say("no `packageManager` in package.json says which pnpm it is: the newest is taken");
                    "pnpm@latest"
                });
            Commands {
                get: format!("RUN npm install --global {version}\n"),
                files: vec!["pnpm-lock.yaml", "pnpm-workspace.yaml", ".npmrc"],
                all: format!("pnpm install{frozen}"),
                production: format!("pnpm install{frozen} --prod"),
                build: "pnpm run build",
                prune: "pnpm prune --prod",
            }
        }
        Installer::YarnClassic => Commands {
            get: "RUN npm install --global --force yarn@1\n".to_owned(),
            files: vec!["yarn.lock", ".yarnrc", ".npmrc"],
            all: format!("yarn install{frozen}"),
            production: format!("yarn install{frozen} --production"),
            build: "yarn run build",
            prune: "yarn install --frozen-lockfile --production --ignore-scripts --prefer-offline",
        },
        Installer::Yarn => {
            remarks.say("with Plug'n'Play (`nodeLinker: pnp`) Node has to be started with `--require ./.pnp.cjs`: put it into `node_args`");
            Commands {
                get: "RUN npm install --global --force corepack && corepack enable\n".to_owned(),
                files: vec!["yarn.lock", ".yarnrc.yml"],
                all: "yarn install --immutable".to_owned(),
                production: "yarn workspaces focus --all --production".to_owned(),
                build: "yarn run build",
                prune: "yarn workspaces focus --all --production",
            }
        }
    }
}

/// Whether an app is started by what installs: then the last image needs it, too. npm is there anyway.
fn runs_installer(specs: &[Spec], installer: Installer) -> bool {
    let program = match installer {
        Installer::Npm => return false,
        Installer::Pnpm => "pnpm",
        Installer::YarnClassic | Installer::Yarn => "yarn",
    };
    specs.iter().any(|spec| {
        let words = spec
            .program
            .args
            .iter()
            .flat_map(|argument| argument.split_whitespace());
        std::iter::once(spec.program.path.as_str())
            .chain(words)
            .any(|word| super::file_name(word) == program)
    })
}

/// The version's first number, from `.nvmrc`, `.node-version` or `engines`.
fn version(project: &Project, remarks: &mut Remarks) -> String {
    let engines = project
        .package
        .as_ref()
        .and_then(|package| package.pointer("/engines/node")?.as_str());
    let said = project.node_version.as_deref().or(engines);
    let number = said.and_then(|said| {
        // `^22.1 || >=24` asks for 22 at least; the first number will do.
        let digits = said.trim().trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        Some(digits[..end].to_owned()).filter(|number| !number.is_empty())
    });
    number.unwrap_or_else(|| {
        remarks.say(format!(
            "nothing says which Node it needs (`engines` in package.json, .nvmrc): it is {NODE}"
        ));
        NODE.to_owned()
    })
}

pub(super) fn bun(project: &Project) -> Stages {
    let lock = ["bun.lock", "bun.lockb"].into_iter().find(|lock| has(project, lock));
    let mut build = String::new();
    if project.package.is_some() {
        let frozen = if lock.is_some() { " --frozen-lockfile" } else { "" };
        build = format!(
            "FROM oven/bun:${{BUN_VERSION}} AS build\nWORKDIR {ROOT}\nCOPY package.json {} ./\nRUN bun install{frozen} --production\nCOPY . .\n\n",
            lock.unwrap_or_default()
        )
        .replace("  ", " ");
    }
    Stages {
        arguments: "ARG BUN_VERSION=1\n\n".to_owned(),
        from_build: !build.is_empty(),
        build,
        base: "oven/bun:${BUN_VERSION}-slim".to_owned(),
        finish: "ENV NODE_ENV=production\n".to_owned(),
    }
}

pub(super) fn deno() -> Stages {
    Stages {
        arguments: "ARG DENO_VERSION=2.5.6\n\n".to_owned(),
        build: String::new(),
        base: "denoland/deno:debian-${DENO_VERSION}".to_owned(),
        finish: "# What it imports is fetched when it starts, unless the directory has it (`deno install`, vendored).\nENV DENO_DIR=/tmp/deno\n"
            .to_owned(),
        from_build: false,
    }
}
