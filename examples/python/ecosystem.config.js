// Three processes of Python behind one port. `ostler reload web` replaces them without losing a request.
module.exports = {
  apps: [
    {
      name: 'web',
      script: 'server.py',
      cwd: __dirname,
      instances: 3,
      listen: 'tcp://127.0.0.1:3000',
      wait_ready: true,
    },
  ],
};
