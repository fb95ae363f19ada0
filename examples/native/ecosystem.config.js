// Two processes of a native program behind one port.
const port = process.env.PORT || 3000;

module.exports = {
  apps: [
    {
      name: 'native',
      script: './server',
      interpreter: 'none',
      cwd: __dirname,
      instances: 2,
      listen: `tcp://127.0.0.1:${port}`,
      wait_ready: true,
    },
  ],
};
