// Each form of listen(), as apps write it.
const http = require('http');
const { respond, say, sayErrors } = require('./who.cjs');
const port = Number(process.env.PORT);

const forms = {
  'port': (server) => server.listen(port),
  'port as text': (server) => server.listen(process.env.PORT),
  'port and host': (server) => server.listen(port, '127.0.0.1'),
  'localhost': (server) => server.listen(port, 'localhost'),
  '::1': (server) => server.listen(port, '::1'),
  '::': (server) => server.listen({ port, host: '::' }),
  'ipv6Only': (server) => server.listen({ port, host: '::', ipv6Only: true }),
  '0': (server) => server.listen(0, '127.0.0.1'),
  'backlog': (server) => server.listen(port, '127.0.0.1', 5),
  'socket': (server) => server.listen(process.env.SOCKET),
  'socket by path': (server) => server.listen({ path: process.env.SOCKET, readableAll: true, writableAll: true }),
  'exclusive': (server) => server.listen({ port, host: '127.0.0.1', exclusive: true }),
  'reusePort': (server) => server.listen({ port, host: '127.0.0.1', reusePort: true }),
  'fd': (server) => server.listen({ fd: 99 }),
};

const server = http.createServer(respond);
sayErrors(server);
server.on('listening', () => say({ listening: server.address() }));
try {
  forms[process.env.FORM](server);
} catch (error) {
  server.emit('error', error);
}
