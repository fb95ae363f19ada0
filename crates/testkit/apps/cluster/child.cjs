// A child of the worker neither inherits the channel nor takes itself for a worker.
const http = require('http');
const { fork } = require('child_process');
const { who } = require('./who.cjs');

if (process.argv[2] === 'child') {
  process.send(who());
} else {
  const child = fork(__filename, ['child']);
  child.on('message', ({ isWorker, leaked }) => {
    http.createServer((request, response) => response.end(JSON.stringify(who({ child: { isWorker, leaked } }))))
      .listen(Number(process.env.PORT), '127.0.0.1');
    // One that has said all it had to may have ended already.
    if (child.connected) child.disconnect();
  });
}
