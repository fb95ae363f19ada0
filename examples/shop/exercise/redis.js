// A Redis for the exercise: the one at $REDIS_URL, else one of our own by the program $REDIS_SERVER or the redis-server in PATH. There may be
// none (REDIS_SERVER=none): then each worker counts for itself.
const { spawn } = require('node:child_process');
const { randomInt } = require('node:crypto');
const { once } = require('node:events');
const net = require('node:net');
const { waitFor } = require('./ostler');

async function startRedis(directory, port) {
  if (process.env.REDIS_URL) return { url: process.env.REDIS_URL, stop: async () => {} };
  const url = `redis://127.0.0.1:${port}`;
  const missing = { url, isMissing: true, stop: async () => {} };
  if (process.env.REDIS_SERVER === 'none') return missing;
  const program = process.env.REDIS_SERVER || 'redis-server';
  const words = ['--bind', '127.0.0.1', '--port', port, '--save', '', '--appendonly', 'no', '--dir', directory];
  const child = spawn(program, words.map(String), { stdio: 'ignore' });
  try {
    await once(child, 'spawn');
  } catch (error) {
    if (process.env.REDIS_SERVER || error.code !== 'ENOENT') throw error;
    return missing;
  }
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
  try {
    await waitFor('Redis', () => {
      if (child.exitCode !== null) throw new Error(`${program} ended with code ${child.exitCode}`);
      return accepts(port);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

async function accepts(port) {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

// Ports that nobody listens on, below those that the system gives to clients. From anywhere on: two exercises that begin together have
// neighbouring pids, and what one has found is free for the other until somebody listens.
async function freePorts(count) {
  const found = [];
  for (let port = randomInt(10_000, 30_000); found.length < count; port++) {
    if (port > 32_000) throw new Error('there is no free port');
    const server = net.createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(() => true, () => false);
    if (isFree) {
      server.close();
      await once(server, 'close');
      found.push(port);
    }
  }
  return found;
}

module.exports = { startRedis, freePorts };
