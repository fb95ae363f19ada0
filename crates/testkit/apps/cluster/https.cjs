const fs = require('fs');
const https = require('https');
const { respond } = require('./who.cjs');

const key = fs.readFileSync(`${__dirname}/tls/key.pem`);
const cert = fs.readFileSync(`${__dirname}/tls/certificate.pem`);
https.createServer({ key, cert }, respond).listen(Number(process.env.PORT), '127.0.0.1');
