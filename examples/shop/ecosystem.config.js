// Development: `ostler start`. Production: `ostler start --env production`, or, while it runs,
// `ostler reload ecosystem.config.js --env production`.
const port = process.env.PORT || 3000;

module.exports = {
  apps: [
    {
      name: 'shop',
      script: 'server.js',
      cwd: __dirname,

      // A worker for each processor, all behind one port.
      exec_mode: 'cluster',
      instances: 'max',

      // It is up when it says process.send('ready') and /readyz answers 200.
      wait_ready: true,
      listen_timeout: '10s',
      ready: { http: '/readyz', interval: '2s' },

      // It lives on while /healthz answers. A worker that hangs is replaced.
      health: { http: '/healthz', interval: '2s', timeout: '2s', failure_threshold: 2 },

      // A worker with more memory is replaced as by a reload; one with far more is killed.
      max_memory_restart: '300M',
      max_memory_kill: '1G',

      // How long it may take to finish: with its connections when it is replaced, with the rest at any stop.
      drain_timeout: '30s',
      kill_timeout: '5s',

      log_date_format: 'YYYY-MM-DD HH:mm:ss.SSS',
      env: { NODE_ENV: 'development', PORT: port },
      env_production: { NODE_ENV: 'production' },
    },
    {
      // Runs once when it is started, then every night at three.
      name: 'cleanup',
      script: 'cleanup.js',
      cwd: __dirname,
      autorestart: false,
      cron_restart: '0 3 * * *',
      env: { NODE_ENV: 'development' },
      env_production: { NODE_ENV: 'production' },
    },
  ],
};
