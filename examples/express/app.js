// A real, small Express app: a page, a health check, and a route that crashes, so that a restart can be watched.
const express = require('express');

const app = express();
const port = Number(process.env.PORT || 3000);

app.get('/', (request, response) => response.send(`Hello from process ${process.pid}\n`));
app.get('/health', (request, response) => response.json({ up: true, seconds: Math.round(process.uptime()) }));
app.get('/crash', (request, response) => {
  response.send('Crashing; ask me again in a moment.\n');
  setImmediate(() => { throw new Error('crashed on request'); });
});

app.listen(port, '127.0.0.1', error => {
  if (error) throw error;
  console.log(`listening on http://127.0.0.1:${port}/`);
});
