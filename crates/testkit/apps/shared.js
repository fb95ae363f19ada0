'use strict';
// Serves on $PORT without a line of shutdown code. / answers at once, /slow after $SLOW_MS. How it is broken is in ./broken
// beside it, if there is such a file: `throws`, `never`, `dies` 300 ms after it listens, or `elsewhere`.
const fs = require('fs');
const http = require('http');
const path = require('path');

const file = path.join(__dirname, 'broken');
const broken = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() : '';
const answer = (response, word) => {
  const body = `${word} ${process.pid}`;
  response.writeHead(200, { 'Content-Length': body.length });
  response.end(body);
};
const server = http.createServer((request, response) => {
  if (request.url === '/slow') setTimeout(() => answer(response, 'slow'), Number(process.env.SLOW_MS || 1500));
  else answer(response, 'ok');
});
if (broken === 'throws') throw new Error('a broken release');
if (broken === 'never') setInterval(() => {}, 1000);
else if (broken === 'elsewhere') server.listen(0);
else server.listen(process.env.PORT, () => broken === 'dies' && setTimeout(() => process.exit(7), 300));
