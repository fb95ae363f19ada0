'use strict';
// A strict client: `client.cjs SCHEME PORT KIND=COUNT …` keeps COUNT exchanges of each KIND (slow, upload, stream) under way,
// each on a lane of its own, until its input ends; then it lets each lane finish. The first upload or stream of a lane takes
// $FIRST_MS (5000), those that follow one second. By http and https a lane has a connection,
// kept while the server keeps it; by h2 and h2c every lane has its stream on one of twenty sessions. Each lane has an address
// of its own out of 127.0.0.0/8. A line of JSON tells of each thing that happens:
//   {began, kind}             an exchange begins; times are milliseconds since 1970
//   {ended, began, kind, by}  it was answered wholly and rightly, by this pid
//   {lost, kind}              it was not, and why
//   {repeated}                a stream was refused before anything was done (RFC 9113, 8.7) and is asked for again
//   {goodbye}                 the server has sent GOAWAY: what comes next goes to another session
const crypto = require('crypto');
const http = require('http');
const http2 = require('http2');
const https = require('https');
const answer = require('../http2_answer.cjs');

const [scheme, port, ...words] = process.argv.slice(2);
const PATIENCE = 20000; // ms for one exchange
const EVERY = 100; // ms between the pieces of an upload, or the lines of a stream
const FIRST = Number(process.env.FIRST_MS || 5000) / EVERY; // so many has the first one of each lane
const NEXT = 10; // and every other one
const SESSIONS = 20; // so many that chance, too, gives some to every worker
const multiplexed = scheme === 'h2' || scheme === 'h2c';
let stopping = false;

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));
const address = (lane) => `127.0.0.${2 + lane}`;

class Refused extends Error {}

// Sessions, each replaced when the server says goodbye to it.
const sessions = [];
function session(lane) {
  const at = lane % SESSIONS;
  if (sessions[at]) return sessions[at];
  const own = http2.connect(`${scheme === 'h2' ? 'https' : 'http'}://127.0.0.1:${port}`, {
    rejectUnauthorized: false, servername: 'localhost', localAddress: address(at),
  });
  const replace = () => {
    if (sessions[at] === own) sessions[at] = undefined;
  };
  own.on('goaway', (code) => {
    tell({ goodbye: code });
    replace();
  });
  own.on('close', replace);
  own.on('error', (error) => {
    replace();
    tell({ lost: `session: ${error.code || error.message}`, kind: 'session' });
  });
  return (sessions[at] = own);
}

// How an exchange is sent, and its answer: `done(error, status, body)`.
function overStream(lane, method, path, done) {
  let stream;
  while (!stream) {
    const own = session(lane);
    try {
      stream = own.request({ ':method': method, ':path': path });
    } catch { // nothing was sent: the session is on its way out
      sessions[lane % SESSIONS] = undefined;
    }
  }
  answer(stream, ({ code, refused, whole, status, body }) => {
    if (refused) done(new Refused());
    else done(code === 0 && whole ? null : new Error(`stream: code ${code}, ${body.length} bytes`), status, body);
  });
  return stream;
}

const agents = [];
function overConnection(lane, method, path, done) {
  const module = scheme === 'https' ? https : http;
  agents[lane] = agents[lane] || new module.Agent({ keepAlive: true, maxSockets: 1 });
  const request = module.request({
    host: '127.0.0.1', port, method, path, agent: agents[lane], localAddress: address(lane), rejectUnauthorized: false,
  });
  let body = '';
  request.on('error', (error) => done(error));
  request.on('response', (response) => {
    response.setEncoding('utf8');
    response.on('data', (text) => (body += text));
    response.on('error', () => {}); // `close` follows, and tells
    response.on('close', () => {
      done(response.complete ? null : new Error(`cut after ${body.length} bytes`), response.statusCode, body);
    });
  });
  return request;
}

const kinds = {
  slow(request) {
    request.end();
    return (body) => /^slow \d+\n$/.test(body);
  },
  upload(request, pieces) {
    const digest = crypto.createHash('sha256');
    let sent = 0;
    const timer = setInterval(() => {
      const piece = crypto.randomBytes(4096);
      digest.update(piece);
      request.write(piece);
      if (++sent < pieces) return;
      clearInterval(timer);
      request.end();
    }, EVERY);
    request.on('close', () => clearInterval(timer));
    // One that is answered before it has ended is not answered for the whole of its body.
    return (body) => sent === pieces && body.startsWith(`upload ${pieces * 4096} ${digest.digest('hex')} `);
  },
  stream(request, pieces) {
    request.end();
    return (body) => {
      const lines = body.trimEnd().split('\n');
      return /^end \d+$/.test(lines.pop()) && lines.length === pieces && lines.every((line, at) => line === `line ${at + 1}`);
    };
  },
};

const paths = {
  slow: () => '/slow',
  upload: () => '/upload',
  stream: (pieces) => `/stream/${pieces}/${EVERY}`,
};

function attempt(lane, kind, pieces) {
  return new Promise((resolve, reject) => {
    let timer;
    let isRight;
    const done = (error, status, body) => {
      clearTimeout(timer);
      if (error) return reject(error);
      if (status !== 200) return reject(new Error(`status ${status}`));
      if (!isRight(body)) return reject(new Error(`a wrong answer: ${body.slice(0, 80)}`));
      return resolve(Number(/(\d+)\n$/.exec(body)[1]));
    };
    const send = multiplexed ? overStream : overConnection;
    const request = send(lane, kind === 'upload' ? 'POST' : 'GET', paths[kind](pieces), done);
    timer = setTimeout(() => {
      reject(new Error(`no answer in ${PATIENCE} ms`));
      request.destroy();
    }, PATIENCE);
    isRight = kinds[kind](request, pieces);
  });
}

async function exchange(lane, kind, pieces) {
  const began = Date.now();
  tell({ began, kind });
  for (;;) {
    try {
      const by = await attempt(lane, kind, pieces);
      return tell({ ended: Date.now(), began, kind, by });
    } catch (error) {
      if (!(error instanceof Refused)) return tell({ lost: error.code || error.message, kind });
      tell({ repeated: kind });
    }
  }
}

async function run(lane, kind) {
  await pause((lane * 137) % 1500); // so that slow ones end one after the other
  for (let pieces = FIRST; !stopping; pieces = NEXT) {
    await exchange(lane, kind, pieces);
    if (!stopping) await pause(1); // where everything fails at once, the rest has its turn
  }
}

const lanes = words.flatMap((word) => {
  const [kind, count] = word.split('=');
  return Array(Number(count)).fill(kind);
});
process.stdin.on('end', () => (stopping = true)).resume();
Promise.all(lanes.map((kind, lane) => run(lane, kind))).then(() => {
  for (const agent of agents) agent.destroy();
  for (const own of sessions) if (own) own.close();
});
