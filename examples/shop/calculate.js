// Takes a processor for a while. Called by the event loop itself, or by a thread of the pool.
module.exports = function countPrimes({ n }) {
  let count = 0;
  for (let candidate = 2; candidate < n; candidate++) {
    let divisor = 2;
    while (divisor * divisor <= candidate && candidate % divisor !== 0) divisor++;
    if (divisor * divisor > candidate) count++;
  }
  return count;
};
