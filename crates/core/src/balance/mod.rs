//! Which worker gets a connection. Pure: called by the primary with what it knows of each worker, for every connection.
//!
//! Invariants: never a worker that is out of rotation, rests, or has no room; equals take turns in the order of slots; where connections are
//! shared by what workers were given or have, nobody is far ahead of a worker that is only about to take what it was given.

mod direct;
mod ledger;
mod shares;

pub use direct::steered;
pub use ledger::Ledger;
pub use shares::{PATIENCE, Shares};

use crate::ids::WorkerId;
use crate::spec::Balance;
use core::net::{IpAddr, Ipv6Addr};

/// How many connections a worker may have been given that it has not taken yet.
pub const WINDOW: usize = 8;

/// The same where no other worker may have them: what is in the worker's channel outlives the daemon, what waits before it
/// does not.
pub const STICKY_WINDOW: usize = 64;

/// How many connections more than others may wait for a worker that was given so many fewer: one that is late catches up by that. More would be
/// more even still, and slower for whoever waits behind a worker that is busy.
const CREDIT: u64 = 8;

/// What is known of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which it is.
    pub worker: WorkerId,
    /// Its instance number, which clients are bound to.
    pub instance: u32,
    /// It listens, is up, and was not told to drain or end.
    pub in_rotation: bool,
    /// It has just given a connection back, or leaves some standing that it should accept by itself.
    pub rests: bool,
    /// It has not taken what it was given a good while ago.
    pub stalls: bool,
    /// Its channel takes another connection.
    pub is_writable: bool,
    /// How many connections it was given and has not taken.
    pub untaken: usize,
    /// Others had better not get far ahead of it: it has not taken what it was given a moment ago, and will (see [`Shares::waits_for`]).
    pub is_awaited: bool,
    /// How many fewer connections it was given lately than the one that was given most (see [`Shares`]).
    pub behind: u64,
    /// How many connections it has open, those not taken among them; nothing where that cannot be known.
    pub open: Option<u64>,
}

impl Candidate {
    /// Whether it may be given a connection now.
    pub fn is_free(&self, balance: Balance) -> bool {
        self.in_rotation && !self.rests && self.is_writable && self.untaken < self.window(balance)
    }

    fn window(&self, balance: Balance) -> usize {
        match balance {
            Balance::Sticky => STICKY_WINDOW,
            Balance::RoundRobin | Balance::LeastConnections | Balance::Direct => {
                WINDOW + usize::try_from(self.credit()).unwrap_or(0)
            }
        }
    }

    /// How many connections more it may be made to wait for than others.
    fn credit(&self) -> u64 {
        self.behind.min(CREDIT)
    }

    /// Whether clients are bound to it: also while it has no room, but not when somebody else would answer sooner.
    fn holds_clients(&self) -> bool {
        self.in_rotation && !self.rests && !self.stalls
    }
}

/// Who a client is, as far as its address tells. An IPv4 address counts whole, of IPv6 the first 64 bits: hosts change the rest
/// of their own accord every day (RFC 8981), and a /64 is one subscriber's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client(u64);

impl Client {
    /// The client at an address. IPv4 is the same one whether it came through an IPv4 or a dual-stack socket.
    pub fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(u32::from(address)) | 0xffff << 32),
            IpAddr::V6(address) => Self(upper_half(address)),
        }
    }

    /// How much it belongs to an instance: the highest wins (rendezvous hashing), so that it moves only if that one goes.
    fn weight(self, instance: u32) -> u64 {
        mixed(mixed(self.0) ^ mixed(!u64::from(instance)))
    }
}

fn upper_half(address: Ipv6Addr) -> u64 {
    u64::try_from(u128::from(address) >> 64).expect("invariant: 64 of 128 bits were shifted out")
}

/// SplitMix64's finish (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// The workers of an app, for a connection that comes through one of its listeners.
#[derive(Clone, Debug)]
pub struct Candidates {
    /// How they share connections.
    pub balance: Balance,
    /// How many more one may have been given than another that is waited for (see [`Shares::lead`]).
    pub lead: u64,
    /// All of them.
    pub all: Vec<Candidate>,
}

impl Candidates {
    /// Names the worker that gets the connection, or none: then it has to wait. `turn` is who had the last one; `client` is known where
    /// addresses tell clients apart, and without it `sticky` goes round.
    pub fn choose(&self, client: Option<Client>, turn: Option<WorkerId>) -> Option<WorkerId> {
        match (self.balance, client) {
            (Balance::Sticky, Some(client)) => self.bound(client).filter(|found| found.is_free(self.balance)),
            (Balance::LeastConnections, _) => self.least(turn, open),
            (Balance::RoundRobin | Balance::Direct | Balance::Sticky, _) => self.least(turn, owed),
        }
        .map(|found| found.worker)
    }

    /// Whether any could be given a connection now.
    pub fn is_any_free(&self) -> bool {
        self.free().next().is_some()
    }

    /// The worker for whose sake connections wait that others have room for.
    pub fn held_up_by(&self) -> Option<WorkerId> {
        let has_room = self.all.iter().any(|one| one.is_free(self.balance));
        let last = self.last().filter(|_| has_room && !self.is_any_free());
        last.map(|one| one.worker)
    }

    /// Those who may be given a connection now.
    fn free(&self) -> impl Iterator<Item = &Candidate> {
        let last = self.last().map(|one| self.level(one));
        let free = self.all.iter().filter(|one| one.is_free(self.balance));
        free.filter(move |one| last.is_none_or(|last| self.level(one) - last < signed(self.lead)))
    }

    /// The one that is furthest behind of those that others are not to get far ahead of.
    fn last(&self) -> Option<&Candidate> {
        let all = self.all.iter().filter(|one| self.is_waited_for(one));
        all.min_by_key(|one| self.level(one))
    }

    fn is_waited_for(&self, one: &Candidate) -> bool {
        let by_mode = match self.balance {
            Balance::RoundRobin => true,
            // One that has fewer because it is new, or because many have left it, is not late: it is given as many as it takes, others the rest.
            Balance::LeastConnections => one.behind >= self.lead,
            Balance::Sticky | Balance::Direct => false,
        };
        by_mode && one.in_rotation && !one.rests && one.is_awaited
    }

    /// By what nobody is to get far ahead of others.
    fn level(&self, one: &Candidate) -> i64 {
        match self.balance {
            Balance::LeastConnections => open(one),
            Balance::RoundRobin | Balance::Sticky | Balance::Direct => -signed(one.behind),
        }
    }

    /// Of two workers of one slot, as during a reload, the newer.
    fn bound(&self, client: Client) -> Option<&Candidate> {
        let holders = self.all.iter().filter(|one| one.holds_clients());
        holders.max_by_key(|one| (client.weight(one.instance), one.worker))
    }

    /// The next after the one that had the last turn comes first among equals.
    fn least(&self, turn: Option<WorkerId>, load: impl Fn(&Candidate) -> i64) -> Option<&Candidate> {
        self.free()
            .min_by_key(|one| (load(one), one.untaken, Some(one.worker) <= turn, one.worker))
    }
}

/// What a worker has yet to take, and less by what it is behind.
fn owed(one: &Candidate) -> i64 {
    one.untaken as i64 - signed(one.credit())
}

/// How many connections a worker has; where that cannot be known, all have as many.
fn open(one: &Candidate) -> i64 {
    one.open.map_or(0, signed)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
