import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { respond } from './who.cjs';

const port: number = Number(process.env.PORT);
createServer((request: IncomingMessage, response: ServerResponse) => respond(request, response)).listen(port, '127.0.0.1');
