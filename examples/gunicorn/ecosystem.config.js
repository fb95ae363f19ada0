// Gunicorn takes its socket from Ostler by itself (LISTEN_FDS), so a new one serves beside the old one before that is told to end.
const port = process.env.PORT || 8000;

module.exports = {
  apps: [
    {
      name: 'gunicorn',
      script: '.venv/bin/gunicorn',
      args: 'app:app --workers 2',
      interpreter: 'none',
      cwd: __dirname,
      listen: `tcp://127.0.0.1:${port}`,
      env: { PYTHONDONTWRITEBYTECODE: '1' },
    },
  ],
};
