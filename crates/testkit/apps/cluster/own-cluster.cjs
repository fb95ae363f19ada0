// An app that brings its own cluster: it is a worker already, so it takes the worker's branch.
const cluster = require('cluster');
const http = require('http');
const { respond, say } = require('./who.cjs');

if (cluster.isPrimary) {
  say({ branch: 'primary' });
  cluster.fork();
  cluster.fork();
} else {
  http.createServer(respond).listen(Number(process.env.PORT), '127.0.0.1');
}
