// What `npm start` runs, two processes deep.
const http = require('http');
http.createServer((request, response) => response.end(`ok ${process.pid} npm`)).listen(process.env.PORT, '127.0.0.1');
