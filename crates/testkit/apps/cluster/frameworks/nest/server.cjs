// What the TypeScript compiler makes of a controller and its module, by hand.
require('reflect-metadata');
const cluster = require('cluster');
const { Controller, Get, Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');

class Root {
  who() {
    return { pid: process.pid, isWorker: cluster.isWorker, workerId: cluster.worker?.id };
  }
}
Get()(Root.prototype, 'who', Object.getOwnPropertyDescriptor(Root.prototype, 'who'));
Controller()(Root);

class App {}
Module({ controllers: [Root] })(App);

NestFactory.create(App, { logger: ['error'] }).then((app) => app.listen(process.env.PORT, '127.0.0.1'));
