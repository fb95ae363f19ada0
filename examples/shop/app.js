// What the shop answers. Knows nothing of processes: whoever calls it hands it what it needs.
const express = require('express');
const { setTimeout: pause } = require('node:timers/promises');
const calculate = require('./calculate');

const LARGEST = 10_000_000;
const LONGEST = 30_000; // ms

module.exports = function createApp({ counter, pool, worker }) {
  const app = express();
  app.disable('x-powered-by');

  // Who keeps its connection is told to come back by another one.
  app.use((request, response, next) => {
    if (worker.stopping) response.set('Connection', 'close');
    next();
  });

  app.get('/', async (request, response) => {
    response.json({ ...await counter.add(), pid: process.pid, environment: process.env.NODE_ENV });
  });

  app.get('/requests', async (request, response) => response.json(await counter.read()));

  // For people: how this worker is doing.
  app.get('/health', (request, response) => {
    response.json({ status: 'up', pid: process.pid, uptime: process.uptime(), memory: process.memoryUsage() });
  });

  // For `health`: is this worker to live on? An event loop that does not turn does not answer.
  app.get('/healthz', (request, response) => response.send('well\n'));

  // For `ready`: is it to be given work now?
  app.get('/readyz', (request, response) => {
    if (worker.stopping) response.status(503).send('stopping\n');
    else response.send('ready\n');
  });

  // How many primes there are below n. On the loop nothing else is answered meanwhile; in the pool it is.
  app.get('/calculate', async (request, response) => {
    const n = Number(request.query.n ?? 200_000);
    const mode = request.query.mode ?? 'pool';
    if (!Number.isInteger(n) || n < 0 || n > LARGEST || !['loop', 'pool'].includes(mode)) {
      response.status(400).json({ error: `n is a whole number up to ${LARGEST}, mode is loop or pool` });
    } else if (mode === 'loop') {
      response.json({ n, mode, primes: calculate({ n }), pid: process.pid });
    } else if (pool.queueSize >= pool.options.maxQueue) {
      // Better a quick no than an answer that nobody waits for any more.
      response.status(503).set('Retry-After', '1').json({ error: 'too much to calculate, try again' });
    } else {
      response.json({ n, mode, primes: await pool.run({ n }), pid: process.pid });
    }
  });

  // An order that takes its time: what a graceful shutdown has to finish.
  app.get('/slow', async (request, response) => {
    const time = Math.min(Number(request.query.ms) || 1000, LONGEST);
    await pause(time);
    response.json({ waited: time, pid: process.pid });
  });

  // Ways to misbehave, for `npm run exercise` only.
  if (process.env.EXERCISE === '1') app.use('/exercise', require('./exercise/misbehave')());
  return app;
};
