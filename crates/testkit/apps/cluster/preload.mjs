import cluster from 'node:cluster';

globalThis.preloaded = { by: 'import', isWorker: cluster.isWorker };
