import http from 'node:http';
import { respond } from './who.cjs';

http.createServer(respond).listen(Number(process.env.PORT), '127.0.0.1');
