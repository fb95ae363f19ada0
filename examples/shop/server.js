// One worker of the shop: opens what it needs, listens, says that it is ready, and finishes what it has begun when it is told to end.
const { Piscina } = require('piscina');
const createApp = require('./app');
const Counter = require('./counter');

const port = Number(process.env.PORT || 3000);
const worker = { stopping: false };

async function main() {
  const counter = new Counter(process.env.REDIS_URL || 'redis://127.0.0.1:6379');
  await counter.open();
  const pool = new Piscina({ filename: require.resolve('./calculate.js'), minThreads: 1, maxThreads: 2, maxQueue: 100 });
  const server = createApp({ counter, pool, worker }).listen(port, '127.0.0.1', error => {
    if (error) throw error;
    console.log(`${process.env.NODE_ENV || 'development'}: listening on http://127.0.0.1:${port}/`);
    // What `wait_ready` waits for: from now on this worker is given connections.
    process.send?.('ready');
  });

  async function stop(signal) {
    if (worker.stopping) return;
    worker.stopping = true;
    console.log(`${signal}: finishing what is under way`);
    // Connections that a client keeps without asking anything would hold us up.
    const idle = setInterval(() => server.closeIdleConnections(), 100);
    await new Promise(resolve => server.close(resolve));
    clearInterval(idle);
    await pool.close();
    await counter.close();
    process.exit(0);
  }
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

main();
