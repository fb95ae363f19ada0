// What the exercise does, in this order.
const { setTimeout: pause } = require('node:timers/promises');
const { beginLoad, table } = require('./load');
const { waitFor } = require('./ostler');

// By a connection of its own, so that any worker may answer.
async function get(url, method = 'GET') {
  const answer = await fetch(url, { method, headers: { Connection: 'close' } });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${url}: ${answer.status} ${text}`);
  return text.startsWith('{') ? JSON.parse(text) : text;
}

// Asks until every worker has answered, and gives one answer of each.
async function ofEach({ ostler, url }, path) {
  const pids = await ostler.pids();
  const answers = new Map();
  await waitFor('an answer of each worker', async () => {
    const answer = await get(url + path);
    answers.set(answer.pid, answer);
    return pids.every(pid => answers.has(pid));
  });
  return [...answers.values()];
}

function isLossless(checks, result, during) {
  checks.see(result.lost === 0 && result.errors === 0, `${during}: ${result['2xx']} answered, ${result.lost} lost, ${result.errors} errors`);
}

async function start({ ostler, checks, redis }) {
  await ostler.type('start', 'ecosystem.config.js');
  await ostler.type('list');
  await ostler.type('show', 'shop');
  const rows = await ostler.workers();
  checks.see(rows.every(row => row.pm2_env.status === 'online'), `${rows.length} workers are up`);
  if (redis.isMissing) console.log('! there is no redis-server: each worker counts for itself');
}

async function health({ ostler, url, checks, print }) {
  for (const path of ['/health', '/healthz', '/readyz']) {
    const answer = await get(url + path);
    print(`GET ${path} → ${typeof answer === 'string' ? answer.trim() : JSON.stringify(answer)}`);
  }
  const known = await waitFor('probes', async () => {
    const rows = await ostler.workers();
    return rows.every(row => row.pm2_env.health?.healthy && row.pm2_env.health?.ready) && rows;
  });
  checks.see(true, `Ostler has found ${known.length} workers well and ready`);
  await ostler.type('logs', 'shop', '--nostream', '--lines', '4');
}

async function counter(shop) {
  const answers = await ofEach(shop, '/');
  const shared = answers.every(answer => answer.countedBy === 'all workers');
  shop.print(answers.map(answer => JSON.stringify(answer)).join('\n'));
  const wanted = !shop.redis.isMissing;
  shop.checks.see(shared === wanted, shared ? 'all workers count together, in Redis' : 'each worker counts for itself');
}

// Load, and in its middle every worker is replaced, with another environment.
async function load(shop) {
  const { ostler, url, checks, seconds, redis } = shop;
  const [before, pids] = [await get(`${url}/requests`), await ostler.pids()];
  // Of a worker that is killed something is lost if something is under way.
  const load = beginLoad(shop.kill ? `${url}/slow?ms=500` : `${url}/`, { connections: 50 });
  await pause(seconds * 1000);
  if (shop.kill) process.kill(pids[0], 'SIGKILL');
  else await ostler.type('reload', 'ecosystem.config.js', '--env', 'production');
  await pause(seconds * 1000);
  const result = await load.stop();
  console.log(table(result));
  shop.answered = result['2xx'];
  isLossless(checks, result, 'load and a reload in its middle');
  if (shop.kill) throw new Error('a worker was killed under load');
  if (!redis.isMissing) {
    const counted = (await get(`${url}/requests`)).requests - before.requests;
    const answered = result['2xx'];
    checks.see(counted >= answered && counted <= answered + 50, `Redis has counted ${counted}, answered were ${answered}, and 50 were under way at the end`);
  }
  const now = await ofEach(shop, '/');
  checks.see(now.every(answer => answer.environment === 'production'), 'every worker is in production');
  checks.see(now.every(answer => !pids.includes(answer.pid)), `other processes: ${pids.join(', ')} → ${now.map(answer => answer.pid).join(', ')}`);
}

// What Ostler has counted by itself, in workers that are gone, too: what the web dashboard shows and Prometheus reads.
async function numbers({ ostler, checks, print, answered }) {
  const link = new URL((await ostler.type('web', '--port', '0')).trim());
  const headers = { Authorization: `Bearer ${link.hash.slice('#token='.length)}`, Connection: 'close' };
  const isOfShop = line => /^ostler_http_requests_total\{app="shop".*class="2xx"/.test(line);
  const lines = await waitFor('all workers to have told what they have answered', async () => {
    const text = await (await fetch(`${link.origin}/metrics`, { headers })).text();
    const lines = text.split('\n').filter(isOfShop);
    const counted = lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    return counted >= answered && lines;
  });
  print(`GET ${link.origin}/metrics\n${lines.join('\n')}`);
  checks.see(true, `Ostler has counted the ${answered} requests of the load, over a reload`);
  await ostler.type('web', '--off');
}

// What the same work costs everybody else, on the loop and in the pool.
async function threads({ url, checks, print, seconds }) {
  const health = {};
  for (const mode of ['loop', 'pool']) {
    const work = beginLoad(`${url}/calculate?n=200000&mode=${mode}`, { connections: 8 });
    const others = beginLoad(`${url}/health`, { connections: 4 });
    await pause(seconds * 1000);
    const [worked, other] = await Promise.all([work.stop(), others.stop()]);
    isLossless(checks, worked, `/calculate, ${mode}`);
    isLossless(checks, other, `/health beside it`);
    health[mode] = { calculated: worked['2xx'], median: other.latency.p50, p99: other.latency.p99 };
  }
  for (const [mode, { calculated, median, p99 }] of Object.entries(health)) {
    print(`${mode}: ${calculated} calculated; /health beside it took ${median} ms at the median, ${p99} ms at the 99th percentile`);
  }
}

// A request that was begun is answered: when its worker is replaced, and when the shop is stopped.
async function graceful({ ostler, url, checks }) {
  for (const command of ['reload', 'stop']) {
    await waitFor('quiet', async () => await ostler.openConnections() === 0);
    const slow = get(`${url}/slow?ms=1500`);
    await waitFor('the request to be under way', async () => await ostler.openConnections() > 0);
    const [answer] = await Promise.all([slow, ostler.type(command, 'shop')]);
    checks.see(answer.waited === 1500, `a request under way was answered during \`ostler ${command}\``);
  }
  const refused = await get(`${url}/health`).then(() => false, () => true);
  checks.see(refused, 'stopped means stopped');
  await ostler.type('start', 'shop');
}

async function crash({ ostler, url, checks }) {
  const [pid] = await ostler.pids();
  const successor = await ostler.successor(pid, () => process.kill(pid, 'SIGKILL'));
  checks.see((await get(`${url}/health`)).status === 'up', `${pid} was killed, ${successor} has taken its place`);
}

// A worker that never gives its event loop back: nobody notices but its probe.
async function hang({ ostler, url, checks }) {
  const { pid } = await get(`${url}/exercise/hang`, 'POST');
  const others = beginLoad(`${url}/health`, { connections: 4, fresh: true });
  const successor = await ostler.successor(pid);
  const result = await others.stop();
  checks.see(successor, `${pid} hung, and was replaced by ${successor}`);
  isLossless(checks, result, 'meanwhile');
}

async function memory({ ostler, url, checks }) {
  const others = beginLoad(`${url}/health`, { connections: 4 });
  const { pid } = await get(`${url}/exercise/leak?mb=400`, 'POST');
  const successor = await ostler.successor(pid);
  const result = await others.stop();
  checks.see(successor, `${pid} had too much memory, and was replaced by ${successor}`);
  isLossless(checks, result, 'meanwhile');
}

async function scale({ ostler, url, checks }) {
  const load = beginLoad(`${url}/health`, { connections: 8 });
  const before = (await ostler.workers()).length;
  await ostler.type('scale', 'shop', '+1');
  await ostler.type('scale', 'shop', String(before));
  isLossless(checks, await load.stop(), 'a worker more, and one less');
  await ostler.type('why', 'shop');
}

async function boot({ ostler, url, checks }) {
  const before = (await ostler.workers()).length;
  await ostler.type('save');
  await ostler.type('kill');
  await ostler.type('resurrect');
  checks.see((await ostler.workers()).length === before, `${before} workers are back`);
  const { environment } = await get(`${url}/`);
  checks.see(environment === 'production', 'in production, as they were saved');
  await ostler.type('startup', 'systemd', '--print');
}

module.exports = [
  ['Start, in development: `ostler start ecosystem.config.js`', start],
  ['Health endpoints, and what Ostler makes of them', health],
  ['A counter that all workers share', counter],
  ['Load, and in its middle a reload into production', load],
  ['Numbers, for the web dashboard and Prometheus', numbers],
  ['Work for the processor: on the event loop, and in threads', threads],
  ['Graceful shutdown', graceful],
  ['A worker crashes', crash],
  ['A worker hangs', hang],
  ['A worker takes too much memory', memory],
  ['More workers, and fewer', scale],
  ['Saved, and back after a boot', boot],
];
