module.exports = {
  apps: [
    {
      name: 'express',
      script: 'app.js',
      env: { PORT: process.env.PORT || 3000, NODE_ENV: 'development' },
      env_production: { NODE_ENV: 'production' },
      max_memory_restart: '300M',
      log_date_format: 'YYYY-MM-DD HH:mm:ss.SSS',
    },
  ],
};
