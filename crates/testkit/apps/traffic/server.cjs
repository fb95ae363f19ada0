'use strict';
// Serves on $PORT, without a line of shutdown code, what takes its time. $SCHEME is http, https, h2 or h2c.
//   GET /slow     answered after $SLOW_MS
//   POST /upload  answered when the body is here: its length and digest
//   GET /stream/LINES/MS  so many numbered lines, so far apart
//   an upgrade    a WebSocket that says what it is told
// The last word of every answer is the worker's pid. With $GOODBYE WebSockets are closed properly at SIGINT.
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const { PORT, SCHEME = 'http', SLOW_MS = 1500, GOODBYE } = process.env;

const routes = {
  slow: (request, response) => setTimeout(() => response.end(`slow ${process.pid}\n`), Number(SLOW_MS)),
  upload: (request, response) => {
    const digest = crypto.createHash('sha256');
    let length = 0;
    request.on('data', (piece) => {
      length += piece.length;
      digest.update(piece);
    });
    request.on('end', () => response.end(`upload ${length} ${digest.digest('hex')} ${process.pid}\n`));
  },
  stream: (request, response, lines, pause) => {
    let line = 0;
    const timer = setInterval(() => {
      response.write(`line ${++line}\n`);
      if (line < Number(lines)) return;
      clearInterval(timer);
      response.end(`end ${process.pid}\n`);
    }, Number(pause));
    response.on('close', () => clearInterval(timer));
  },
};

function respond(request, response) {
  const [, name, ...words] = request.url.split('/');
  routes[name](request, response, ...words);
}

function server() {
  const file = (name) => fs.readFileSync(path.join(__dirname, '../cluster/tls', name));
  const secret = () => ({ key: file('key.pem'), cert: file('certificate.pem') });
  switch (SCHEME) {
    case 'http': return require('http').createServer(respond);
    case 'https': return require('https').createServer(secret(), respond);
    case 'h2': return require('http2').createSecureServer(secret(), respond);
    case 'h2c': return require('http2').createServer(respond);
    default: throw new Error(`no such scheme: ${SCHEME}`);
  }
}

// RFC 6455, frames of less than 126 bytes, each sent by its client in one piece of text.
const sockets = new Set();
function upgrade(request, socket) {
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = crypto.createHash('sha1').update(key).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  sockets.add(socket);
  let unread = Buffer.alloc(0);
  socket.on('data', (bytes) => {
    unread = Buffer.concat([unread, bytes]);
    while (unread.length >= 6 && unread.length >= 6 + (unread[1] & 127)) {
      const end = 6 + (unread[1] & 127);
      const word = unread.subarray(6, end).map((byte, at) => byte ^ unread[2 + (at & 3)]);
      unread = unread.subarray(end);
      const text = Buffer.from(`${Buffer.from(word)} ${process.pid}`);
      socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
    }
  });
  socket.on('close', () => sockets.delete(socket));
  socket.on('error', () => {});
}

const serving = server().on('upgrade', upgrade);
serving.listen(Number(PORT));

if (GOODBYE) {
  process.on('SIGINT', () => {
    serving.close(() => process.exit(0));
    // A frame that closes, 1001: the endpoint is going away.
    for (const socket of sockets) socket.end(Buffer.from([0x88, 2, 0x03, 0xe9]));
  });
}
