// A job: adds a line to a file, and ends.
const fs = require('node:fs');
const path = require('node:path');

const file = process.env.REPORT || path.join(__dirname, 'report.txt');
const megabytes = Math.round(process.memoryUsage().rss / 1024 / 1024);
fs.appendFileSync(file, `${new Date().toISOString()} report by process ${process.pid}, ${megabytes} MB\n`);
console.log(`written to ${file}`);
