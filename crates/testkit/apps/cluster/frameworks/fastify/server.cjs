const cluster = require('cluster');
const fastify = require(process.env.MODULE)();

fastify.get('/', async () => ({ pid: process.pid, isWorker: cluster.isWorker, workerId: cluster.worker?.id }));
fastify.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
