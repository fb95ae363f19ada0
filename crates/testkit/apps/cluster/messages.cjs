// Messages of the app to its parent, of every kind the channel's serialisation knows, and one from it.
const cluster = require('cluster');
const http = require('http');
const { respond, say } = require('./who.cjs');

const simple = ['text', 42, true, { type: 'process:msg', data: { list: [1, [2], {}], none: null } }, ['a', 'ü', '𝄞\n'],
  { cmd: 'not of Node' }, { large: 'x'.repeat(1 << 20) }];
const circular = {};
circular.self = circular;
const advanced = [new Map([[{ key: 1 }, new Set([2])]]), 10n ** 30n, new Date(0), Buffer.from('bytes'), /expression/g,
  new Error('an error'), new Float64Array(3), undefined, circular];
const messages = process.env.ADVANCED ? [...simple, ...advanced] : simple;

const send = (message) =>
  new Promise((resolve, reject) => process.send(message, (error) => (error ? reject(error) : resolve())));

process.on('message', (message) => say({ got: message }));
cluster.worker.on('message', (message) => {
  say({ workerGot: message });
  if (message === 'shutdown') setImmediate(() => process.exit(0));
});
http.createServer(respond).listen(Number(process.env.PORT), '127.0.0.1', async () => {
  for (const message of messages) await send(message).catch((error) => say({ refused: error.message }));
  say({ sent: messages.length });
  cluster.worker.send('ready');
});
