// The same address twice in one worker: the second server must be told.
const http = require('http');
const { respond, sayErrors } = require('./who.cjs');
const port = Number(process.env.PORT);

http.createServer(respond).listen(port, '127.0.0.1', () => {
  sayErrors(http.createServer(respond)).listen(port, '127.0.0.1');
});
