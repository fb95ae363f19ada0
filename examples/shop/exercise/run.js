// The whole exercise, for real, in a home, on ports and with a Redis of its own. Exit code 1 if anything was lost or went wrong.
//
//   npm run exercise               about a minute
//   npm run exercise -- --short    less load
//   npm run exercise -- --kill     kills a worker in the middle of the load test, to see that losses are seen
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Ostler } = require('./ostler');
const { freePorts, startRedis } = require('./redis');
const steps = require('./steps');

const OPTIONS = ['--short', '--kill'];

function options() {
  const words = process.argv.slice(2);
  const unknown = words.find(word => !OPTIONS.includes(word));
  if (unknown) throw new Error(`${unknown} is none of ${OPTIONS.join(', ')}`);
  return { seconds: words.includes('--short') ? 2 : 5, kill: words.includes('--kill') };
}

// One line for each thing that has to hold.
class Checks {
  failed = [];
  count = 0;

  see(holds, what) {
    this.count += 1;
    console.log(`${holds ? '✓' : '✗'} ${what}`);
    if (!holds) this.failed.push(what);
  }
}

async function main() {
  const chosen = options();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'ostler-shop-'));
  const undo = [async () => fs.rmSync(directory, { recursive: true, force: true })];
  const checks = new Checks();
  const stopped = new Promise((resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => reject(new Error(`stopped by ${signal}`)));
  });
  stopped.catch(() => {}); // whatever waits for it just then says so
  try {
    const [port, redisPort] = await freePorts(2);
    const redis = await startRedis(directory, redisPort);
    undo.push(redis.stop);
    const env = { PORT: String(port), REDIS_URL: redis.url, EXERCISE: '1', NODE_ENV: undefined };
    const print = text => console.log(text.replace(/^/gm, '  '));
    const ostler = new Ostler({ home: path.join(directory, 'home'), env, print });
    undo.push(() => ostler.end());
    const shop = { ...chosen, ostler, url: `http://127.0.0.1:${port}`, redis, checks, print };
    for (const [title, step] of steps) {
      console.log(`\n── ${title}`);
      await Promise.race([step(shop), stopped]);
    }
  } catch (error) {
    checks.see(false, error.message);
  } finally {
    for (const step of undo.reverse()) await step();
  }
  const { failed, count } = checks;
  console.log(failed.length === 0 ? `\nAll ${count} held: nothing was lost.` : `\nFailed:\n${failed.join('\n')}`);
  process.exit(failed.length === 0 ? 0 : 1);
}

main().catch(error => {
  console.error(error.message);
  process.exit(1);
});
