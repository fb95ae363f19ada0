// Ends as apps do that care: no new connections, then out.
const http = require('http');
const { respond, say } = require('./who.cjs');

const server = http.createServer(respond).listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGINT', () => {
  say({ got: 'SIGINT' });
  server.close(() => process.exit(0));
});
