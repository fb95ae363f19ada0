'use strict';
// What a Node worker says of itself, without any package in the app: how busy its event loop is, heap, pauses for garbage, HTTP
// requests. Required by preload.cjs; `say(message)` puts a message on the IPC channel. Counters are since the process began: who reads them
// makes rates and sums, and a report that is lost costs nothing. Told {"cmd":"NODE_OSTLER","act":"watch"} it reports at once and
// every second for a while, else rarely. A request costs two function calls; nothing here keeps the process alive or throws.
const { performance, monitorEventLoopDelay, PerformanceObserver } = require('perf_hooks');
const { channel } = require('diagnostics_channel');
const { getHeapStatistics } = require('v8');

const FIRST = 1000; // ms until the first report
const RARELY = 10000; // ms between reports that nobody watches
const OFTEN = 1000; // ms between those that somebody does
const WATCHED = 15000; // ms for which one word that somebody watches holds
const RESOLUTION = 20; // ms between looks at the event loop's delay
const BUSY = 0.02; // share of the time from which on the loop is looked at: the timer would be the work of an idle one
const BUCKETS = 25; // of durations: up to 0.25 ms, 0.5 ms, and so on, and the rest

const answered = [0, 0, 0, 0, 0]; // by class of status
const durations = new Array(BUCKETS).fill(0);
let duration = 0; // ms in all
let aborted = 0;
let inFlight = 0;
let pauses = 0;
let paused = 0; // ms in all

const REQUESTS = Symbol('ostler.requests'); // of a socket: those under way
const BEGAN = Symbol('ostler.began'); // of a response to a request that did not wait for those before it

// A socket's requests under way. Mostly one at a time: when that began is kept here, since another property on each response would
// cost more than all the rest.
class Requests {
  constructor() {
    this.open = 0;
    this.response = undefined; // the one that `began` is of
    this.began = 0;
  }
}

// A subscriber's error would end the app.
function subscribe(name, act) {
  channel(name).subscribe((message) => {
    try {
      act(message);
    } catch {
      // Not counted.
    }
  });
}

function closed() {
  const requests = this[REQUESTS];
  aborted += requests.open;
  inFlight -= requests.open;
  requests.open = 0;
  requests.response = undefined;
}

function began({ response, socket }) {
  let requests = socket[REQUESTS];
  if (requests === undefined) {
    requests = socket[REQUESTS] = new Requests();
    socket.on('close', closed);
  }
  inFlight++;
  if (requests.open++ === 0) {
    requests.response = response;
    requests.began = performance.now();
  } else {
    response[BEGAN] = performance.now();
  }
}

function finished({ response, socket }) {
  const requests = socket[REQUESTS];
  if (requests === undefined || requests.open === 0) return; // it began before us, or its socket has closed
  const began = requests.response === response ? requests.began : response[BEGAN];
  if (began === undefined) return; // it began before us
  if (requests.response === response) requests.response = undefined;
  else response[BEGAN] = undefined;
  requests.open--;
  inFlight--;
  const took = performance.now() - began;
  const units = Math.ceil(took * 4);
  durations[units <= 1 ? 0 : Math.min(32 - Math.clz32(units - 1), BUCKETS - 1)]++;
  duration += took;
  answered[Math.min(Math.max(Math.floor(response.statusCode / 100), 1), 5) - 1]++;
}

function watchGarbage() {
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      pauses++;
      paused += entry.duration;
    }
  }).observe({ entryTypes: ['gc'] });
}

module.exports = function measure(say) {
  let timer;
  let watchedUntil = 0;
  let saying = false; // the last report is not out yet
  let active = 0; // ms, at the last report
  let at = performance.now();
  let delays; // of the loop, while it is busy enough to be looked at

  function delay() {
    if (delays === undefined || delays.count === 0) return undefined;
    // A timer of so many ms is what is measured: what it took longer is the delay.
    const late = (nanos) => Math.max(nanos / 1e6 - RESOLUTION, 0);
    const told = [late(delays.mean), late(delays.percentile(50)), late(delays.percentile(99)), late(delays.max)];
    delays.reset();
    return told;
  }

  function look(share) {
    if (share < BUSY && performance.now() >= watchedUntil) {
      if (delays !== undefined) delays.disable();
      delays = undefined;
    } else if (delays === undefined) {
      delays = monitorEventLoopDelay({ resolution: RESOLUTION });
      delays.enable();
    }
  }

  function report(last) {
    plan();
    if ((saying && !last) || !process.connected) return;
    const now = performance.now();
    const busy = performance.eventLoopUtilization().active;
    const heap = getHeapStatistics();
    saying = true;
    say({
      act: 'report', answered, aborted, durations, duration, inFlight, pauses, paused, active: busy, delay: delay(),
      heap: heap.used_heap_size, heapLimit: heap.heap_size_limit,
      handles: process._getActiveHandles().length, requests: process._getActiveRequests().length,
    }, () => (saying = false));
    look(now > at ? (busy - active) / (now - at) : 0);
    active = busy;
    at = now;
  }

  function plan(after = performance.now() < watchedUntil ? OFTEN : RARELY) {
    clearTimeout(timer);
    timer = setTimeout(report, after, false).unref();
  }

  subscribe('http.server.request.start', began);
  subscribe('http.server.response.finish', finished);
  watchGarbage();
  plan(FIRST);
  const finish = () => report(true);
  process.on('exit', finish);
  const watch = () => {
    watchedUntil = performance.now() + WATCHED;
    report(false);
  };
  return { watch, finish };
};
