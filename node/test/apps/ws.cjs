'use strict';
// Echoes what comes on WebSockets, beside an ordinary HTTP server.
const { WebSocketServer } = require(`${process.env.PACKAGES}/ws-8/node_modules/ws`);

const server = require('http').createServer((request, response) => response.end(`hello ${process.pid}`));
new WebSocketServer({ server }).on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
server.listen(Number(process.env.PORT), '127.0.0.1');
