'use strict';
// What `garbage.cjs` makes of pauses that come in this pattern or that: with a clock, timers and an observer of this test's own.
const assert = require('assert');
const hooks = require('perf_hooks');
const { setFlagsFromString } = require('v8');
const { runInNewContext } = require('vm');

const FOR = 600000; // ms of each pattern
const PAUSE = 2; // ms

/** What is told after so long of pauses at these moments (ms), and for which share of the time it was listened. */
function told(moments) {
  let now = 0;
  let listening; // since when
  let listened = 0;
  let hear;
  const timers = [];
  let seed = 1;
  const own = {
    performance: { now: () => now },
    PerformanceObserver: class {
      constructor(told) {
        hear = told;
      }
      observe() {
        listening = now;
      }
      disconnect() {
        listened += now - listening;
        listening = undefined;
      }
    },
  };
  const at = require.resolve('../garbage.cjs');
  const { setTimeout, setImmediate } = global;
  const { random } = Math;
  const real = Object.getOwnPropertyDescriptors(hooks);
  for (const name of Object.keys(own)) Object.defineProperty(hooks, name, { value: own[name], configurable: true });
  global.setTimeout = (then, after) => {
    timers.push({ then, when: now + after });
    return { unref() {} };
  };
  global.setImmediate = (then) => {
    then();
    return { unref() {} };
  };
  Math.random = () => {
    seed = (seed * 16807) % 2147483647; // the same pattern gives the same each time
    return seed / 2147483647;
  };
  try {
    delete require.cache[at];
    const { tell } = require('../garbage.cjs');
    for (const moment of moments) {
      for (;;) {
        timers.sort((one, other) => one.when - other.when);
        if (timers.length === 0 || timers[0].when > moment) break;
        const { then, when } = timers.shift();
        now = when;
        then();
      }
      now = moment;
      if (listening !== undefined) hear({ getEntries: () => [{ duration: PAUSE }] });
    }
    if (listening !== undefined) listened += now - listening;
    return { ...tell(), share: listened / now };
  } finally {
    Object.assign(global, { setTimeout, setImmediate });
    Math.random = random;
    for (const name of Object.keys(own)) Object.defineProperty(hooks, name, real[name]);
  }
}

/** Bursts of so many pauses, ten ms apart, every so many ms. */
function pattern(every, burst) {
  const moments = [];
  for (let begin = 0; begin < FOR; begin += every) {
    for (let one = 0; one < burst; one++) moments.push(begin + 10 * one);
  }
  return moments;
}

// Few: exact.
for (const [every, burst] of [[1000, 1], [250, 1], [5000, 20], [20000, 90]]) {
  const moments = pattern(every, burst);
  const { pauses, paused, share } = told(moments);
  assert.deepStrictEqual([pauses, paused, share], [moments.length, PAUSE * moments.length, 1], `${burst} every ${every} ms`);
}

// Many: as many, more or less.
for (const [every, burst, within, most] of [[10, 1, 0.02, 0.3], [2, 1, 0.02, 0.3], [1000, 50, 0.2, 0.3], [3000, 100, 0.2, 0.5], [5000, 150, 0.2, 0.5]]) {
  const moments = pattern(every, burst);
  const { pauses, paused, share } = told(moments);
  const what = `${burst} every ${every} ms: told ${pauses} of ${moments.length}, listened ${share}`;
  assert.ok(Math.abs(pauses / moments.length - 1) < within, what);
  assert.ok(Math.abs(paused - PAUSE * pauses) < 1e-6 * paused, what);
  assert.ok(share < most, what);
}

// Node's own observer of real ones, by a clock that goes faster: it tells of them again after a rest.
async function real() {
  const { now } = hooks.performance;
  const begin = now.call(hooks.performance);
  const fast = () => (now.call(hooks.performance) - begin) * 20;
  Object.defineProperty(hooks.performance, 'now', { value: fast, configurable: true });
  let begun = 0; // times
  const { prototype } = hooks.PerformanceObserver;
  const { observe } = prototype;
  prototype.observe = function (options) {
    begun++;
    observe.call(this, options);
  };
  delete require.cache[require.resolve('../garbage.cjs')];
  const { tell } = require('../garbage.cjs');
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc');
  const until = async (is) => {
    while (!is()) {
      gc({ type: 'minor' });
      await new Promise(setImmediate);
    }
  };
  await until(() => begun === 3);
  const { pauses, paused } = tell();
  assert.ok(pauses > 0 && paused > 0, `${pauses} pauses of ${paused} ms`);
  await until(() => tell().pauses > pauses && tell().paused > paused);
  process.exit();
}

real().catch((error) => {
  console.error(error);
  process.exit(1);
});
