// Clients that upgrade at once; long polling needs sticky sessions, under any cluster.
const cluster = require('cluster');
const { createServer } = require('http');
const { Server } = require('socket.io');

const server = createServer();
new Server(server).on('connection', (socket) => {
  socket.on('who', () => {
    socket.emit('me', { pid: process.pid, isWorker: cluster.isWorker, workerId: cluster.worker?.id });
  });
});
server.listen(process.env.PORT, '127.0.0.1');
