'use strict';
// The app under most cases: `web.cjs http|https|h2|h2c`, an ordinary server without a handler of any signal.
const fs = require('fs');
const path = require('path');
const kind = process.argv[2];
const pem = fs.readFileSync(path.join(__dirname, 'localhost.pem'));
const secrets = { key: pem, cert: pem };

const routes = {
  '/': (request, response) => response.end(`hello ${process.pid}`),
  // Nothing is sent for a while, not even headers. The primary learns that it was asked.
  '/slow': (request, response) => {
    process.send('asked');
    setTimeout(() => response.end(`slow ${process.pid}`), 1500);
  },
  // Headers at once, then a body that takes its time.
  '/stream': (request, response) => {
    let left = 20;
    const timer = setInterval(() => {
      response.write('x'.repeat(10_000));
      if (--left === 0) {
        clearInterval(timer);
        response.end(`streamed ${process.pid}`);
      }
    }, 75);
  },
  '/upload': (request, response) => {
    let length = 0;
    request.on('data', (chunk) => (length += chunk.length));
    request.on('end', () => response.end(`${length} ${process.pid}`));
  },
  // Answered before the body has come, which is then ignored.
  '/early': (request, response) => response.end(`early ${process.pid}`),
  // The app names the header itself, in each of the ways there are.
  '/explicit': (request, response) => {
    response.setHeader('Connection', 'keep-alive');
    response.end(`explicit ${process.pid}`);
  },
  '/explicit-object': (request, response) => {
    response.writeHead(200, { Connection: 'keep-alive', 'Content-Type': 'text/plain' });
    response.end(`explicit ${process.pid}`);
  },
  '/explicit-list': (request, response) => {
    response.writeHead(200, ['connection', 'Keep-Alive', 'content-type', 'text/plain']);
    response.end(`explicit ${process.pid}`);
  },
};
const handle = (request, response) => routes[request.url](request, response);

const servers = {
  http: () => require('http').createServer(handle),
  https: () => require('https').createServer(secrets, handle),
  h2: () => require('http2').createSecureServer(secrets, handle),
  h2c: () => require('http2').createServer(handle),
};
servers[kind]().listen(Number(process.env.PORT), '127.0.0.1');
