'use strict';
// A worker that listens nowhere.
setInterval(() => {}, 1000);
