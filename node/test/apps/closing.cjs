'use strict';
// An app with a handler of its own, as the manuals of process managers advise: exits 1 when closing its server fails.
const server = require('http').createServer((request, response) => response.end(`hello ${process.pid}`));
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGINT', () => {
  if (server.address().port !== Number(process.env.PORT) || !server.listening) process.exit(2);
  server.close((error) => process.exit(error ? 1 : 0));
});
