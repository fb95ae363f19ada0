'use strict';
// What the app has registered with `prom-client`, for the daemon, which adds it up over all workers. Required by preload.cjs when the daemon asks
// for it the first time (the app's key `prom_client`). The package is the app's own: nothing is found until the app has loaded it.
const path = require('path');

const ENTRY = `${path.sep}prom-client${path.sep}index.js`;
const PATIENCE = 1000; // ms: a metric may be measured when it is asked for, by the app's own code

// Each copy of the package that is loaded, whoever has loaded it.
function registries() {
  return Object.keys(require.cache)
    .filter((file) => file.endsWith(ENTRY))
    .map((file) => require.cache[file].exports.register)
    .filter((register) => register && typeof register.getMetricsAsJSON === 'function');
}

async function tell() {
  const lists = await Promise.all(registries().map((register) => register.getMetricsAsJSON()));
  // A message of the app's kind: what is in it is the app's.
  if (process.connected) process.send({ type: 'ostler:registered', data: [].concat(...lists) }, () => {});
}

// Calls `then` when it is on its way, or is not to be had.
module.exports = function tellRegistered(then = () => {}) {
  let timer;
  const over = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    then();
  };
  timer = setTimeout(over, PATIENCE).unref();
  tell().then(over, over);
};
