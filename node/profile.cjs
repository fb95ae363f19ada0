'use strict';
// What Node's own inspector tells of a program: where its time goes (a CPU profile), what its memory holds (a heap snapshot), and a debugger's
// way in. Required by preload.cjs when the daemon asks for one of these the first time; until then nothing of it is loaded.
//
// A profile goes into a file that the daemon has made: it is never created here, so that one that nobody waits for any more is not taken, and
// never sent anywhere. The daemon may ask for the same twice, since a daemon's successor does: an order's id says whether it is the same.
const fs = require('fs');
const inspector = require('inspector');

const HOST = '127.0.0.1'; // and no other: whoever reaches an inspector can run any code in the program
const GRACE = 2000; // ms in which word that was waiting is read, after a debugger has let the program go on

let profile; // the one that is taken, or was last: { id, said, enough() }
let inspected; // the inspector that is open: { id, url, own, timer }

// Calls of Chrome's DevTools protocol, in this very thread.
function connect() {
  const session = new inspector.Session();
  session.connect();
  const post = (method, parameters) => new Promise((done, failed) => {
    session.post(method, parameters, (error, result) => (error ? failed(error) : done(result)));
  });
  return { session, post };
}

// V8's profiler does not know code that was optimised within a running loop before it was started, nor what had been inlined then: the time of the very
// functions that use most would be their callers'. Beginning to count calls has V8 optimise everything anew; it is back at that within a second.
async function forgetOptimised(post) {
  if (process.env.NODE_V8_COVERAGE) return; // somebody does count
  await post('Profiler.startPreciseCoverage', { callCount: false, detailed: false });
  await post('Profiler.stopPreciseCoverage');
}

async function takeCpu({ span }, { file, begun, over, enough }) {
  const { session, post } = connect();
  try {
    await post('Profiler.enable');
    await forgetOptimised(post);
    await post('Profiler.start');
    const timer = setTimeout(enough, span).unref();
    begun();
    await over; // at once if it was enough before it began
    clearTimeout(timer);
    fs.writeFileSync(file, JSON.stringify((await post('Profiler.stop')).profile));
  } finally {
    session.disconnect();
  }
}

// The event loop stands still meanwhile. V8 writes it by itself: over a session each piece would become JSON, text and bytes again in a heap that has no
// room, which takes twice as long. By the descriptor's name, so that a file that was removed is not made anew.
async function takeHeap(order, { file, begun }) {
  await new Promise(begun); // word of it has to leave before
  require('v8').writeHeapSnapshot(`/proc/self/fd/${file}`);
  const { size } = fs.fstatSync(file);
  const end = Buffer.alloc(64);
  const read = fs.readSync(file, end, 0, end.length, Math.max(size - end.length, 0));
  if (end.toString('latin1', 0, read).trimEnd().endsWith('}')) return;
  fs.writeSync(file, '\n', size); // older Nodes do not say why they have stopped; this says it of a full disk
  throw new Error('what Node has written of it is not complete');
}

async function take(order, tell, work) {
  if (profile !== undefined && profile.id === order.id) {
    if (profile.said !== undefined) tell(profile.said);
    return;
  }
  if (profile !== undefined && profile.enough !== undefined) throw new Error('another profile is being taken');
  const own = { id: order.id, said: undefined, enough: undefined };
  const over = new Promise((done) => (own.enough = done));
  const say = (said, sent) => {
    own.said = said;
    tell(said, sent);
  };
  const file = fs.openSync(order.path, 'r+');
  profile = own;
  try {
    await work(order, { file, over, enough: own.enough, begun: (sent) => say({ is: 'begun' }, sent) });
    say({ is: 'written', bytes: fs.fstatSync(file).size });
  } catch (error) {
    say({ is: 'failed', why: reason(error) });
  } finally {
    own.enough = undefined;
    fs.closeSync(file);
  }
}

function reason(error) {
  return String((error && error.message) || error);
}

function enough({ id }) {
  if (profile !== undefined && profile.id === id && profile.enough !== undefined) profile.enough();
}

function open({ id, port, lease }, tell) {
  if (inspected !== undefined && inspected.id !== id) throw new Error('somebody else inspects it');
  if (inspected === undefined) {
    const own = inspector.url() === undefined; // else it was started with `--inspect`, and is left as it is
    if (own) inspector.open(port, HOST);
    const url = inspector.url();
    if (url === undefined) throw new Error(`it cannot listen at ${HOST}:${port}: the port is taken, or not for its user to take`);
    inspected = { id, url, own, timer: undefined };
  }
  // Whoever has asked for it may be killed. Where a debugger stops the program, word from him waits for the program to go on.
  clearTimeout(inspected.timer);
  inspected.timer = setTimeout(() => {
    inspected.timer = setTimeout(close, GRACE, inspected).unref();
  }, lease).unref();
  tell({ is: 'open', url: inspected.url, own: inspected.own });
}

function close({ id }) {
  if (inspected === undefined || inspected.id !== id) return;
  const { own, timer } = inspected;
  inspected = undefined;
  clearTimeout(timer);
  if (own) inspector.close();
}

// `tell(said, sent)` tells the daemon what came of the order.
module.exports = async function obey(order, tell) {
  try {
    if (order.what === 'cpu') await take(order, tell, takeCpu);
    else if (order.what === 'heap') await take(order, tell, takeHeap);
    else if (order.what === 'enough') enough(order);
    else if (order.what === 'open') open(order, tell);
    else if (order.what === 'close') close(order);
  } catch (error) {
    tell({ is: 'failed', why: reason(error) });
  }
};
