// A worker that listens to nothing: a consumer of a queue, say.
const { who, say } = require('./who.cjs');

setInterval(() => {}, 1 << 30);
say(who());
