// An ES module with top-level await.
import http from 'node:http';
const word = await Promise.resolve('module');
http.createServer((request, response) => response.end(`ok ${process.pid} ${word}`)).listen(process.env.PORT, '127.0.0.1');
