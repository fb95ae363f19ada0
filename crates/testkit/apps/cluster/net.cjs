// The server speaks first, and sees each client's true address.
const net = require('net');
const { who } = require('./who.cjs');

net.createServer((socket) => {
  socket.on('error', () => {});
  socket.end(JSON.stringify(who({ from: `${socket.remoteAddress}:${socket.remotePort}` })));
}).listen(Number(process.env.PORT), '127.0.0.1');
