//! Any one process of ours may be SIGKILLed at any moment, and no app notices.

mod ends;
mod output;
mod storm;
mod unnoticed;

use ostler_testkit::{Home, Manager, Topology, process};

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Daemon,
    Keeper,
}

impl Victim {
    fn kill(self, of: Topology) {
        match self {
            Self::Daemon => process::kill(of.daemon),
            Self::Keeper => process::kill(of.keeper),
        };
    }
}

/// Kills one after the other, each time once the last one has been replaced.
fn kill_in_turn(home: &Home, victims: &[Victim]) {
    for victim in victims {
        let before = home.topology();
        victim.kill(before);
        home.wait_recovered(before);
    }
}

/// After these a worker of the first daemon is nobody's child that we know: it fell to the first keeper and then to init.
const ORPHANING: [Victim; 3] = [Victim::Daemon, Victim::Keeper, Victim::Daemon];
