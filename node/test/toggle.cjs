'use strict';
// What measuring costs, found within one process: required before a server's script, it turns everything that measures on and off, by turns. It prints
// a line of JSON for each pair of turns of `SPAN` ms, after those of `WARM` ms: with, of without, the requests a second and the processor time for each
// (all threads). Two processes of one program differ by hundredths, two turns of one process by far less once there are hundreds of them.
const http = require('http');
const perfHooks = require('perf_hooks');
const { channel } = require('diagnostics_channel');
const { performance } = perfHooks;

const TURN = 50; // ms
const SETTLE = 5; // ms of a turn before it counts
const WARM = Number(process.env.WARM); // ms, for compilers to see what is used, and for what measures to find how much there is
const SPAN = Number(process.env.SPAN); // ms

let measuring = false;
let passed = 0; // ms in which measuring was on, in earlier turns
let began = 0; // when the present turn did
const switches = []; // of what is turned on and off

// What Node looks at while it is wanted: it is wanted, and looked at only when measuring is on.
function gate(wanted, { begin, end }) {
  const turn = () => (measuring && wanted() ? begin() : end());
  switches.push(turn);
  return turn;
}

class Observer extends perfHooks.PerformanceObserver {
  constructor(callback) {
    super(callback);
    this.turn = gate(() => this.what, { begin: () => super.observe(this.what), end: () => super.disconnect() });
  }

  observe(what) {
    this.what = what;
    this.turn();
  }

  disconnect() {
    this.what = undefined;
    this.turn();
  }
}

const { monitorEventLoopDelay } = perfHooks;
function monitor(options) {
  const delays = monitorEventLoopDelay(options);
  const { enable, disable } = Object.getPrototypeOf(delays);
  let wanted = false;
  const turn = gate(() => wanted, { begin: () => enable.call(delays), end: () => disable.call(delays) });
  const want = (is) => {
    wanted = is;
    turn();
  };
  return Object.assign(delays, { enable: () => want(true), disable: () => want(false) });
}

// What measures finds out how much there is to measure by the time that has passed for it.
const clock = {
  now: () => (measuring ? passed + performance.now() - began : passed),
  eventLoopUtilization: () => performance.eventLoopUtilization(),
};

Object.assign(perfHooks, { performance: clock, PerformanceObserver: Observer, monitorEventLoopDelay: monitor });
require('../measure.cjs')((_, done) => setImmediate(done));

// The subscriber stays, for a new one would have V8 compile anew what calls it: only whether there is one is said differently.
const started = channel('http.server.request.start');
Object.defineProperty(started, 'hasSubscribers', { value: false, writable: true });
switches.push(() => (started.hasSubscribers = measuring));

let requests = 0;
const { emit } = http.Server.prototype;
http.Server.prototype.emit = function (event, ...rest) {
  if (event === 'request') requests++;
  return emit.call(this, event, ...rest);
};

const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function take(turn) {
  passed = clock.now();
  began = performance.now();
  measuring = turn;
  for (const change of switches) change();
  await after(SETTLE);
  const [before, at, spent] = [requests, performance.now(), process.cpuUsage()];
  await after(TURN);
  const { user, system } = process.cpuUsage(spent);
  const answered = requests - before;
  return { rate: answered / (performance.now() - at), each: (user + system) / answered };
}

async function main() {
  const pairs = [];
  const begun = performance.now();
  for (let now = begun; now - begun < WARM + SPAN; now = performance.now()) {
    const first = Math.random() < 0.5;
    const [one, other] = [await take(first), await take(!first)];
    const [on, off] = first ? [one, other] : [other, one];
    if (now - begun >= WARM) pairs.push({ rate: on.rate / off.rate, each: on.each / off.each, micros: off.each });
  }
  console.log(pairs.map((pair) => JSON.stringify(pair)).join('\n'));
}

main();
