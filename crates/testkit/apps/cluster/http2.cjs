const fs = require('fs');
const http2 = require('http2');
const { respond } = require('./who.cjs');

const key = fs.readFileSync(`${__dirname}/tls/key.pem`);
const cert = fs.readFileSync(`${__dirname}/tls/certificate.pem`);
const server = process.env.SECURE ? http2.createSecureServer({ key, cert }, respond) : http2.createServer(respond);
server.listen(Number(process.env.PORT), '127.0.0.1');
