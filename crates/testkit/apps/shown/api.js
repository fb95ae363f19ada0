const http = require('http');
let served = 0;
http.createServer((request, response) => {
  const wait = request.url === '/report' ? 120 + Math.random() * 150 : 3 + Math.random() * 25;
  let sum = 0;
  for (let i = 0; i < 4e5; i++) sum += i % 7;
  setTimeout(() => {
    response.end(String(sum));
    if (++served % 10 === 0) console.log(`GET ${request.url} 200 ${wait.toFixed(0)} ms`);
    if (Math.random() < 0.01) console.error('warning: cache miss for order ' + Math.floor(Math.random() * 9000));
  }, wait);
}).listen(process.env.PORT, '127.0.0.1');
