//! Several listening sockets on one address (`SO_REUSEPORT`, socket(7)), and which of them get new connections.
//!
//! Sockets form a group in the order in which they began to listen; the first has number 0. The kernel spreads connections over the
//! group by a hash of their addresses, unless a program of classic BPF says which number gets one. That needs no rights. What has
//! been given to a socket stays in its queue, whatever the program says later.

use rustix::io::Errno;
use rustix::net::sockopt::set_socket_reuseport;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// How many sockets can be chosen from: the program takes two instructions for each, and may have 4,096 (`BPF_MAXINSNS`).
pub const MOST: usize = 1024;

/// Lets others of our user listen where this socket is bound, if they allow it too. To be called once it is bound: a socket that is bound
/// without has found out that nobody else was there.
///
/// # Errors
/// `setsockopt(2)`.
pub fn allow(socket: impl AsFd) -> Result<(), Errno> {
    set_socket_reuseport(socket, true)
}

/// Has new connections to the group of this socket spread evenly, at random, over those of its sockets that have these numbers.
/// A number that the group does not have counts as none said: the kernel's hash decides then.
///
/// # Errors
/// `setsockopt(2)`; `EINVAL` for no numbers, or too many.
pub fn steer(socket: impl AsFd, numbers: &[u32]) -> io::Result<()> {
    if numbers.is_empty() || numbers.len() > MOST {
        return Err(Errno::INVAL.into());
    }
    let program = program(numbers);
    let described = libc::sock_fprog {
        len: u16::try_from(program.len()).expect("invariant: two instructions for each of at most MOST sockets"),
        filter: program.as_ptr().cast_mut(),
    };
    let length = libc::socklen_t::try_from(size_of_val(&described)).expect("invariant: some bytes");
    // SAFETY: the kernel copies the program, which lives until the call returns; it does not write to it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const described).cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A random number modulo how many there are, and a table (`linux/filter.h`).
fn program(numbers: &[u32]) -> Vec<libc::sock_filter> {
    const RANDOM: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM).cast_unsigned();
    let instruction = |code: u32, jf: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("invariant: codes of instructions are small"),
        jt: 0,
        jf,
        k,
    };
    let answer = |number: u32| instruction(libc::BPF_RET | libc::BPF_K, 0, number);
    let [before @ .., last] = numbers else {
        return Vec::new();
    };
    let mut program = Vec::new();
    if !before.is_empty() {
        program.push(instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, RANDOM));
        program.push(instruction(
            libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K,
            0,
            numbers.len() as u32,
        ));
    }
    for (place, number) in (0..).zip(before) {
        // Not this place: one further.
        program.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, place));
        program.push(answer(*number));
    }
    program.push(answer(*last));
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

    fn bound(at: SocketAddr) -> TcpListener {
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        );
        let socket = socket.expect("a socket");
        if at.port() != 0 {
            allow(&socket).expect("allowed");
        }
        bind(&socket, &at).expect("bound");
        listen(&socket, 128).expect("listening");
        socket.into()
    }

    /// How many connections wait in each queue.
    fn waiting(group: &[TcpListener]) -> Vec<usize> {
        let count = |listener: &TcpListener| std::iter::from_fn(|| listener.accept().ok()).count();
        group.iter().map(count).collect()
    }

    #[test]
    fn connections_go_where_they_are_steered_and_nowhere_else() {
        let first = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let at = first.local_addr().expect("an address");
        // It listens already, and allows it only now.
        allow(&first).expect("allowed");
        let group = [first, bound(at), bound(at), bound(at)];
        for chosen in [&[0][..], &[1, 3], &[1, 2, 3], &[2]] {
            steer(&group[0], chosen).expect("steered");
            let clients: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(at).expect("connected")).collect();
            let counts = waiting(&group);
            assert_eq!(counts.iter().sum::<usize>(), clients.len());
            for (number, count) in (0..).zip(counts) {
                // By chance one of three gets fewer than 10 of 100 in less than one of a million runs.
                assert_eq!(
                    count >= 10,
                    chosen.contains(&number),
                    "{count} at {number} of {chosen:?}"
                );
                assert!(
                    count == 0 || chosen.contains(&number),
                    "{count} at {number} of {chosen:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_to_choose_from_is_refused() {
        let socket = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        assert!(steer(&socket, &[]).is_err());
        assert!(steer(&socket, &vec![0; MOST + 1]).is_err());
    }
}
