'use strict';
// What a Node worker says of itself, without any package in the app: how busy its event loop is, heap, pauses for garbage, HTTP
// requests. Required by preload.cjs; `say(message)` puts a message on the IPC channel. Counters are since the process began: who reads them
// makes rates and sums, and a report that is lost costs nothing. Told {"cmd":"NODE_OSTLER","act":"watch"} it reports at once and
// every second for a while, else rarely. Nothing here keeps the process alive or throws.
const { performance, monitorEventLoopDelay } = require('perf_hooks');
const { getHeapStatistics } = require('v8');
const garbage = require('./garbage.cjs');
const requests = require('./requests.cjs');

const FIRST = 1000; // ms until the first report
const RARELY = 10000; // ms between reports that nobody watches
const OFTEN = 1000; // ms between those that somebody does
const WATCHED = 15000; // ms for which one word that somebody watches holds
const RESOLUTION = 20; // ms between looks at the event loop's delay
const BUSY = 0.02; // share of the time from which on the loop is looked at: the timer would be the work of an idle one

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
      act: 'report', ...requests.tell(), ...garbage.tell(), active: busy, delay: delay(),
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

  plan(FIRST);
  const finish = () => report(true);
  process.on('exit', finish);
  const watch = () => {
    watchedUntil = performance.now() + WATCHED;
    report(false);
  };
  return { watch, finish };
};
