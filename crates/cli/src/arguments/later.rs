//! Options that are told to the parser only once their verb was typed: describing the many of `start` and its kin takes
//! longer than most other commands altogether.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// What a verb with many options understands.
#[derive(Debug)]
pub struct Later<T>(pub Box<T>);

impl<T: FromArgMatches> FromArgMatches for Later<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(|options| Self(Box::new(options)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Args> Args for Later<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(T::augment_args)
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(T::augment_args_for_update)
    }
}
