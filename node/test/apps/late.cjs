'use strict';
// Begins to listen on a second port when it is told to, which a test does while it drains.
const http = require('http');
const answer = (request, response) => {
  if (request.url === '/slow') process.send('asked');
  setTimeout(() => response.end(`hello ${process.pid}`), request.url === '/slow' ? 1500 : 0);
};

http.createServer(answer).listen(Number(process.env.PORT), '127.0.0.1');
process.on('message', (port) => http.createServer(answer).listen(port, '127.0.0.1'));
