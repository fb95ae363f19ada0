const cluster = require('cluster');
const { WebSocketServer } = require('ws');

new WebSocketServer({ port: Number(process.env.PORT), host: '127.0.0.1' }).on('connection', (socket) => {
  socket.send(JSON.stringify({ pid: process.pid, isWorker: cluster.isWorker, workerId: cluster.worker?.id }));
});
