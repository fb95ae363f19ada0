//! Why what works under no primary does not: for people, beside the errors that tests see.

use ostler_testkit::runtimes::Kind;

/// What a runtime cannot do as a worker, and why.
#[derive(Debug)]
pub struct Remark {
    /// Which runtime.
    pub kind: Kind,
    /// The cases that fail by it under the runtime's own cluster.
    pub cases: &'static [&'static str],
    /// A sentence or two.
    pub why: &'static str,
    /// Whether it is a matter of chance, so that it works in some runs.
    pub by_chance: bool,
}

/// Every one, in the order of the page.
pub const ALL: [Remark; 16] = [
    Remark {
        kind: Kind::Bun,
        cases: &["ipv6Only"],
        why: "`ipv6Only` is taken no notice of: the server answers over IPv4, too.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Bun,
        cases: &["listen(0): one port for all"],
        why: "Each worker binds its HTTP servers by itself, so each has a port of its own.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Bun,
        cases: &["listen(path)", "listen({ path, readableAll })"],
        why: "Each worker binds its HTTP servers by itself, and a path can be bound once.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Bun,
        cases: &["maxConnections"],
        why: "A connection above `maxConnections` is reset; under Node it goes to another worker. Which worker gets one is chance.",
        by_chance: true,
    },
    Remark {
        kind: Kind::Bun,
        cases: &["port of a stranger: EADDRINUSE"],
        why: "The app gets its `EADDRINUSE`, but without the address, and as an error of `listen`, not of `bind`.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Bun,
        cases: &["exclusive: the second worker is refused"],
        why: "Both workers get the port.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Bun,
        cases: &["the same port twice in a worker: EADDRINUSE"],
        why: "Both servers listen, and nothing is said.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Bun,
        cases: &["listen({ fd }) of the primary: EINVAL"],
        why: "`fd` is taken no notice of: the server listens on a port of its own.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Bun,
        cases: &["TLS sessions resume at any worker"],
        why: "A session is not resumed by a worker that did not begin it.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Bun,
        cases: &["worker.disconnect()"],
        why: "A worker that serves HTTP leaves the cluster, but its process does not end.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Deno,
        cases: &["--require", "--import"],
        why: "Deno's own cluster leaves them out. A worker that is given one never listens.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Deno,
        cases: &["worker_threads"],
        why: "`process.connected` throws in a thread, and the app here asks for it.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Deno,
        cases: &["ipv6Only"],
        why: "`ipv6Only` is taken no notice of: the server answers over IPv4, too.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Deno,
        cases: &["TLS sessions resume at any worker"],
        why: "A session is not resumed by a worker that did not begin it.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Deno,
        cases: &["UDP", "UDP, IPv6", "UDP, bind(0)"],
        why: "Each worker binds its UDP sockets by itself: the second one gets `EADDRINUSE`, or another port.",
        by_chance: false,
    },
    Remark {
        kind: Kind::Deno,
        cases: &["process.send(message, socket)", "NestJS 11"],
        why: "Under Deno's own cluster the answer never comes.",
        by_chance: false,
    },
];

/// The remark on a case that fails.
pub fn on(case: &str, kind: Kind) -> Option<&'static Remark> {
    ALL.iter()
        .find(|remark| remark.kind == kind && remark.cases.contains(&case))
}
