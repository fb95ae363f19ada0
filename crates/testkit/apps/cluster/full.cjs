// A server that takes one connection at a time.
const http = require('http');
const { respond } = require('./who.cjs');

const server = http.createServer(respond);
server.maxConnections = 1;
server.listen(Number(process.env.PORT), '127.0.0.1');
