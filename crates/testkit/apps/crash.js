// Says a line on each output and ends, with which code and when the environment says.
console.log('about to end');
console.error(`ending with ${process.env.EXIT_CODE || 1}`);
setTimeout(() => process.exit(Number(process.env.EXIT_CODE || 1)), Number(process.env.AFTER_MS || 0));
