'use strict';
// Node's own cluster: $WORKERS workers of shared.js on $PORT, by $POLICY (`rr` or `none`). The yardstick for ours.
const cluster = require('cluster');
const path = require('path');

cluster.schedulingPolicy = process.env.POLICY === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR;
cluster.setupPrimary({ exec: path.join(__dirname, 'shared.js') });
for (let i = 0; i < Number(process.env.WORKERS); i++) cluster.fork();
