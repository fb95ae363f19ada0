// Says something of several megabytes to its parent all the time, whoever that is just then, and serves beside it.
const http = require('http');
const { respond, say } = require('./who.cjs');
const long = { type: 'process:msg', data: 'x'.repeat(Number(process.env.MEGABYTES) << 20) };

const talk = () => process.connected && process.send(long, (error) => !error && setImmediate(talk));

process.on('message', (message) => {
  if (message !== 'shutdown') return;
  say({ told: message });
  setImmediate(() => process.exit(0));
});
http.createServer(respond).listen(Number(process.env.PORT), '127.0.0.1', () => {
  process.send('ready');
  talk();
});
