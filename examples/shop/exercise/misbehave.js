// What a worker may do wrong, on request. Mounted only with EXERCISE=1.
const { Router } = require('express');

const kept = [];

module.exports = function misbehave() {
  const router = Router();

  // Answers, and then never gives the event loop back.
  router.post('/hang', (request, response) => {
    response.set('Connection', 'close').on('finish', () => { for (;;); });
    response.json({ pid: process.pid });
  });

  // Takes memory and keeps it.
  router.post('/leak', (request, response) => {
    kept.push(Buffer.alloc((Number(request.query.mb) || 1) * 1024 * 1024, 1));
    response.json({ pid: process.pid });
  });

  return router;
};
