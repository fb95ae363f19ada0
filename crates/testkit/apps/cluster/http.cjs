const http = require('http');
const { respond } = require('./who.cjs');

http.createServer(respond).listen(Number(process.env.PORT), '127.0.0.1');
