// Ostler's commands, typed for you: each is shown with what it says.
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');

const SHOP = path.dirname(__dirname);
const BUILT = ['release', 'debug'].map(profile => path.join(SHOP, '../../target', profile, 'ostler'));
const PATIENCE = 60_000; // ms

// $OSTLER, else the one in PATH, else the one that was built in this checkout.
function find() {
  const inPath = (process.env.PATH || '').split(path.delimiter).map(directory => path.join(directory, 'ostler'));
  const candidates = process.env.OSTLER ? [process.env.OSTLER] : [...inPath, ...BUILT];
  const found = candidates.find(candidate => fs.statSync(candidate, { throwIfNoEntry: false })?.isFile());
  if (!found) throw new Error(`there is no ostler (looked for ${process.env.OSTLER || 'it in PATH and in target/'})`);
  return path.resolve(found);
}

// Runs a program to its end, and gives what it has printed and how it ended.
function run(program, words, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { cwd: SHOP, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', both: '' };
    child.stdout.on('data', piece => { output.stdout += piece; output.both += piece; });
    child.stderr.on('data', piece => { output.both += piece; });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ ...output, code: code ?? signal }));
  });
}

class Ostler {
  #program = find();
  #env;
  #print;

  // With a home of its own: what you run yourself is left alone.
  constructor({ home, env, print }) {
    this.#env = { ...process.env, ...env, OSTLER_HOME: home, NO_COLOR: '1' };
    this.#print = print;
  }

  // A command that has to end well.
  async type(...words) {
    this.#print(`$ ostler ${words.join(' ')}`);
    const { both, stdout, code } = await run(this.#program, words, this.#env);
    // Most commands show the list at their end.
    const isOfList = line => /^[┌│├└]/.test(line) && !['list', 'show'].includes(words[0]);
    this.#print(both.split('\n').filter(line => !isOfList(line)).join('\n').trimEnd());
    if (code !== 0) throw new Error(`ostler ${words.join(' ')}: exit code ${code}`);
    return stdout;
  }

  // The rows of `jlist` that are workers of the shop.
  async workers() {
    const { stdout, code } = await run(this.#program, ['jlist'], this.#env);
    if (code !== 0) throw new Error(`ostler jlist: exit code ${code}`);
    return JSON.parse(stdout).filter(row => row.name === 'shop');
  }

  async pids() {
    return (await this.workers()).map(row => row.pid);
  }

  // Probes do not count.
  async openConnections() {
    const counts = (await this.workers()).map(row => row.pm2_env.connections?.active ?? 0);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  // Waits until another process has taken the place of this one, and gives its pid. `end` ends it, if it does not go by itself: a place is
  // not to be found any more by who had it, once it is taken.
  async successor(pid, end = () => {}) {
    const id = (await this.workers()).find(row => row.pid === pid)?.pm_id;
    end();
    return waitFor(`another worker in place of ${pid}`, async () => {
      const rows = (await this.workers()).filter(row => row.pm2_env.status === 'online');
      const row = rows.find(row => row.pm_id === id && row.pid !== pid);
      return row && !isAlive(pid) && row.pid;
    });
  }

  // Ends everything, also after a failure.
  async end() {
    await run(this.#program, ['kill'], this.#env);
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function waitFor(what, probe) {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    const value = await probe();
    if (value) return value;
    await pause(100);
  }
  throw new Error(`waited ${PATIENCE / 1000} s in vain for ${what}`);
}

module.exports = { Ostler, waitFor };
