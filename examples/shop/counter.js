// Counts requests. All workers together in Redis; while that cannot be reached, each for itself. What has changed is said once.
const { once } = require('node:events');
const { createClient } = require('redis');

const TOTAL = 'shop:requests';
const A_DAY = 'shop:requests:'; // and the day: 2026-11-22

class Counter {
  #client;
  #own = 0;
  #together; // unknown at first

  constructor(url) {
    this.#client = createClient({
      url,
      // A request is not to wait for a Redis that has gone, nor long for one that hangs.
      disableOfflineQueue: true,
      pingInterval: 1000,
      socket: { connectTimeout: 1000, socketTimeout: 3000, reconnectStrategy: () => 2000 },
    });
    this.#client.on('ready', () => this.#say(true));
    this.#client.on('error', error => this.#say(false, error));
  }

  // Connects. Without Redis it goes on without, and is tried again every two seconds.
  async open() {
    const opened = once(this.#client, 'ready');
    this.#client.connect().catch(error => this.#say(false, error));
    await opened.catch(() => {}); // it has been said
  }

  async add() {
    this.#own += 1;
    return this.#ask(client => client.multi().incr(TOTAL).incr(A_DAY + new Date().toISOString().slice(0, 10)).exec());
  }

  async read() {
    return this.#ask(client => client.multi().get(TOTAL).exec());
  }

  async close() {
    if (this.#client.isReady) await this.#client.close();
    else if (this.#client.isOpen) this.#client.destroy();
  }

  async #ask(question) {
    if (this.#client.isReady) {
      try {
        const [requests] = await question(this.#client);
        this.#say(true);
        return { requests: Number(requests), countedBy: 'all workers' };
      } catch (error) {
        this.#say(false, error);
      }
    }
    return { requests: this.#own, countedBy: 'this worker' };
  }

  #say(together, error) {
    if (together === this.#together) return;
    this.#together = together;
    if (together) console.log('counting requests in Redis, together with all workers');
    else console.log(`Redis cannot be reached (${error.code || error.message}): each worker counts its own requests`);
  }
}

module.exports = Counter;
module.exports.A_DAY = A_DAY;
