'use strict';
// A strict HTTP/2 client: `h2_client.cjs http|https PORT PATH SESSIONS STREAMS`. Keeps STREAMS requests under way on each
// session until its input ends. Prints what became of them as lines of JSON, now and then and, with `done`, at its end. A
// session that is told to go is replaced by another.
//   ok           wholly answered
//   unprocessed  REFUSED_STREAM: the client knows that nothing was done and may ask again
//   failed       everything else: lost; `why` says what
const http2 = require('http2');
const answer = require('../../crates/testkit/apps/http2_answer.cjs');
const [scheme, port, path, sessions, streams] = process.argv.slice(2);
const tally = { ok: 0, unprocessed: 0, failed: 0, sessions: 0, goaway: 0, why: {} };
let stopping = false;
let open = 0;
const ends = new Set(); // ends a session if nothing is under way on it

function connect() {
  const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false, servername: 'localhost' });
  let replaced = false;
  let underWay = 0;
  open++;
  const replace = () => {
    if (replaced) return;
    replaced = true;
    if (!stopping) connect();
  };
  const lose = (why) => {
    tally.failed++;
    tally.why[why] = (tally.why[why] || 0) + 1;
  };
  const end = () => {
    if (underWay === 0) session.close();
  };
  ends.add(end);
  const ask = () => {
    if (stopping || replaced) {
      end();
      return;
    }
    let request;
    try {
      request = session.request({ ':path': path });
    } catch {
      replace(); // never sent: the session has been told to go
      return;
    }
    underWay++;
    answer(request, ({ code, refused, whole, status, body }) => {
      underWay--;
      if (whole && status === 200 && / \d+$/.test(body)) tally.ok++;
      else if (refused) tally.unprocessed++;
      else lose(`code ${code}, status ${status}, ended ${whole}`);
      ask();
    });
    request.end();
  };
  session.on('goaway', () => {
    tally.goaway++;
    replace();
  });
  session.on('error', (error) => lose(error.code || error.message));
  session.on('close', () => {
    open--;
    ends.delete(end);
    replace();
    if (stopping && open === 0) finish();
  });
  session.on('connect', () => {
    tally.sessions++;
    for (let count = 0; count < Number(streams); count++) ask();
  });
}

function finish() {
  clearInterval(telling);
  console.log(JSON.stringify({ ...tally, done: true }));
}

const telling = setInterval(() => console.log(JSON.stringify(tally)), 20);
for (let count = 0; count < Number(sessions); count++) connect();
process.stdin.on('end', () => {
  stopping = true;
  for (const end of ends) end();
});
process.stdin.resume();
