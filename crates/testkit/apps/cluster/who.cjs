// What every app here says: who answers, and what became of something.
const cluster = require('cluster');
const variables = ['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE', 'NODE_UNIQUE_ID'];

const who = (more) => ({
  pid: process.pid,
  isWorker: cluster.isWorker,
  isPrimary: cluster.isPrimary,
  workerId: cluster.worker ? cluster.worker.id : null,
  connected: process.connected === true && cluster.worker !== undefined && cluster.worker.isConnected(),
  // Variables of the channel that children of the app would inherit.
  leaked: variables.filter((name) => name in process.env),
  preloaded: globalThis.preloaded || null,
  ...more,
});

const say = (line) => process.stdout.write(JSON.stringify({ pid: process.pid, ...line }) + '\n');

const respond = (request, response) => {
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(who()));
};

// For servers whose failure to listen is what is looked at: the worker stays.
const sayErrors = (server) =>
  server.on('error', ({ name, code, syscall, port, address }) => say({ error: name, code, syscall, port, address }));

module.exports = { who, say, respond, sayErrors };
