'use strict';
// What `requests.cjs` makes of many requests: with a clock of this test's own.
const assert = require('assert');
const http = require('http');
const { once } = require('events');
const { performance } = require('perf_hooks');

const QUICK = 0.1; // ms that an answer takes
const SLOW = 1; // ms that one of EVERY takes
const EVERY = 4;

let now = 0;
let looks = 0; // at the clock
Object.defineProperty(performance, 'now', { value: () => (looks++, now), configurable: true });
const { tell } = require('../requests.cjs');

async function main() {
  let begun = 0;
  const server = http.createServer((_, response) => {
    now += ++begun % EVERY === 0 ? SLOW : QUICK;
    response.end('answer');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const request = async (times) => {
    for (let time = 0; time < times; time++) {
      const [answer] = await once(http.get({ port: server.address().port, agent }), 'response');
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
