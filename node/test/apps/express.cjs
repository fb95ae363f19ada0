'use strict';
const express = require(`${process.env.PACKAGES}/express-4/node_modules/express`);

const app = express();
app.get('/', (request, response) => response.json({ pid: process.pid }));
app.listen(Number(process.env.PORT), '127.0.0.1');
