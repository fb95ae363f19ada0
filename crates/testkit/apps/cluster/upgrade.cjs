// A WebSocket handshake by hand, then one text frame of less than 64 KiB.
const crypto = require('crypto');
const http = require('http');
const { who, respond } = require('./who.cjs');

const server = http.createServer(respond);
server.on('upgrade', (request, socket) => {
  socket.on('error', () => {});
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const accept = crypto.createHash('sha1').update(key).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  const text = Buffer.from(JSON.stringify(who()));
  socket.write(Buffer.concat([Buffer.from([0x81, 126, text.length >> 8, text.length & 255]), text]));
});
server.listen(Number(process.env.PORT), '127.0.0.1');
