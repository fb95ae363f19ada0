const dgram = require('dgram');
const { who, sayErrors } = require('./who.cjs');

const socket = dgram.createSocket('udp4');
sayErrors(socket);
socket.on('message', (message, from) => socket.send(JSON.stringify(who()), from.port, from.address));
socket.bind(Number(process.env.PORT), '127.0.0.1');
