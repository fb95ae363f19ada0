globalThis.preloaded = { by: 'require', isWorker: require('cluster').isWorker };
