// A worker with Socket.IO: acknowledges each message, and says who did.
const { createServer } = require('node:http');
const { Server } = require('socket.io');

const server = createServer((request, response) => response.end(`ok ${process.pid}\n`));
const io = new Server(server);

io.on('connection', socket => {
  socket.on('message', (text, acknowledge) => acknowledge({ text, pid: process.pid }));
});

server.listen(Number(process.env.PORT || 3000), '127.0.0.1', () => process.send?.('ready'));

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    // Tells every client to come again, and closes the server. They find another worker.
    io.close(() => process.exit(0));
  });
}
