const http = require('http');
const { respond } = require('./who.cjs');

for (const port of [process.env.PORT, process.env.SECOND]) http.createServer(respond).listen(Number(port), '127.0.0.1');
