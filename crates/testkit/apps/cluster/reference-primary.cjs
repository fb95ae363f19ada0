// Runs an app under the runtime's own cluster, as a small process manager would: what works here is what has to work
// under Ostler.
//
// usage: reference-primary.cjs APP   with $INSTANCES, $EXEC_ARGV (JSON), $SERIALIZATION, $STOP (message or a signal)
// A line on standard input stops the workers; its end stops everything. Says what happens as JSON lines.
const cluster = require('cluster');

const { INSTANCES = '2', EXEC_ARGV = '[]', SERIALIZATION = 'json', STOP = 'SIGINT' } = process.env;
const say = (line) => process.stdout.write(JSON.stringify({ primary: process.pid, ...line }) + '\n');
let forksLeft = 12;
let stopping = false;

const fork = () => {
  if (forksLeft === 0) return say({ event: 'given up' });
  forksLeft -= 1;
  cluster.fork();
};

cluster.setupPrimary({ exec: process.argv[2], execArgv: JSON.parse(EXEC_ARGV), serialization: SERIALIZATION });
cluster.on('listening', (worker) => say({ event: 'listening', of: worker.process.pid }));
cluster.on('exit', (worker, code, signal) => {
  say({ event: 'exit', of: worker.process.pid, code, signal });
  if (!stopping) fork();
});
cluster.on('message', (worker, message, handle) => {
  say({ event: 'message', kind: typeof message, handle: Boolean(handle) });
  if (handle) handle.destroy();
});
for (let count = Number(INSTANCES); count > 0; count -= 1) fork();

process.stdin.on('data', () => {
  stopping = true;
  for (const worker of Object.values(cluster.workers)) {
    if (STOP === 'message') worker.send('shutdown');
    else worker.process.kill(STOP);
  }
});
process.stdin.on('end', () => process.exit(0));
