'use strict';
// An app with a child and a thread: tells at `/family` what they, and itself, see of the preload.
const { fork } = require('child_process');
const { Worker, isMainThread, parentPort } = require('worker_threads');

const seen = () => ({
  execArgv: process.execArgv,
  message: process.listenerCount('message'),
  signals: ['SIGINT', 'SIGTERM', 'SIGHUP'].map((name) => process.listenerCount(name)),
  preloaded: Object.keys(require.cache).some((file) => file.endsWith('preload.cjs')),
  internal: process.listenerCount('internalMessage'),
});

if (!isMainThread) {
  parentPort.postMessage(seen());
  parentPort.on('message', (text) => parentPort.postMessage(text));
} else if (process.argv[2] === 'child') {
  process.send(seen());
  process.on('message', (text) => process.send(text));
} else {
  const child = fork(__filename, ['child']);
  const thread = new Worker(__filename);
  const first = (emitter) => new Promise((done) => emitter.once('message', done));
  Promise.all([first(child), first(thread)]).then(([inChild, inThread]) => {
    const server = require('http').createServer(async (request, response) => {
      if (request.url === '/family') {
        response.end(JSON.stringify({ self: seen(), child: inChild, thread: inThread, pid: child.pid }));
        return;
      }
      // Each request goes through both.
      const answers = [first(child), first(thread)];
      child.send('ping');
      thread.postMessage('ping');
      await Promise.all(answers);
      response.end(`hello ${process.pid}`);
    });
    server.listen(Number(process.env.PORT), '127.0.0.1');
  });
}
