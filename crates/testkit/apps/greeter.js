'use strict';
// Serves on $PORT without a line of shutdown code, and does as little for it as a program can: bare sockets, one answer for each connection.
const net = require('net');

const body = `ok ${process.pid}`;
const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
const server = net.createServer((socket) => {
  let request = '';
  socket.setEncoding('latin1');
  socket.on('data', (text) => {
    request += text;
    if (request.endsWith('\r\n\r\n')) socket.end(answer);
  });
  // Whoever goes away halfway is no reason to end.
  socket.on('error', () => socket.destroy());
});
server.listen(process.env.PORT);
