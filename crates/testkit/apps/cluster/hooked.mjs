import http from 'node:http';
import madeUp from 'made:up';
import who from './who.cjs';

const respond = (request, response) => response.end(JSON.stringify(who.who({ madeUp })));
http.createServer(respond).listen(Number(process.env.PORT), '127.0.0.1');
