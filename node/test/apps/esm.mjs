// An app of ES modules.
import { createServer } from 'node:http';

createServer((request, response) => response.end(`hello ${process.pid}`)).listen(Number(process.env.PORT), '127.0.0.1');
