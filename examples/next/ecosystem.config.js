module.exports = {
  apps: [
    {
      name: 'next',
      script: '.next/standalone/server.js',
      cwd: __dirname,
      exec_mode: 'cluster',
      instances: 2,
      // A worker is given connections when this has answered for the first time.
      ready: '/health',
      listen_timeout: '20s',
      env: { NODE_ENV: 'production', HOSTNAME: '127.0.0.1', PORT: process.env.PORT || 3000 },
    },
  ],
};
