const cluster = require('cluster');
const express = require(process.env.MODULE);

const app = express();
app.get('/', (request, response) => {
  response.json({ pid: process.pid, isWorker: cluster.isWorker, workerId: cluster.worker?.id });
});
app.listen(process.env.PORT, '127.0.0.1');
