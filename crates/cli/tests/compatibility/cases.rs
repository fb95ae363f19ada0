//! The rows of the matrix.

use crate::case::{App, Ask, At, Case, Step, Stop, WORKERS};
use serde_json::json;

/// Every case, by what it is about, in the order of the matrix.
pub fn families() -> [(&'static str, Vec<Case>); 6] {
    [
        ("Programs and modules", languages()),
        ("Listening", listening()),
        ("What is refused", refusals()),
        ("Protocols", protocols()),
        ("Messages, and how workers end", life()),
        ("Frameworks", frameworks()),
    ]
}

/// Every case, in the order of the matrix.
pub fn all() -> Vec<Case> {
    families().into_iter().flat_map(|(_, cases)| cases).collect()
}

/// The case of a name.
///
/// # Panics
/// When there is none.
pub fn named(name: &str) -> Case {
    let found = all().into_iter().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("there is no case {name}"))
}

fn languages() -> Vec<Case> {
    let preloaded = |by: &str| Ask::http().and("preloaded", json!({ "by": by, "isWorker": true }));
    let mut compiled = Case::framework("TypeScript by a loader (tsx 4)", "tsx", "tsx")
        .node_args(&["--import", "./node_modules/tsx/dist/loader.mjs"])
        .since(18)
        .only_node()
        .asking(Ask::http().expecting(json!({ "isWorker": true, "word": "compiled" })));
    compiled.app = App::Framework("tsx", "server.ts");
    vec![
        Case::of("CommonJS", "http.cjs"),
        Case::of("ES module", "esm.mjs"),
        Case::of("TypeScript", "typescript.ts").since(22),
        Case::of("--require", "http.cjs")
            .node_args(&["--require", "./preload.cjs"])
            .asking(preloaded("require")),
        Case::of("--import", "http.cjs")
            .node_args(&["--import", "./preload.mjs"])
            .since(18)
            .asking(preloaded("import")),
        Case::of("module hooks", "hooked.mjs")
            .node_args(&["--import", "./hooks.mjs"])
            .since(18)
            .only_node()
            .asking(Ask::http().and("madeUp", json!("there is no such file"))),
        compiled,
        Case::of("app that uses cluster itself", "own-cluster.cjs"),
        Case::of("worker_threads", "thread.cjs").asking(Ask::http().and("thread", json!("answer to question"))),
        Case::of("worker that does not listen", "silent.cjs")
            .steps([Step::Says(WORKERS, json!({ "isWorker": true, "connected": true }))]),
        Case::of("child_process.fork in a worker", "child.cjs")
            .asking(Ask::http().and("child", json!({ "isWorker": false, "leaked": [] }))),
    ]
}

fn listening() -> Vec<Case> {
    let over_ipv6 = || Ask::http().at(At::Host("::1"));
    vec![
        Case::listen("listen(port)", "port").steps([Ask::http().into(), over_ipv6().into()]),
        Case::listen("listen(\"port\")", "port as text"),
        Case::listen("listen(port, host)", "port and host"),
        Case::listen("listen(port, host, backlog)", "backlog"),
        Case::listen("listen(port, \"localhost\")", "localhost").asking(Ask::http().at(At::Host("localhost"))),
        Case::listen("listen(port, \"::1\")", "::1").asking(over_ipv6()),
        Case::listen("listen on :: (dual stack)", "::").steps([over_ipv6().into(), Ask::http().into()]),
        Case::listen("ipv6Only", "ipv6Only").steps([over_ipv6().into(), Ask::http().refused().into()]),
        Case::listen("listen(0): one port for all", "0").asking(Ask::http().at(At::Said)),
        Case::listen("listen(path)", "socket").asking(Ask::http().at(At::Socket)),
        Case::listen("listen({ path, readableAll })", "socket by path").asking(Ask::http().at(At::Socket)),
        Case::listen("reusePort", "reusePort"),
        Case::of("server.address()", "address.cjs").asking(Ask::http().and(
            "bound",
            json!({ "address": "127.0.0.1", "family": "IPv4", "isPort": true }),
        )),
        Case::of("two servers in a worker", "two-servers.cjs").then(Ask::http().at(At::Second).into()),
        // A connection in the backlog of the server that is closed is lost under any primary.
        Case::of("close and listen again", "again.cjs")
            .asking(Ask::http().with(json!({ "losses": true })))
            .then(Step::Says(WORKERS, json!({ "listened": 4 }))),
        Case::of("maxConnections", "full.cjs").asking(Ask::http().with(json!({ "fill": true }))),
        Case::of("200 connections at once", "http.cjs").asking(Ask::http().with(json!({ "burst": 200 }))),
        Case::of("clients that read slowly", "large.cjs").asking(Ask::http().with(json!({ "slow": true }))),
    ]
}

fn refusals() -> Vec<Case> {
    let refused = json!({ "error": "Error", "code": "EADDRINUSE" });
    let mut taken = Case::listen("port of a stranger: EADDRINUSE", "port and host");
    taken.taken = true;
    vec![
        taken.steps([Step::Says(
            WORKERS,
            json!({ "error": "Error", "code": "EADDRINUSE", "syscall": "bind", "address": "127.0.0.1" }),
        )]),
        Case::listen("exclusive: the second worker is refused", "exclusive")
            .steps([Ask::http().of_one().into(), Step::Says(1, refused.clone())]),
        Case::of("the same port twice in a worker: EADDRINUSE", "twice.cjs").then(Step::Says(WORKERS, refused)),
        Case::listen("listen({ fd }) of the primary: EINVAL", "fd")
            .steps([Step::Says(WORKERS, json!({ "error": "Error", "code": "EINVAL" }))]),
    ]
}

fn protocols() -> Vec<Case> {
    vec![
        Case::of("net: the client's address is true", "net.cjs")
            .asking(Ask::over("tcp").and("ownAddress", json!(true))),
        Case::of("tls", "tls.cjs").asking(Ask::over("tls")),
        Case::of("https", "https.cjs").asking(Ask::over("https")),
        Case::of("TLS sessions resume at any worker", "https.cjs")
            .asking(Ask::over("resumed").and("resumed", json!(true))),
        Case::of("http2, secure", "http2.cjs")
            .env("SECURE", "1")
            .asking(Ask::over("http2")),
        Case::of("http2, plain", "http2.cjs").asking(Ask::over("h2c")),
        Case::of("WebSocket upgrade", "upgrade.cjs").asking(Ask::over("websocket")),
        Case::of("UDP", "udp.cjs").asking(Ask::over("udp")),
        Case::of("UDP, IPv6", "udp.cjs")
            .env("FAMILY", "udp6")
            .asking(Ask::over("udp").at(At::Host("::1"))),
        Case::of("UDP, bind(0)", "udp.cjs")
            .env("ZERO", "1")
            .asking(Ask::over("udp").at(At::Said)),
    ]
}

fn life() -> Vec<Case> {
    let leave = |name, way| Case::of(name, "leave.cjs").env("WAY", way).then(Step::Leave);
    let sent = |count: usize| Step::Says(WORKERS, json!({ "sent": count }));
    let mut messages = Case::of("messages both ways", "messages.cjs");
    messages.stop = Stop::Message;
    let mut advanced = messages.clone();
    advanced.name = "messages both ways, advanced";
    advanced.advanced = true;
    let mut ready = Case::of("process.send('ready')", "messages.cjs");
    ready.says_ready = true;
    let told = || {
        let heard = |by: &str| Step::Says(WORKERS, json!({ by: "shutdown" }));
        [Step::Stop, heard("got"), heard("workerGot")]
    };
    vec![
        messages.steps([sent(7), Ask::http().into()].into_iter().chain(told())),
        advanced
            .env("ADVANCED", "1")
            .steps([sent(16), Ask::http().into()].into_iter().chain(told())),
        ready,
        Case::of("process.send(message, socket)", "hand-over.cjs").asking(Ask::http().and("handedOver", json!(true))),
        Case::of("SIGINT and server.close()", "signal.cjs")
            .then(Step::Stop)
            .then(Step::Says(WORKERS, json!({ "got": "SIGINT" }))),
        leave("worker.disconnect()", "worker.disconnect"),
        leave("worker.kill()", "worker.kill"),
        leave("process.disconnect()", "process.disconnect"),
        leave("process.exit(1)", "process.exit"),
        leave("worker killed", "SIGKILL"),
        leave("uncaught exception", "throw"),
    ]
}

fn frameworks() -> Vec<Case> {
    let bare = json!({ "isWorker": true });
    let over = |kind| Ask::over(kind).expecting(bare.clone());
    let mut next = Case::framework("Next.js 15, standalone", "next", "next")
        .env("HOSTNAME", "127.0.0.1")
        .since(18);
    next.app = App::Framework("next", ".next/standalone/server.js");
    vec![
        Case::framework("Express 5", "express", "express").since(18),
        Case::framework("Express 4", "express", "express4"),
        Case::framework("Fastify 5", "fastify", "fastify").since(20),
        Case::framework("Fastify 4", "fastify", "fastify4"),
        Case::framework("Koa 3", "koa", "koa").since(18),
        Case::framework("Koa 2", "koa", "koa2"),
        Case::framework("NestJS 11", "nest", "nest").since(20),
        next,
        Case::framework("Socket.IO 4", "socket.io", "socket.io").asking(over("socket.io")),
        Case::framework("ws 8", "ws", "ws").asking(over("websocket")),
    ]
}
