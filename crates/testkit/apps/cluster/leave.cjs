// A worker that goes of its own accord, once /leave was answered.
const cluster = require('cluster');
const http = require('http');
const { respond } = require('./who.cjs');

const ways = {
  'worker.disconnect': () => cluster.worker.disconnect(),
  'worker.kill': () => cluster.worker.kill(),
  'process.disconnect': () => process.disconnect(),
  'process.exit': () => process.exit(1),
  'SIGKILL': () => process.kill(process.pid, 'SIGKILL'),
  'throw': () => setImmediate(() => { throw new Error('on purpose'); }),
};

http.createServer((request, response) => {
  if (request.url === '/leave') response.on('finish', ways[process.env.WAY]);
  respond(request, response);
}).listen(Number(process.env.PORT), '127.0.0.1');
