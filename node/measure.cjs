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

const REQUEST = Symbol('ostler.request'); // of a connection: the one under way

// A connection's request under way. Mostly the same place is used again and again, for a property of each request or response would cost
// more than all the rest.
class Request {
  constructor() {
    this.open = false;
    this.began = 0;
  }
}

function closed() {
  const request = this[REQUEST];
  if (!request.open) return;
  request.open = false;
  aborted++;
  inFlight--;
}

function began(socket) {
  let request = socket[REQUEST];
  if (request === undefined) {
    if (!socket.parser) return; // no connection: what tests of apps make up
    request = socket[REQUEST] = new Request();
    socket.on('close', closed);
  }
  if (!request.open) inFlight++;
  request.open = true;
  request.began = performance.now();
}

function finished(response, socket) {
  const request = socket[REQUEST];
  if (request === undefined || !request.open) return; // it began before us, or its connection has closed
  request.open = false;
  inFlight--;
  const took = performance.now() - request.began;
  const units = Math.ceil(took * 4);
  durations[units <= 1 ? 0 : Math.min(32 - Math.clz32(units - 1), BUCKETS - 1)]++;
  duration += took;
  answered[Math.min(Math.max(Math.floor(response.statusCode / 100), 1), 5) - 1]++;
}

// Node gives a response its connection when that is its turn (one of a pipeline waits for those before it), and takes it away when all of
// it is written. `diagnostics_channel` tells of a request when it is read.
function wrapResponses() {
  const { prototype } = require('http').ServerResponse;
  const { assignSocket, detachSocket } = prototype;
  prototype.assignSocket = function (socket) {
    assignSocket.call(this, socket);
    try {
      began(socket);
    } catch {
      // Not counted: an error of ours must not end the app.
    }
  };
  prototype.detachSocket = function (socket) {
    detachSocket.call(this, socket);
    try {
      finished(this, socket);
    } catch {
      // Not counted.
    }
  };
}

// From the first request on: a program that serves none has no `http` loaded for us.
function watchResponses() {
  const started = channel('http.server.request.start');
  let wrapped = false;
  const first = ({ socket }) => {
    if (wrapped) return;
    wrapped = true;
    try {
      wrapResponses();
      began(socket); // the wrapped function may do it again
    } catch {
      // Not counted.
    }
    setImmediate(() => started.unsubscribe(first)); // not now: Node 16 and 18 are in the middle of their list
  };
  started.subscribe(first);
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

  watchResponses();
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
