// A large answer; who does not read it keeps nobody else waiting.
const http = require('http');
const { respond } = require('./who.cjs');
const large = Buffer.alloc(32 << 20, 'x');

http.createServer((request, response) => {
  if (request.url !== '/large') return respond(request, response);
  response.writeHead(200, { 'Worker-Pid': process.pid, 'Content-Length': large.length, 'Connection': 'close' });
  response.end(large);
}).listen(Number(process.env.PORT), '127.0.0.1');
