'use strict';
// What a cluster worker does when it is to be replaced. The daemon puts `--require <this file>` before the script of a Node
// worker and later, when it hands it no more connections, says {"cmd":"NODE_OSTLER","act":"drain"} on the IPC channel. From
// then on every connection ends as soon as it can without losing a request, and when none is open we say `drained`.
//
// Until then nothing of that runs per request. It never throws, keeps nothing alive, leaves the app's servers open (their
// `close()` is the app's to call), and is no-op outside the main thread of a cluster worker. Works on Node 16 to 26.
//
// In every Node program of ours it also has `measure.cjs` report how the program is doing, `registered.cjs` what the app has registered
// with a library for metrics, and `profile.cjs` profile and inspect it, when somebody asks for that.
const LOOK_EVERY = 20; // ms between counts of open connections
const SAY_EVERY = 100; // ms between two words on how many are left
const QUIET = 500; // ms without a byte for an HTTP/2 client

// What fails here costs a slow drain at worst; it must never cost the app.
function quietly(act, ...values) {
  try {
    return act(...values);
  } catch {
    return undefined;
  }
}

// Children get `process.execArgv` from their parent by default, and are no workers of ours.
function leaveExecArgv(words) {
  const isThis = (path) => path !== undefined && quietly(require.resolve, require('path').resolve(path)) === __filename;
  for (let at = words.length - 1; at >= 0; at--) {
    if (words[at] === '--require' && isThis(words[at + 1])) words.splice(at, 2);
    else if (words[at].startsWith('--require=') && isThis(words[at].slice('--require='.length))) words.splice(at, 1);
  }
}

// Makes this the last response of its connection, if its headers are still to be written.
function makeLast(response) {
  if (!response.shouldKeepAlive) return; // it is already
  response.shouldKeepAlive = false; // => `Connection: close`
  // Unless the app names the header itself, as proxies and event streams do. `_header` is the text about to be sent.
  const { writeHead } = response;
  response.writeHead = function (...values) {
    const result = writeHead.apply(this, values);
    const text = this._header;
    if (typeof text === 'string' && /^connection: *keep-alive\r$/im.test(text)) {
      this._header = text.replace(/^(connection): *keep-alive\r$/gim, '$1: close\r');
      this._last = true;
    }
    return result;
  };
  // An answer that comes before the end of its request: closing now would reset the client's upload, and the answer might
  // be lost with it. The client has been told to close.
  response.prependOnceListener('finish', function () {
    if (this.req && !this.req.complete) this._last = false;
  });
}

// Responses under way. A later one of a pipeline must not be cut by an earlier one, so only that to the last request.
function makeLastUnderWay(socket, ServerResponse) {
  const response = socket && socket._httpMessage;
  if (!(response instanceof ServerResponse) || response.headersSent) return;
  if (socket.parser && socket.parser.incoming === response.req) makeLast(response);
}

// From its GOAWAY on, Node's HTTP/2 ignores new streams: those that were on their way are refused, which a client may repeat
// safely but which Node's own tells its user as an error. (A GOAWAY that names no stream, RFC 9113, 6.8, is no way out: they
// are ignored all the same, and hang.) So it is sent when the client has just spoken, since it then waits for answers rather
// than speaks again: of some 200 streams refused in 150 sessions of a busy client hardly one remained. A client that keeps
// quiet gets it when it has been sent nothing for a while. Streams that are open end as they would have.
function sayGoodbye(session) {
  const close = () => quietly(() => session.close());
  session.once('stream', () => setImmediate(close)); // when all that came with it has been read
  let written = session.socket.bytesWritten;
  const timer = setInterval(() => {
    const before = written;
    written = session.closed || session.destroyed ? before : quietly(() => session.socket.bytesWritten);
    if (written !== before) return;
    clearInterval(timer);
    close();
  }, QUIET).unref();
}

// A worker that accepts by itself has a real listening handle: closes its descriptor. The server goes on believing in the
// handle, so the app can ask for its address and close it; the daemon hears of it only then.
function stopAccepting(server) {
  const handle = server._handle;
  if (!handle || !(handle.fd >= 0)) return; // connections come from the daemon, or it is closed
  const name = {};
  if (handle.getsockname && handle.getsockname(name) === 0) {
    handle.getsockname = (out) => (Object.assign(out, name), 0);
  }
  Object.getPrototypeOf(handle).close.call(handle);
}

let finish = () => {}; // reports a last time how the program is doing
let tellLast = (then) => then(); // and what the app has registered, if the daemon asks for that

function say(message, sent = () => {}) {
  if (process.connected) process.send({ cmd: 'NODE_OSTLER', ...message }, sent);
}

const orders = new Map(); // what the daemon may order => what carries it out

function obey(act, carryOut) {
  // Not `message`: a listener of that would keep the channel, and the process, alive.
  if (orders.size === 0) process.on('internalMessage', (message) => {
    if (message.cmd !== 'NODE_OSTLER') return;
    const carryOut = orders.get(message.act);
    if (carryOut !== undefined) quietly(carryOut, message);
  });
  orders.set(act, carryOut);
}

function serve(cluster) {
  const servers = new Set(); // that listen, or have connections
  const met = new WeakSet(); // servers that have our listeners
  const sessions = new Set(); // of HTTP/2
  const secured = new WeakMap(); // a connection's socket => the TLS socket upon it
  const isServer = (candidate) => candidate !== null && typeof candidate === 'object'
    && typeof candidate.getConnections === 'function';
  let draining = false;
  let timer;
  let said = { connections: -1, at: 0 };

  function remember(server) {
    if (!isServer(server)) return; // a UDP socket
    servers.add(server);
    if (met.has(server)) return;
    met.add(server);
    server.on('close', () => servers.delete(server));
    server.on('listening', () => draining && quietly(stopAccepting, server));
    server.on('secureConnection', (socket) => quietly(() => secured.set(socket._parent, socket)));
    server.on('session', (session) => quietly(() => {
      if (typeof session.goaway !== 'function') return;
      sessions.add(session);
      session.once('close', () => sessions.delete(session));
      if (draining) sayGoodbye(session);
    }));
  }

  function report(connections) {
    if (timer === undefined) return; // it has been said
    if (connections === 0) {
      clearInterval(timer);
      timer = undefined;
      quietly(finish); // what was counted last; upon the next word the process may end
      tellLast(() => say({ act: 'drained' }));
    } else if (connections !== said.connections && Date.now() - said.at >= SAY_EVERY) {
      said = { connections, at: Date.now() };
      say({ act: 'draining', connections });
    }
  }

  function look() {
    let connections = 0;
    let awaited = servers.size + 1;
    const count = (error, number) => {
      connections += number || 0;
      if (--awaited === 0) quietly(report, connections);
    };
    for (const server of servers) server.getConnections(count);
    count(null, 0);
  }

  function drain() {
    if (!draining) {
      draining = true;
      const { ServerResponse } = require('http');
      const started = require('diagnostics_channel').channel('http.server.request.start');
      started.subscribe(({ response }) => quietly(makeLast, response));
      for (const open of process._getActiveHandles()) {
        if (isServer(open)) quietly(remember, open); // one that listens without the daemon (`exclusive`, `reusePort`)
        quietly(makeLastUnderWay, open, ServerResponse);
        quietly(makeLastUnderWay, secured.get(open), ServerResponse);
      }
      for (const server of servers) quietly(stopAccepting, server);
      for (const session of sessions) quietly(sayGoodbye, session);
    }
    // A daemon's successor may say it again, and is answered again.
    if (timer === undefined) timer = setInterval(() => quietly(look), LOOK_EVERY).unref();
    quietly(look);
  }

  // Every listen() that is the daemon's business goes through here.
  const getServer = cluster._getServer;
  cluster._getServer = function (server, ...rest) {
    quietly(remember, server);
    return getServer.call(this, server, ...rest);
  };
  obey('drain', drain);
}

quietly(() => {
  leaveExecArgv(process.execArgv);
  if (!process.connected || !require('worker_threads').isMainThread) return;
  const cluster = require('cluster');
  if (cluster.isWorker) serve(cluster);
  obey('inspect', (order) => {
    const tell = (said, sent) => say({ act: 'inspected', id: order.id, ...said }, sent);
    try {
      require('./profile.cjs')(order, tell);
    } catch (error) {
      tell({ is: 'failed', why: String(error.message) }); // a Node without an inspector
    }
  });
  // Not at once: the program is to come up as fast as without us, and serves nobody before that.
  setImmediate(() => quietly(() => {
    const measure = require('./measure.cjs')(say);
    finish = measure.finish;
    obey('watch', measure.watch);
    obey('beat', () => say({ act: 'beat' })); // whoever asks wants to know whether the event loop turns
    obey('collect', () => {
      tellLast = require('./registered.cjs');
      tellLast();
    });
  })).unref();
});
