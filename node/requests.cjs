'use strict';
// Counts and times the HTTP requests of this process, which Node tells of on a channel for diagnostics. Nothing of the app is changed.
//
// Most requests cost a call: whether one has ended is seen when the next one begins. Those that have not, and those that are timed, have a
// listener. All are timed while there are few, and when there are many, some that stand for the others, chosen by chance, for no kind of
// request that recurs to be met each time or never.
const { performance } = require('perf_hooks');
const { channel } = require('diagnostics_channel');

const BUCKETS = 25; // of durations: up to 0.25 ms, 0.5 ms, and so on, and the rest
const TIMED = 100; // requests a second up to which all are timed; of more, half as many at least
const LOOKED = 50; // timed ones after which it is seen whether they are too many
const SECOND = 1000; // ms

let ok = 0; // answered with 200, and seen to be when the next request began
const answered = [0, 0, 0, 0, 0]; // the others, by class of status
const durations = new Array(BUCKETS).fill(0);
let duration = 0; // ms in all
let aborted = 0;
let watched = 0; // requests under way that have a listener

let each = 1; // one of so many is timed
let every = 1; // the next one stands for so many,
let left = 1; // of which so many are still to come
let timed = 0; // requests since
let since = 0; // ms

let last; // what Node told of the latest request, if its response has no listener: its own object, so that one store is enough
const queues = new WeakMap(); // a connection's socket => the responses that wait there => what ends them

// Most requests pass here alone. What it takes in the processor's caches is most of what measuring costs (docs/benchmarks.md), so what it asks is
// what `writableFinished` asks, without its calls: a response that has ended and left its connection, with nothing held back.
function began(message) {
  try {
    const before = last;
    last = message;
    if (before !== undefined) {
      const { response } = before;
      if (response.destroyed && response.finished && response.outputSize === 0 && response.socket === null && response.statusCode === 200) ok++;
      else settle(before);
    }
    if (--left === 0) time(message);
  } catch {
    // Not counted: an error of ours must not end the app.
  }
}

function time({ response, socket }) {
  last = undefined;
  const now = performance.now();
  let turn = now;
  const stands = every;
  const before = ahead(socket);
  if (before) before.once('close', () => (turn = performance.now()));
  watch(response, socket, () => {
    const took = performance.now() - turn;
    const units = Math.ceil(took * 4);
    durations[units <= 1 ? 0 : Math.min(32 - Math.clz32(units - 1), BUCKETS - 1)] += stands;
    duration += took * stands;
  });
  if (++timed === LOOKED) {
    if (now - since < (LOOKED / TIMED) * SECOND) each *= 2;
    timed = 0;
    since = now;
  }
  every = left = each === 1 ? 1 : 1 + Math.floor(Math.random() * (2 * each - 1));
}

// They have become fewer.
function timeMore(perSecond) {
  while (each > 1 && perSecond < (each * TIMED) / 2) each /= 2;
  if (each > 1) return;
  every -= left - 1; // the next one
  left = 1;
}

// The socket is the one that Node told of: an app may have put another one, or none, at its request.
function settle({ response, socket }) {
  if (response.destroyed || socket.destroyed) count(response);
  else watch(response, socket, () => {});
}

function count(response) {
  if (!response.writableFinished) {
    aborted++;
    return false;
  }
  answered[Math.min(Math.max(Math.floor(response.statusCode / 100), 1), 5) - 1]++;
  return true;
}

function watch(response, socket, answer) {
  let open = true;
  watched++;
  const end = () => {
    if (!open) return;
    open = false;
    watched--;
    queues.get(socket)?.delete(response);
    if (count(response)) answer();
  };
  response.once('close', end);
  if (socket._httpMessage !== response && socket._httpMessage) wait(response, socket, end);
}

// Node does not tell a response that it waits for another one's end (pipelining) when their connection closes.
function wait(response, socket, end) {
  let queue = queues.get(socket);
  if (queue === undefined) {
    queues.set(socket, (queue = new Map()));
    socket.once('close', () => queue.forEach((end) => end()));
  }
  queue.set(response, end);
}

// The response whose end a new one waits for.
function ahead(socket) {
  const queue = queues.get(socket);
  return queue === undefined || queue.size === 0 ? socket._httpMessage : Array.from(queue.keys()).pop();
}

let sum = 0; // of requests, when it was last told
let at = performance.now();

// What is counted since the process began.
exports.tell = () => {
  const latest = last;
  last = undefined;
  if (latest !== undefined) settle(latest);
  const classes = answered.map((count, at) => (at === 1 ? count + ok : count));
  const now = performance.now();
  const before = sum;
  sum = classes.reduce((sum, count) => sum + count, aborted);
  if (now > at) timeMore(((sum - before) / (now - at)) * SECOND);
  at = now;
  return { answered: classes, aborted, durations, duration, inFlight: watched };
};

channel('http.server.request.start').subscribe(began);
