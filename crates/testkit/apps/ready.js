// Says that it is ready when the environment tells it to, and sends back what it is sent.
setTimeout(() => process.send('ready'), Number(process.env.AFTER_MS || 0));
process.on('message', message => console.log('got ' + JSON.stringify(message)));
if (process.env.GRACEFUL) process.on('message', message => message === 'shutdown' && process.exit(0));
setInterval(() => {}, 100000);
