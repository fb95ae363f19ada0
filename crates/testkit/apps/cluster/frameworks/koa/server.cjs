const cluster = require('cluster');
const Koa = require(process.env.MODULE);

const app = new Koa();
app.use((context) => {
  context.body = { pid: process.pid, isWorker: cluster.isWorker, workerId: cluster.worker?.id };
});
app.listen(process.env.PORT, '127.0.0.1');
