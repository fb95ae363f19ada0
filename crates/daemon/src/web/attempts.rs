//! Failed attempts to get in, by who made them: after a few, each one has to wait longer. Pure.
//!
//! What is remembered is bounded. When the table is full of others, whoever is not in it shares one entry, so that filling it gains
//! nobody a fresh start.

use ostler_core::Instant;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// So many failures cost nothing: people mistype.
const FREE: u32 = 5;

/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_secs(60);

/// After so long without an attempt all is forgiven.
const FORGIVEN: Duration = Duration::from_secs(15 * 60);

/// How many are remembered, 64 KiB at most.
const REMEMBERED: usize = 1024;

/// See the module's header.
#[derive(Debug, Default)]
pub struct Attempts {
    failures: BTreeMap<Who, Failures>,
}

/// Whoever makes attempts from one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    /// An address; of IPv6 the network of a subscriber, /64.
    At(IpAddr),
    /// All for whom there is no room.
    Others,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn wait(self) -> Duration {
        match self.count.checked_sub(FREE) {
            Some(over) => Duration::from_secs(1 << over.min(6)).min(LONGEST),
            None => Duration::ZERO,
        }
    }
}

impl Attempts {
    /// How long who is there has to wait before an attempt is looked at; nothing when at once.
    pub fn wait(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let failures = self.failures.get(&self.who(from))?;
        let left = failures.wait().checked_sub(now.since(failures.last))?;
        (!left.is_zero()).then_some(left)
    }

    /// An attempt has failed.
    pub fn failed(&mut self, from: IpAddr, now: Instant) {
        self.failures.retain(|_, failures| now.since(failures.last) < FORGIVEN);
        let who = self.who(from);
        let failures = self.failures.entry(who).or_insert(Failures { count: 0, last: now });
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    /// An attempt has succeeded.
    pub fn succeeded(&mut self, from: IpAddr) {
        self.failures.remove(&Who::At(network(from)));
    }

    fn who(&self, from: IpAddr) -> Who {
        let at = Who::At(network(from));
        match self.failures.contains_key(&at) || self.failures.len() < REMEMBERED {
            true => at,
            false => Who::Others,
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> IpAddr {
        address.parse().expect("an address")
    }

    fn second(count: u64) -> Instant {
        Instant(count * 1000)
    }

    #[test]
    fn after_a_few_each_failure_doubles_the_wait_up_to_a_minute() {
        let (mut attempts, peer) = (Attempts::default(), at("10.0.0.1"));
        for _ in 0..4 {
            attempts.failed(peer, second(0));
            assert_eq!(attempts.wait(peer, second(0)), None);
        }
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            attempts.failed(peer, second(0));
            assert_eq!(attempts.wait(peer, second(0)), Some(Duration::from_secs(wait)));
            assert_eq!(attempts.wait(peer, second(wait)), None);
        }
        assert_eq!(
            attempts.wait(at("10.0.0.2"), second(0)),
            None,
            "others do not wait for it"
        );
        attempts.succeeded(peer);
        assert_eq!(attempts.wait(peer, second(0)), None);
    }

    #[test]
    fn a_network_of_ipv6_is_one_place_and_time_forgives() {
        let mut attempts = Attempts::default();
        for last in 0..6 {
            attempts.failed(at(&format!("2001:db8::{last}")), second(0));
        }
        assert!(attempts.wait(at("2001:db8::ffff"), second(0)).is_some());
        assert_eq!(attempts.wait(at("2001:db8:0:1::1"), second(0)), None);
        let later = second(FORGIVEN.as_secs());
        attempts.failed(at("10.0.0.1"), later);
        assert_eq!(attempts.failures.len(), 1, "what is forgiven is forgotten");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_filling_it_gains_nothing() {
        let mut attempts = Attempts::default();
        for number in 0..4000_u32 {
            attempts.failed(IpAddr::from(number.to_be_bytes()), second(0));
        }
        assert_eq!(attempts.failures.len(), REMEMBERED + 1);
        assert!(
            attempts.wait(at("200.0.0.1"), second(0)).is_some(),
            "it shares what others have done"
        );
        assert_eq!(
            attempts.wait(at("0.0.0.1"), second(0)),
            None,
            "who was there before does not"
        );
    }
}
