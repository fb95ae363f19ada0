'use strict';
const fastify = require(`${process.env.PACKAGES}/fastify-4/node_modules/fastify`);

const app = fastify();
app.get('/', async () => ({ pid: process.pid }));
app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
