use crate::arguments::app_options::AppOptions;
use crate::configuration::{self, Typed};
use crate::error::{Error, Kind, Result};
use crate::printer::Printer;
use crate::session::Session;
use crate::{project, targets};
use clap::{Args, ValueEnum};
use ostler_core::Spec;
use ostler_export::probe::Paths;
use ostler_export::{Document, Export as Exported, dockerfile, kubernetes, systemd};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Write what runs the same apps without this machine, or without Ostler
///
/// Nothing is started and nothing is changed. What cannot be carried over is told, and stands at the top of what is written.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler export kubernetes --image registry.example.com/shop:1.4.2 --output k8s
  ostler export kubernetes ecosystem.config.js --env production | kubectl diff -f -
  ostler export systemd --only api --output units
  ostler export dockerfile > Dockerfile")]
pub struct Export {
    /// What to write
    pub target: Target,
    /// Config file, or `-` for JSON on standard input [default: the ecosystem.config.js of this directory]
    pub file: Option<String>,
    /// Take the block `env_<NAME>` of the config file
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Only these apps of the config file
    #[arg(long, value_name = "NAMES")]
    pub only: Option<String>,
    /// Write files into this directory [default: standard output]
    #[arg(short, long, value_name = "DIRECTORY")]
    pub output: Option<PathBuf>,
    /// Overwrite files that are there and differ
    #[arg(short, long)]
    pub force: bool,
    /// The image that pods run (kubernetes)
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// HTTP path that answers while the app is alive (kubernetes, dockerfile)
    #[arg(long, value_name = "PATH")]
    pub health_path: Option<String>,
    /// HTTP path that answers while the app is to be given requests (kubernetes)
    #[arg(long, value_name = "PATH")]
    pub ready_path: Option<String>,
}

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// Objects for `kubectl apply`
    #[value(alias = "k8s")]
    Kubernetes,
    /// Units that run the apps without Ostler
    Systemd,
    /// An image of the config's directory
    #[value(alias = "docker")]
    Dockerfile,
}

impl Export {
    pub async fn run(self, session: &Session) -> Result {
        self.refuse_unused()?;
        let file = match &self.file {
            Some(file) => file.clone(),
            None => targets::default_file(session, &AppOptions::default())?,
        };
        let specs = self.specs(session, &file)?;
        let exported = self.exported(session, &file, &specs)?;
        for remark in &exported.remarks {
            session.printer.warn(&remark.to_string());
        }
        match &self.output {
            Some(directory) => self.write(session, &session.cwd.join(directory), &exported.documents),
            None => Ok(session
                .printer
                .data(self.printed(&session.printer, &exported.documents))?),
        }
    }

    fn refuse_unused(&self) -> Result {
        let unused = match self.target {
            Target::Kubernetes => None,
            Target::Systemd if self.health_path.is_some() => Some("--health-path"),
            Target::Systemd | Target::Dockerfile if self.image.is_some() => Some("--image"),
            Target::Systemd | Target::Dockerfile if self.ready_path.is_some() => Some("--ready-path"),
            Target::Systemd | Target::Dockerfile => None,
        };
        unused.map_or(Ok(()), |option| {
            let error = Error::user(format!("{option} has no meaning for {}", self.name()));
            Err(error.hint("`ostler export --help` says what it is for"))
        })
    }

    fn name(&self) -> &'static str {
        match self.target {
            Target::Kubernetes => "kubernetes",
            Target::Systemd => "systemd",
            Target::Dockerfile => "dockerfile",
        }
    }

    fn specs(&self, session: &Session, file: &str) -> Result<Vec<Spec>> {
        let typed = Typed {
            env_name: self.env.as_deref(),
            only: self.only.as_deref(),
            attributes: serde_json::Map::new(),
        };
        let specs = if configuration::is_config_file(file) {
            configuration::load(session, file, &typed)?
        } else if targets::is_declaration(file) {
            configuration::load_stdin(session, &typed)?
        } else {
            let error = Error::user(format!("{file} is no config file"));
            return Err(error
                .hint("name an ecosystem.config.js, .json, .yaml or .toml; `ostler start app.js --write` makes one"));
        };
        if specs.is_empty() {
            return Err(Error::user(format!("{file} declares no app to export")).hint("check `apps`, and --only"));
        }
        Ok(specs)
    }

    fn exported(&self, session: &Session, file: &str, specs: &[Spec]) -> Result<Exported> {
        let project = project::project(session, file, self.env.as_deref(), specs)?;
        let probes = Paths {
            health: self.health_path.clone(),
            ready: self.ready_path.clone(),
        };
        match self.target {
            Target::Kubernetes => {
                let options = kubernetes::Options {
                    image: self.image.clone(),
                    probes,
                };
                Ok(kubernetes::kubernetes(specs, &project, &options))
            }
            Target::Systemd => systemd::systemd(specs, &project).map_err(|error| {
                Error::new(Kind::Config, error.to_string()).hint("choose another path or name for it")
            }),
            Target::Dockerfile => Ok(dockerfile::dockerfile(specs, &project, &probes)),
        }
    }

    /// Everything as one text. A Dockerfile stands alone, so that it can be sent into a file.
    fn printed(&self, printer: &Printer, documents: &[Document]) -> String {
        match self.target {
            Target::Kubernetes => documents.iter().map(|document| document.text.as_str()).collect(),
            Target::Systemd => {
                let parts = documents
                    .iter()
                    .map(|document| format!("# {}\n{}", document.path, document.text));
                parts.collect::<Vec<_>>().join("\n")
            }
            Target::Dockerfile => {
                let (first, others) = documents
                    .split_first()
                    .map_or((None, documents), |(first, others)| (Some(first), others));
                for other in others {
                    printer.hint(&format!(
                        "a {} belongs to it: `--output DIRECTORY` writes it, too",
                        other.path
                    ));
                }
                first.map(|document| document.text.clone()).unwrap_or_default()
            }
        }
    }

    /// Nothing is written if anything that is there would be lost.
    fn write(&self, session: &Session, directory: &Path, documents: &[Document]) -> Result {
        let lost = documents.iter().filter(|document| {
            let there = fs::read(directory.join(&document.path));
            there.is_ok_and(|bytes| bytes != document.text.as_bytes())
        });
        let lost: Vec<String> = lost.map(|document| document.path.clone()).collect();
        if !lost.is_empty() && !self.force {
            let error = Error::user(format!(
                "{} has another {} already",
                directory.display(),
                lost.join(", ")
            ));
            return Err(error.hint("--force overwrites; another --output keeps both"));
        }
        for document in documents {
            write(&directory.join(&document.path), document)?;
        }
        for document in documents {
            session
                .printer
                .say(&format!("wrote {}", directory.join(&document.path).display()));
        }
        Ok(())
    }
}

fn write(path: &Path, document: &Document) -> Result {
    let failed =
        |what: &str, path: &Path, error: &std::io::Error| Error::system(format!("{what} {}: {error}", path.display()));
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(|error| failed("making the directory", directory, &error))?;
    }
    let mode = if document.private { 0o600 } else { 0o644 };
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path);
    let written = file.and_then(|mut file| file.write_all(document.text.as_bytes()));
    written.map_err(|error| failed("writing", path, &error))
}
