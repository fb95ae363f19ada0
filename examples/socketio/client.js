// Sends numbers, twenty a second, until Ctrl-C, and then says whether each was acknowledged. `node client.js [URL]`
const { io } = require('socket.io-client');

const EVERY = 50; // ms
const url = process.argv[2] || 'http://127.0.0.1:3000';
// A message that was not acknowledged, because its worker has gone, is sent again.
const socket = io(url, { ackTimeout: 5000, retries: 5, reconnectionDelay: 100, reconnectionDelayMax: 500 });
const acknowledged = new Set();
let sent = 0;
let by;

socket.on('connect', () => console.log(`connected by ${socket.io.engine.transport.name}`));
socket.on('disconnect', reason => console.log(`disconnected: ${reason}`));

const timer = setInterval(() => {
  const number = sent++;
  socket.emit('message', number, (error, answer) => {
    if (error || answer.text !== number) return;
    acknowledged.add(number);
    if (answer.pid !== by) console.log(`answers come from process ${answer.pid}`);
    by = answer.pid;
  });
}, EVERY);

process.once('SIGINT', () => {
  clearInterval(timer);
  const end = Date.now() + 10_000;
  setInterval(() => {
    if (acknowledged.size < sent && Date.now() < end) return;
    console.log(`${sent} sent, ${acknowledged.size} acknowledged`);
    process.exit(acknowledged.size === sent ? 0 : 1);
  }, EVERY);
});
