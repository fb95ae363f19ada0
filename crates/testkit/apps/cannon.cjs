'use strict';
// autocannon with an account of what was lost: `cannon.cjs URL CONNECTIONS kept|fresh` asks until its input ends. A line of JSON each:
//   {answered}                now and then: how many so far
//   {sent, answered, errors}  at the end; `answered` are those with a status of 200 to 299
// At the end each connection waits for one answer; that one is not in `sent`.
const autocannon = require('autocannon');

const [url, connections, kind] = process.argv.slice(2);
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
let answered = 0;

// A server that says `Connection: close` answers nothing more on that connection (RFC 9112, 9.6). autocannon would write its next request
// into it all the same.
function setupClient(client) {
  const ask = client._doRequest;
  let isOver = false;
  client.on('headers', ({ shouldKeepAlive }) => { isOver = kind === 'fresh' || !shouldKeepAlive; });
  client._doRequest = () => {
    if (!isOver) return ask.call(client);
    isOver = false;
    return client._resetConnection(); // connects, and asks
  };
}

const run = { url, connections: Number(connections), duration: 600, timeout: 20, setupClient };
const instance = autocannon(run, (error, result) => {
  if (error) throw error;
  const { errors, non2xx, requests } = result;
  tell({ sent: requests.sent - result.connections, answered: result['2xx'], errors, non2xx });
  process.exit(0);
});
instance.on('response', () => { answered += 1; });
setInterval(() => tell({ answered }), 50);
process.stdin.on('end', () => instance.stop()).resume();
