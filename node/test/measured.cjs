'use strict';
// Requests of every kind against servers of this process, and what `measure.cjs` makes of them.
const assert = require('assert');
const http = require('http');
const net = require('net');
const { once } = require('events');

process.connected = true; // it reports over no channel
let report;
const { watch, finish } = require('../measure.cjs')((message, done) => {
  report = message;
  if (done) done();
});

class Own extends http.ServerResponse {}

function serve(options = {}) {
  const server = http.createServer(options, ({ url }, response) => {
    if (url === '/never') return;
    if (url === '/missing') response.statusCode = 404;
    if (url === '/stream') response.write('a ');
    if (url === '/quick') response.end('answer');
    else setTimeout(() => response.end('answer'), 20);
  });
  return once(server.listen(0, '127.0.0.1'), 'listening').then(() => server);
}

const port = (server) => server.address().port;

async function get(server, path, agent) {
  const [answer] = await once(http.get({ port: port(server), path, agent }), 'response');
  answer.resume();
  await once(answer, 'end');
}

/** Sends a text and waits for the connection to be closed. */
async function send(server, text) {
  const socket = net.connect(port(server), '127.0.0.1');
  socket.resume().write(text);
  await once(socket, 'close');
}

async function main() {
  const server = await serve();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (const path of ['/quick', '/slow', '/missing', '/stream', '/quick']) await get(server, path, agent);
  await Promise.all(['/slow', '/slow', '/quick'].map((path) => get(server, path)));
  await get(await serve({ ServerResponse: Own }), '/slow');
  await send(server, 'GET /slow HTTP/1.1\r\nhost: a\r\n\r\nGET /quick HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
  await send(server, 'GET / HTTP/1.1\r\nhost: a\r\nupgrade: other\r\nconnection: upgrade\r\n\r\n');

  // Two under way, one of them with another one behind it that waits for it; one is never answered.
  const client = net.connect(port(server), '127.0.0.1');
  client.write('GET /never HTTP/1.1\r\nhost: a\r\n\r\nGET /quick HTTP/1.1\r\nhost: a\r\n\r\n');
  const [, connection] = await Promise.all([once(server, 'request'), once(server, 'connection')]).then(([request, [socket]]) => [request, socket]);
  const slow = get(server, '/slow');
  await once(server, 'request');
  watch();
  assert.strictEqual(report.inFlight, 3);
  client.destroy();
  await Promise.all([slow, once(connection, 'close')]);

  finish();
  assert.deepStrictEqual(report.answered, [0, 11, 0, 1, 0]);
  assert.strictEqual(report.aborted, 2);
  assert.strictEqual(report.inFlight, 0);
  assert.strictEqual(report.durations.reduce((sum, count) => sum + count), 12);
  assert.ok(report.duration >= 6 * 19, `${report.duration} ms`);
  process.exit();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
