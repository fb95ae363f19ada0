export default {
  apps: [
    {
      name: 'nest',
      script: 'dist/main.js',
      cwd: import.meta.dirname,
      exec_mode: 'cluster',
      instances: 2,
      wait_ready: true,
      listen_timeout: '20s',
      health: '/healthz',
      env: { PORT: process.env.PORT || 3000 },
      env_production: { NODE_ENV: 'production' },
    },
  ],
};
