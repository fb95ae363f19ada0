module.exports = {
  apps: [
    {
      name: 'socketio',
      script: 'server.js',
      cwd: __dirname,
      exec_mode: 'cluster',
      instances: 2,
      // A session begins with several requests (long polling): all of them have to reach the same worker.
      balance: 'sticky',
      wait_ready: true,
      // WebSockets have no end of their own: after so long a replaced worker is told to close them.
      drain_timeout: '2s',
      env: { PORT: process.env.PORT || 3000 },
      env_production: { NODE_ENV: 'production' },
    },
  ],
};
