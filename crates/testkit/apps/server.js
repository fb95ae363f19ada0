// A plain server: no signal handler, no readiness message.
const http = require('http');
const word = process.env.WORD || 'node';
http.createServer((request, response) => response.end(`ok ${process.pid} ${word}`)).listen(process.env.PORT, '127.0.0.1');
