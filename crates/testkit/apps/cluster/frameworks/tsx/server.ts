import cluster from 'node:cluster';
import http from 'node:http';
import { word } from './word';

// Types that are more than comments: nothing but a compiler takes them away.
enum Answer {
  Ok = 200,
}

http.createServer((request: http.IncomingMessage, response: http.ServerResponse) => {
  response.writeHead(Answer.Ok);
  response.end(JSON.stringify({ pid: process.pid, isWorker: cluster.isWorker, word }));
}).listen(Number(process.env.PORT), '127.0.0.1');
