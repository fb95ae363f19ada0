// Sends a socket to its parent, then a message; both must get through, or later messages wait for ever.
const http = require('http');
const net = require('net');
const { who } = require('./who.cjs');

const send = (message, handle) =>
  new Promise((resolve, reject) => process.send(message, handle, (error) => (error ? reject(error) : resolve())));

const handOver = () => new Promise((resolve, reject) => {
  const server = net.createServer(async (socket) => {
    server.close();
    await send({ take: 'this' }, socket).then(() => send('after', undefined)).then(resolve, reject);
  });
  server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => {
    net.connect(server.address().port, '127.0.0.1').on('error', () => {}).resume();
  });
});

http.createServer((request, response) => {
  const answer = (handedOver) => response.end(JSON.stringify(who({ handedOver })));
  handOver().then(() => answer(true), (error) => answer(error.message));
}).listen(Number(process.env.PORT), '127.0.0.1');
