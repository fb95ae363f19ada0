// Load by autocannon, with an account of what was lost.
const autocannon = require('autocannon');

const LONGEST = 600; // seconds; it is stopped before

// Asks `url` over so many connections, each as fast as it is answered, until `stop()` is called.
function beginLoad(url, { connections, fresh = false, timeout = 30 }) {
  let answered = 0;
  let instance;
  const ended = new Promise((resolve, reject) => {
    instance = autocannon({ url, connections, timeout, duration: LONGEST, setupClient: honour(fresh) }, (error, result) => {
      if (error) reject(error);
      else resolve({ ...result, lost: lost(result) });
    });
  });
  instance.on('response', () => { answered += 1; });
  return {
    answered: () => answered,
    stop: () => {
      instance.stop();
      return ended;
    },
  };
}

// A server that says `Connection: close` answers nothing more on that connection (RFC 9112, 9.6). Browsers, proxies and agents go on
// by another one; autocannon would write its next request into it all the same.
function honour(fresh) {
  return client => {
    const ask = client._doRequest;
    let isOver = false;
    client.on('headers', ({ shouldKeepAlive }) => { isOver = fresh || !shouldKeepAlive; });
    client._doRequest = () => {
      if (!isOver) return ask.call(client);
      isOver = false;
      return client._resetConnection(); // connects, and asks
    };
  };
}

// At its end each connection waits for one answer. Every other request has been answered, and well, or is lost.
function lost(result) {
  return result.requests.sent - result.connections - result['2xx'];
}

// autocannon's own table, and what it does not say.
function table(result) {
  const { errors, timeouts, non2xx } = result;
  const account = `${result['2xx']} answered well, ${result.lost} lost (errors ${errors}, timeouts ${timeouts}, other than 2xx ${non2xx})`;
  return `${autocannon.printResult(result).trim()}\n${account}`;
}

module.exports = { beginLoad, table };
