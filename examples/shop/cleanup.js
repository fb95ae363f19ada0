// A job: forgets the counts of days that are more than a week old, then ends. Started by `cron_restart` every night.
const { createClient } = require('redis');
const { A_DAY } = require('./counter');

const KEPT = 7; // days

async function main() {
  const url = process.env.REDIS_URL || 'redis://127.0.0.1:6379';
  const client = createClient({ url, socket: { connectTimeout: 1000, reconnectStrategy: false } });
  client.on('error', () => {}); // connect() throws it
  try {
    await client.connect();
  } catch (error) {
    console.log(`nothing to clean up: Redis cannot be reached (${error.code || error.message})`);
    return;
  }
  const oldest = A_DAY + new Date(Date.now() - KEPT * 86_400_000).toISOString().slice(0, 10);
  let forgotten = 0;
  for await (const keys of client.scanIterator({ MATCH: `${A_DAY}*` })) {
    const old = keys.filter(key => key < oldest);
    if (old.length > 0) forgotten += await client.del(old);
  }
  console.log(`forgot the counts of ${forgotten} days`);
  await client.close();
}

main();
