module.exports = {
  apps: [
    {
      name: 'fastify',
      script: 'server.js',
      cwd: __dirname,
      exec_mode: 'cluster',
      instances: 2,
      wait_ready: true,
      listen_timeout: '10s',
      health: '/healthz',
      env: { PORT: process.env.PORT || 3000 },
      env_production: { NODE_ENV: 'production' },
    },
  ],
};
