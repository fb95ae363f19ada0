// Serves on $PORT. /healthz and /readyz answer 200, or 503 while there is a file `sick` or `unready` in $FLAGS with this process's pid
// behind a dash, or one of all (`sick-all`). `refused` in place of $FLAGS's `unready` at its start makes it unready for life. SIGUSR2
// hangs its event loop. /slow takes 300 ms.
const { existsSync } = require('fs');
const http = require('http');
const path = require('path');

const has = (name) => existsSync(path.join(process.env.FLAGS, name));
const is = (what) => has(`${what}-${process.pid}`) || has(`${what}-all`);
const never = has('never-ready');

process.on('SIGUSR2', () => {
  for (;;);
});

http.createServer((request, response) => {
  const answer = (status, body) => response.writeHead(status, { 'Content-Length': body.length }).end(body);
  if (request.url === '/healthz') answer(is('sick') ? 503 : 200, 'health');
  else if (request.url === '/readyz') answer(never || is('unready') ? 503 : 200, 'ready');
  else if (request.url === '/slow') setTimeout(answer, 300, 200, String(process.pid));
  else answer(200, String(process.pid));
}).listen(process.env.SOCKET || process.env.PORT);
