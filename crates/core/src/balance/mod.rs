//! Which worker gets a connection. Pure: called by the primary with what it knows of each worker, for every connection.
//!
//! Invariants: never a worker that is out of rotation, rests, or has no room; equals take turns in the order of slots.

mod direct;
mod ledger;
mod shares;

pub use direct::steered;
pub use ledger::Ledger;
pub use shares::Shares;

use crate::ids::WorkerId;
use crate::spec::Balance;
use core::net::{IpAddr, Ipv6Addr};

/// How many connections a worker may have been given that it has not taken yet.
pub const WINDOW: usize = 8;

/// The same where no other worker may have them: what is in the worker's channel outlives the daemon, what waits before it
/// does not.
pub const STICKY_WINDOW: usize = 64;

/// By how many connections more than others a worker may be made to wait for, since it was given fewer before. More would be more
/// even still, and slower for whoever waits behind a worker that is busy.
const CREDIT: u64 = 8;

/// The same for a worker that was seen to take connections just now: it is not busy, the system only lets others run before it. So
/// much more room it has then, too. In a burst over more workers than processors that is what keeps shares even.
const CREDIT_OF_TAKERS: u64 = 40;

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
    /// It has taken a connection a few turns of the processor ago at most.
    pub takes: bool,
    /// How many connections it was given and has not taken.
    pub untaken: usize,
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
            Balance::RoundRobin | Balance::LeastConnections | Balance::Direct if self.takes => {
                WINDOW + usize::try_from(self.credit()).unwrap_or(0)
            }
            Balance::RoundRobin | Balance::LeastConnections | Balance::Direct => WINDOW,
        }
    }

    /// How many connections more it may be made to wait for than others.
    fn credit(&self) -> u64 {
        self.behind.min(if self.takes { CREDIT_OF_TAKERS } else { CREDIT })
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

/// Names the worker that gets a connection, or none: then it has to wait. `turn` is who had the last one; `client` is known where
/// addresses tell clients apart, and without it `sticky` goes round.
pub fn choose(
    balance: Balance,
    client: Option<Client>,
    turn: Option<WorkerId>,
    candidates: impl Iterator<Item = Candidate>,
) -> Option<WorkerId> {
    match (balance, client) {
        (Balance::Sticky, Some(client)) => bound(client, candidates).filter(|found| found.is_free(balance)),
        (Balance::LeastConnections, _) => least(balance, turn, |one| one.open.map_or(0, signed), candidates),
        (Balance::RoundRobin | Balance::Direct | Balance::Sticky, _) => least(balance, turn, owed, candidates),
    }
    .map(|found| found.worker)
}

/// What a worker has yet to take, and less by what it is behind.
fn owed(one: &Candidate) -> i64 {
    one.untaken as i64 - signed(one.credit())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Of two workers of one slot, as during a reload, the newer.
fn bound(client: Client, candidates: impl Iterator<Item = Candidate>) -> Option<Candidate> {
    let holders = candidates.filter(Candidate::holds_clients);
    holders.max_by_key(|one| (client.weight(one.instance), one.worker))
}

fn least(
    balance: Balance,
    turn: Option<WorkerId>,
    load: impl Fn(&Candidate) -> i64,
    candidates: impl Iterator<Item = Candidate>,
) -> Option<Candidate> {
    let free = candidates.filter(|one| one.is_free(balance));
    // The next after the one that had the last turn comes first among equals.
    free.min_by_key(|one| (load(one), one.untaken, Some(one.worker) <= turn, one.worker))
}
