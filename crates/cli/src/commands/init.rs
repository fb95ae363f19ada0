use crate::error::{Error, Result};
use crate::session::Session;
use clap::{Args, ValueEnum};
use ostler_config::{Beginning, Extent, begin};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

/// Write a config file to begin with
///
/// It starts what `npm start` runs here, or what the package.json names, or what looks like it; edit it to your needs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler init           ecosystem.config.js, with what most want sooner or later
  ostler init simple    with a name and a script only
  ostler start          what it declares")]
pub struct Init {
    /// How much it is to declare
    #[arg(value_enum, value_name = "EXTENT")]
    pub extent: Option<Wanted>,
    /// Overwrite what is there
    #[arg(short, long)]
    pub force: bool,
}

/// How much is to be declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// A name and a script
    Simple,
}

impl Init {
    pub async fn run(self, session: &Session) -> Result {
        let extent = match self.extent {
            Some(Wanted::Simple) => Extent::Least,
            None => Extent::Usual,
        };
        let beginning = begin(&session.cwd, extent);
        self.write(session, &beginning)?;
        let Beginning { file, script, .. } = beginning;
        session.printer.say(&format!("wrote {file}, which starts {script}"));
        if beginning.found {
            session.printer.hint("`ostler start` starts what it declares");
        } else {
            session
                .printer
                .warn(&format!("there is no {script} yet: name your script in it"));
        }
        Ok(())
    }

    fn write(&self, session: &Session, beginning: &Beginning) -> Result {
        let path = session.cwd.join(beginning.file);
        let mut options = OpenOptions::new();
        options.write(true);
        match self.force {
            true => options.create(true).truncate(true),
            false => options.create_new(true),
        };
        let written = options
            .open(&path)
            .and_then(|mut file| file.write_all(beginning.text.as_bytes()));
        written.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Error::user(format!("there is {} already", path.display())).hint("--force overwrites it")
            }
            _ => Error::system(format!("writing {}: {error}", path.display())),
        })
    }
}
