// A worker of a Fastify app: says when it is ready, and closes itself when it is told to end.
const fastify = require('fastify')();

fastify.get('/', async () => ({ hello: 'from Fastify', pid: process.pid }));
fastify.get('/healthz', async () => 'well\n');

async function main() {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, async () => {
      await fastify.close();
      process.exit(0);
    });
  }
  const address = await fastify.listen({ port: Number(process.env.PORT || 3000), host: '127.0.0.1' });
  console.log(`listening on ${address}`);
  process.send?.('ready');
}

main();
