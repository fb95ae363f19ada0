// Closes its server and listens again on the same address, three times, before it serves.
const http = require('http');
const { respond, say } = require('./who.cjs');

const serve = (left) => {
  const server = http.createServer(respond);
  server.listen(Number(process.env.PORT), '127.0.0.1', () => {
    if (left === 0) return say({ listened: 4 });
    server.close(() => serve(left - 1));
  });
};
serve(3);
