import cluster from 'node:cluster';

export const dynamic = 'force-dynamic';

export const GET = () =>
  Response.json({ pid: process.pid, isWorker: cluster.isWorker, workerId: cluster.worker?.id });
