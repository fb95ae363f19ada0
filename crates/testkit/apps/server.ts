// TypeScript, for a Node that strips types by itself.
import http from 'node:http';
const word: string = 'typescript';
const answer = (_request: http.IncomingMessage, response: http.ServerResponse): void => {
  response.end(`ok ${process.pid} ${word}`);
};
http.createServer(answer).listen(Number(process.env.PORT), '127.0.0.1');
