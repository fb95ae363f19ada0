const dgram = require('dgram');
const { who, say, sayErrors } = require('./who.cjs');
const { FAMILY = 'udp4', ZERO, PORT } = process.env;

const socket = dgram.createSocket(FAMILY);
sayErrors(socket);
socket.on('listening', () => say({ listening: socket.address() }));
socket.on('message', (message, from) => socket.send(JSON.stringify(who()), from.port, from.address));
socket.bind(ZERO ? 0 : Number(PORT), FAMILY === 'udp4' ? '127.0.0.1' : '::1');
