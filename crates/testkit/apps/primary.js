'use strict';
// Node's own cluster: $WORKERS workers of $SCRIPT on $PORT, by $POLICY (`rr` or `none`). The yardstick for ours.
const cluster = require('cluster');

cluster.schedulingPolicy = process.env.POLICY === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR;
cluster.setupPrimary({ exec: process.env.SCRIPT });
for (let i = 0; i < Number(process.env.WORKERS); i++) cluster.fork();
