// Each answer comes from a thread of the worker.
const { Worker, isMainThread, parentPort } = require('worker_threads');

if (isMainThread) {
  const http = require('http');
  const { who } = require('./who.cjs');
  const thread = new Worker(__filename);
  const waiting = [];
  thread.on('message', (text) => waiting.shift().end(JSON.stringify(who({ thread: text }))));
  http.createServer((request, response) => {
    waiting.push(response);
    thread.postMessage('question');
  }).listen(Number(process.env.PORT), '127.0.0.1');
} else {
  parentPort.on('message', (text) => parentPort.postMessage(`answer to ${text}`));
}
