module.exports = {
  apps: [
    {
      name: 'report',
      script: 'report.js',
      cwd: __dirname,
      // When it has ended it stays so until the clock starts it again. Five fields, or six with seconds before them; local time.
      autorestart: false,
      cron_restart: process.env.CRON || '*/15 * * * *',
    },
  ],
};
