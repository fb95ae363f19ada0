'use strict';
// Binds its port itself, past the primary.
const server = require('http').createServer((request, response) => {
  process.send('asked');
  setTimeout(() => response.end(`hello ${process.pid}`), 500);
});
server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', exclusive: true }, () => process.send('ready'));
