'use strict';
// What `requests.cjs` makes of many requests: with a clock of this test's own.
const assert = require('assert');
const http = require('http');
const net = require('net');
const { once } = require('events');
const { performance } = require('perf_hooks');

const QUICK = 0.1; // ms that an answer takes
const SLOW = 1; // ms that one of EVERY takes
const EVERY = 4;
const GIVEN_UP = 50;

let now = 0;
let looks = 0; // at the clock
Object.defineProperty(performance, 'now', { value: () => (looks++, now), configurable: true });
const { tell } = require('../requests.cjs');

async function main() {
  let begun = 0;
  let held;
  let givenUp;
  const server = http.createServer(({ url }, response) => {
    if (url === '/held') return (held = response);
    if (url === '/given-up') return setImmediate(givenUp, response.end('answer').destroy());
    if (url === '/go-on') held.end('answer');
    now += ++begun % EVERY === 0 ? SLOW : QUICK;
    response.end('answer');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const request = async (times, path = '/') => {
    for (let time = 0; time < times; time++) {
      const [answer] = await once(http.get({ port: server.address().port, path, agent }), 'response');
      answer.resume();
      await once(answer, 'end');
    }
  };
  const timed = ({ durations }) => durations.reduce((sum, count) => sum + count);

  // Some 3,000 a second: all are counted, and those that are timed stand for the others.
  await request(10000);
  const many = tell();
  const slow = timed(many) - many.durations[0];
  assert.deepStrictEqual(many.answered, [0, 10000, 0, 0, 0]);
  assert.ok(timed(many) <= 10000 && timed(many) > 9800, `${timed(many)} counted`);
  assert.ok(looks < 2000, `${looks} looks at the clock`);
  assert.ok(slow > 700 && slow < 4300, `${slow} of 2500 were slow`);
  assert.ok(Math.abs(many.duration - QUICK * many.durations[0] - SLOW * slow) < 1, `${many.duration} ms`);

  // One that waits for the end of another, and is given up before that, was not answered, whoever asks next.
  for (let time = 0; time < GIVEN_UP; time++) {
    const client = net.connect(server.address().port, '127.0.0.1').on('error', () => {});
    client.resume().write('GET /held HTTP/1.1\r\nhost: a\r\n\r\nGET /given-up HTTP/1.1\r\nhost: a\r\n\r\n');
    await new Promise((resolve) => (givenUp = resolve));
    await request(1, '/go-on');
    client.destroy();
  }
  const { answered, aborted } = tell();
  assert.deepStrictEqual(answered, [0, 10000 + 2 * GIVEN_UP, 0, 0, 0]);
  assert.strictEqual(aborted, GIVEN_UP);

  // Few: each of them is timed, from the next one on.
  now += 60000;
  const before = timed(tell());
  await request(10);
  const few = timed(tell()) - before;
  assert.ok(few >= 10 && few < 10 + 200, `${few} of 10`);
  const then = timed(tell());
  await request(10);
  assert.strictEqual(timed(tell()) - then, 10);
  process.exit();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
