// What a server says its address is.
const http = require('http');
const { who } = require('./who.cjs');

const server = http.createServer((request, response) => {
  const { address, family, port } = server.address();
  response.end(JSON.stringify(who({ bound: { address, family, isPort: port === Number(process.env.PORT) } })));
});
server.listen(Number(process.env.PORT), '127.0.0.1');
