'use strict';
// Counts and times the pauses of this process for garbage.
//
// To be told of a pause costs a program tenths of a millisecond, and a busy server has a hundred a second. So we hear of all of them while
// there are few, and when there are many, now and then for a moment: what we hear then stands for the rest before it too. (Not for the one
// after it: a burst may be over, and be why we rest.) Chance says how long we rest, for no burst that recurs to be met each time or never.
const { performance, PerformanceObserver } = require('perf_hooks');

const HEARD = 5; // pauses a second that we hear of
const LOOK = 2000; // ms after which it is seen whether there are more
const LISTEN = 100; // ms for which we hear of them then
const LEAST = 0.025; // of the time, if there are ever so many
const SECOND = 1000; // ms

let pauses = 0; // no whole number: what we have heard of stands for more
let paused = 0; // ms in all

let heard = 0; // pauses that are not counted yet,
let heardFor = 0; // ms of them
let share = 1; // of the time for which we listen
let rested; // when the last rest began
let since; // when it ended
let looked = performance.now();
let recent = 0; // pauses counted since then

const observer = new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) {
    heard++;
    heardFor += duration;
  }
  if (share === 1) count(1);
});

function listen() {
  observer.observe({ entryTypes: ['gc'] });
  since = performance.now();
  // What has just paused us, we hear of within a turn of the event loop.
  const next = (then) => setImmediate(then).unref();
  if (share < 1) setTimeout(() => next(() => next(() => count(1 + (since - rested) / LISTEN))), LISTEN).unref();
}

function count(stands) {
  pauses += heard * stands;
  paused += heardFor * stands;
  recent += heard * stands;
  heard = heardFor = 0;
  const now = performance.now();
  if (now - looked >= LOOK) {
    share = Math.min(Math.max((HEARD * (now - looked)) / (recent * SECOND), LEAST), 1);
    looked = now;
    recent = 0;
  }
  if (share < 1) {
    observer.disconnect();
    rested = now;
    setTimeout(listen, Math.random() * 2 * LISTEN * (1 / share - 1)).unref();
  }
}

listen();

// What is counted since the process began.
exports.tell = () => ({ pauses, paused });
