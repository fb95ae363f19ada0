// Asks an app's server, as a client of its own: first until every worker has answered, then a number of times more, each
// answer being complete and as expected. Runs on a Node of 22 or later, whatever the app runs on.
//
// usage: client.cjs TARGET    (JSON: kind, host, port | socket, path, workers, requests, expect, patience in ms, …)
// Prints {"pids": [...]}, or {"failure": "a sentence"}.
const dgram = require('dgram');
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const https = require('https');
const net = require('net');
const tls = require('tls');
const { isDeepStrictEqual } = require('util');

const ATTEMPT = 5000;
const certificate = fs.readFileSync(`${__dirname}/tls/certificate.pem`);
const encrypted = { ca: certificate, servername: 'localhost' };

const text = async (stream) => {
  stream.setEncoding('utf8');
  let all = '';
  for await (const piece of stream) all += piece;
  return all;
};

const exchange = (module, target, more) => new Promise((resolve, reject) => {
  const { host, port, socket: socketPath, path = '/' } = target;
  const request = module.get({ host, port, socketPath, path, agent: false, timeout: ATTEMPT, ...more }, (response) => {
    if (response.statusCode !== 200) return reject(new Error(`status ${response.statusCode}`));
    text(response).then(JSON.parse).then(resolve, reject);
  });
  request.on('timeout', () => request.destroy(new Error('no answer in time'))).on('error', reject);
});

const stream = (module, target, more) => new Promise((resolve, reject) => {
  const socket = module.connect({ host: target.host, port: target.port, ...more });
  let from;
  socket.on(module === tls ? 'secureConnect' : 'connect', () => (from = `${socket.localAddress}:${socket.localPort}`));
  socket.setTimeout(ATTEMPT, () => socket.destroy(new Error('no answer in time')));
  socket.on('error', reject);
  text(socket).then(JSON.parse).then((answer) => resolve({ ...answer, ownAddress: answer.from === from }), reject);
});

const datagram = (target) => new Promise((resolve, reject) => {
  const socket = dgram.createSocket(net.isIPv6(target.host) ? 'udp6' : 'udp4');
  const end = (act, value) => (clearTimeout(timer), socket.close(), act(value));
  const timer = setTimeout(() => end(reject, new Error('no answer in time')), 1000);
  socket.on('message', (message) => end(resolve, JSON.parse(message)));
  socket.on('error', (error) => end(reject, error));
  socket.connect(target.port, target.host, () => socket.send('who?'));
});

const overHttp2 = (target) => new Promise((resolve, reject) => {
  const secure = target.kind === 'http2';
  const session = http2.connect(`http${secure ? 's' : ''}://${target.host}:${target.port}`, encrypted);
  session.setTimeout(ATTEMPT, () => session.destroy(new Error('no answer in time')));
  session.on('error', reject);
  const request = session.request({ ':path': '/' });
  request.on('error', (error) => reject(error.cause || error));
  text(request).then(JSON.parse).then(resolve, reject).finally(() => session.close());
});

// A WebSocket whose messages are answered by `on(text, send)` until that returns something.
const overWebSocket = (target, path, on) => new Promise((resolve, reject) => {
  const socket = new WebSocket(`ws://${target.host}:${target.port}${path}`);
  const timer = setTimeout(() => reject(new Error('no answer in time')), ATTEMPT);
  socket.onerror = (event) => reject(event.error || new Error(event.message || 'the WebSocket failed'));
  socket.onclose = () => (clearTimeout(timer), reject(new Error('the WebSocket was closed')));
  socket.onmessage = (event) => {
    const found = on(event.data, (answer) => socket.send(answer));
    if (found) resolve(found), socket.close();
  };
});

// Engine.IO 4 by hand: open (0), connect to the namespace (40), then the event (42).
const overSocketIo = (target) => overWebSocket(target, '/socket.io/?EIO=4&transport=websocket', (message, send) => {
  if (message.startsWith('0')) send('40');
  else if (message.startsWith('40')) send('42["who"]');
  else if (message.startsWith('42')) return JSON.parse(message.slice(2))[1];
});

// A TLS session is begun once, and every further connection resumes it, at whichever worker it arrives.
let session;
const resumed = (target) => new Promise((resolve, reject) => {
  const first = session === undefined;
  const socket = tls.connect({ host: target.host, port: target.port, session, ...encrypted });
  socket.on('session', (ticket) => (session ??= ticket));
  let reused = first;
  socket.on('secureConnect', () => {
    reused ||= socket.isSessionReused();
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  });
  socket.setTimeout(ATTEMPT, () => socket.destroy(new Error('no answer in time')));
  socket.on('error', reject);
  const parse = (answer) => JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1));
  text(socket).then(parse).then((answer) => resolve({ ...answer, resumed: reused }), reject);
});

const kinds = {
  http: (target) => exchange(http, target),
  https: (target) => exchange(https, target, encrypted),
  resumed,
  tcp: (target) => stream(net, target),
  tls: (target) => stream(tls, target, encrypted),
  udp: datagram,
  http2: overHttp2,
  h2c: overHttp2,
  websocket: (target) => overWebSocket(target, '/', (message) => JSON.parse(message)),
  'socket.io': overSocketIo,
};

const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

// A connection kept open after its first answer.
const held = (target) => new Promise((resolve, reject) => {
  const agent = new http.Agent({ keepAlive: true });
  const { host, port } = target;
  http.get({ host, port, agent, timeout: ATTEMPT }, (response) => {
    text(response).then(JSON.parse).then((answer) => resolve({ ...answer, close: () => agent.destroy() }), reject);
  }).on('error', reject).on('timeout', function () { this.destroy(new Error('no answer in time')); });
});

// Two workers that take one connection each are given one each; a third connection waits until one of them is free.
const fill = async (target) => {
  const one = await held(target);
  const other = await held(target);
  if (one.pid === other.pid) throw new Error('a full worker was given a connection');
  const third = held(target);
  one.close();
  const last = await third;
  if (last.pid !== one.pid) throw new Error('the third connection was not given to the worker that was free');
  other.close();
  last.close();
};

// Clients that ask each worker for a large answer and do not read it, while others are served; then they read it all.
const LARGE = 32 << 20;
const slowly = (target) => new Promise((resolve, reject) => {
  const socket = net.connect(target.port, target.host, () => socket.write('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n'));
  socket.on('error', reject).once('data', (first) => {
    const head = first.indexOf('\r\n\r\n');
    const finish = () => new Promise((done) => {
      let length = first.length - head - 4;
      socket.on('data', (piece) => (length += piece.length)).on('end', () => done(length)).resume();
    });
    socket.pause();
    resolve({ pid: Number(/worker-pid: (\d+)/i.exec(first)[1]), finish });
  });
});
const besideSlowOnes = async (target, ask) => {
  const slow = [await slowly(target), await slowly(target)];
  while (new Set(slow.map(({ pid }) => pid)).size < target.workers) slow.push(await slowly(target));
  for (let left = target.requests; left > 0; left -= 1) await ask(target);
  for (const { finish } of slow) {
    const length = await finish();
    if (length !== LARGE) throw new Error(`${length} of ${LARGE} bytes came`);
  }
};

const check = (answer, target, ids) => {
  for (const [key, value] of Object.entries(target.expect)) {
    if (!isDeepStrictEqual(answer[key], value)) {
      throw new Error(`${key} is ${JSON.stringify(answer[key])}, not ${JSON.stringify(value)}`);
    }
  }
  for (const [pid, id] of ids) {
    if (answer.workerId && id === answer.workerId && pid !== answer.pid) throw new Error(`two workers have the id ${id}`);
  }
  ids.set(answer.pid, answer.workerId);
};

// Until they listen, workers may refuse connections; what they take they have to answer, unless losses are allowed.
const everyWorker = async (target, ask, ids) => {
  // A WebSocket does not say why it failed.
  const losses = target.losses || ['websocket', 'socket.io'].includes(target.kind);
  const end = Date.now() + target.patience;
  let trouble = '';
  while (ids.size < target.workers) {
    const round = await Promise.allSettled([ask(target), ask(target), ask(target), ask(target)]);
    for (const { value, reason } of round) {
      if (value && target.without.includes(value.pid)) trouble = `: the one that went still answers`;
      else if (value) check(value, target, ids);
      else if (!losses && !['ECONNREFUSED', 'ENOENT'].includes(reason.code)) throw reason;
      else trouble = `: ${reason.message || reason.code || reason}`;
    }
    if (ids.size < target.workers && Date.now() > end) {
      throw new Error(`${ids.size} of ${target.workers} workers answered${trouble}`);
    }
    if (ids.size < target.workers) await pause();
  }
};

const run = async (target) => {
  const ask = kinds[target.kind];
  const ids = new Map();
  if (target.refused) {
    const answer = await ask(target).catch((error) => error);
    if (answer.code !== 'ECONNREFUSED') throw new Error(`the connection is not refused: ${answer.message || 'answered'}`);
    return [];
  }
  await everyWorker(target, ask, ids);
  for (let left = target.requests; left > 0; left -= 1) check(await ask(target), target, ids);
  if (ids.size > target.workers && target.workers) throw new Error(`${ids.size} processes answered, not ${target.workers}`);
  if (target.fill) await fill(target);
  if (target.slow) await besideSlowOnes(target, ask);
  const burst = await Promise.all(Array.from({ length: target.burst }, () => ask(target)));
  for (const answer of burst) check(answer, target, ids);
  return [...ids.keys()];
};

const defaults = { workers: 1, requests: 20, burst: 0, expect: {}, without: [], patience: 15000 };
const tooLong = () => (console.log(JSON.stringify({ failure: 'the client was kept waiting' })), process.exit(0));
setTimeout(tooLong, 60000).unref();
run({ ...defaults, ...JSON.parse(process.argv[2]) }).then(
  (pids) => console.log(JSON.stringify({ pids })),
  (error) => console.log(JSON.stringify({ failure: error.message || error.code || String(error) })),
).finally(() => process.exit(0));
