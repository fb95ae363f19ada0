//! Counting by `sock_diag(7)`.

use super::{Open, Place};
use crate::sock_diag::{ESTABLISHED, Internet, Link, TCP};
use std::collections::BTreeSet;
use std::io;

/// All of `enum tcp_state` in which a process may hold a connection: established, both waits for a FIN (4, 5), close wait (8), last ack
/// (9), closing (11). Not time wait, of which there may be a hundred thousand.
const STATES: u32 = ESTABLISHED | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;
/// From so many ports of a family on, one dump of all connections is cheaper than one for each port.
const PORTS: usize = 4;

pub(super) fn count(places: &BTreeSet<Place>) -> io::Result<Open> {
    let mut open = Open::new();
    let mut link = Link::open()?;
    for v6 in [false, true] {
        let ports: Vec<u16> = places.iter().filter_map(|place| port_of(place, v6)).collect();
        let filters: Vec<u16> = if ports.len() > PORTS { vec![0] } else { ports };
        for port in filters {
            let asked = Internet {
                v6,
                protocol: TCP,
                states: STATES,
                port,
            };
            link.internet(asked, |socket| {
                let place = Place::Tcp {
                    v6,
                    port: socket.local.port(),
                };
                add(&mut open, places, place, socket.inode);
            })?;
        }
    }
    if places.iter().any(|place| matches!(place, Place::Unix(_))) {
        link.unix(ESTABLISHED, |socket| {
            add(&mut open, places, Place::Unix(socket.path), socket.inode);
        })?;
    }
    Ok(open)
}

fn add(open: &mut Open, places: &BTreeSet<Place>, place: Place, inode: u64) {
    if inode != 0 && places.contains(&place) {
        open.entry(place).or_default().insert(inode);
    }
}

fn port_of(place: &Place, family: bool) -> Option<u16> {
    match place {
        Place::Tcp { v6, port } if *v6 == family => Some(*port),
        Place::Tcp { .. } | Place::Unix(_) => None,
    }
}
