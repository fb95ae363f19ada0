// What a chart shows: points of several workers as one line over time, and the scale beside it. Pure.

/** What is measured, how workers add up to their app, and how a number of it is written. */
export const MEASURES = [
  { key: "cpu", title: "Processor", unit: "percent", together: "sum", about: "of one core" },
  { key: "memory", title: "Memory", unit: "bytes", together: "sum", about: "resident, whole tree" },
  { key: "requests", title: "Requests", unit: "rate", together: "sum", about: "HTTP, answered" },
  { key: "latency", title: "Latency", unit: "milliseconds", together: "largest", about: "95 of 100 answers within" },
  { key: "loop_delay", title: "Event loop delay", unit: "milliseconds", together: "largest", about: "99 of 100 turns within" },
  { key: "connections", title: "Connections", unit: "count", together: "sum", about: "open" },
];

/**
 * Buckets of `step` ms over the last `window` ms, oldest first: `{ ago, mean, largest }`, `mean` null where nothing was measured.
 * `lines` has the points of each worker, as `/v1/charts` gives them. The bucket that is not over yet is left out.
 */
export function line(lines, { window, step, together }) {
  const buckets = Array.from({ length: Math.round(window / step) }, (_, at) => ({
    ago: window - at * step, mean: null, largest: null,
  }));
  for (const points of lines) {
    for (const [at, value] of each(points, buckets.length, window, step)) {
      const bucket = buckets[at];
      const join = (before, more) => {
        if (before === null) return more;
        return together === "sum" ? before + more : Math.max(before, more);
      };
      bucket.mean = join(bucket.mean, value.mean);
      bucket.largest = join(bucket.largest, value.largest);
    }
  }
  return buckets;
}

/** What one worker has in each bucket: points by how long they stand in it. */
function each(points, length, window, step) {
  const weights = new Map();
  for (const point of points) {
    const [from, to] = [window - point.ago_ms, window - point.ago_ms + point.span_ms];
    const [first, last] = [Math.max(0, Math.floor(from / step)), Math.min(length - 1, Math.ceil(to / step) - 1)];
    for (let at = first; at <= last; at += 1) {
      const covered = Math.min(to, (at + 1) * step) - Math.max(from, at * step);
      // A sliver of a neighbour's time says nothing of this one's.
      if (covered < Math.min(step, point.span_ms) / 4) continue;
      const before = weights.get(at) ?? { weight: 0, total: 0, largest: -Infinity };
      weights.set(at, {
        weight: before.weight + covered,
        total: before.total + covered * point.mean,
        largest: Math.max(before.largest, point.largest),
      });
    }
  }
  return [...weights].map(([at, { weight, total, largest }]) => [at, { mean: total / weight, largest }]);
}

/** Steps of an axis from 0 to above `largest`: 1, 2 or 5 times a power of ten, of 1024 for bytes; three or four of them. */
export function axis(largest, unit) {
  const top = largest > 0 ? largest : 1;
  let base = 1;
  if (unit === "bytes") while (top / base >= 1024 && base < 1024 ** 4) base *= 1024;
  const rough = top / base / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10;
  let step = factor * power * base;
  // There is no half a connection, nor a tenth of a byte.
  if (unit === "count" || unit === "bytes") step = Math.max(1, step);
  const ticks = [0];
  while (ticks.at(-1) < top && ticks.length < 6) ticks.push(ticks.length * step);
  return { ticks, top: ticks.at(-1) };
}

/** Runs of buckets without a gap, each as points `[x, y]` in a box of that size. */
export function runs(buckets, top, width, height, key = "mean") {
  const across = width / buckets.length;
  const found = [];
  let run = null;
  buckets.forEach((bucket, at) => {
    const value = bucket[key];
    if (value === null) {
      run = null;
      return;
    }
    if (run === null) found.push((run = []));
    run.push([(at + 0.5) * across, height - (Math.min(value, top) / top) * height]);
  });
  return found;
}

const fixed = (number) => Number(number.toFixed(1));

/** A path of SVG along points. One alone is a short stroke, so that it can be seen. */
export function path(points) {
  if (points.length === 1) return `M${fixed(points[0][0] - 1.5)} ${fixed(points[0][1])}h3`;
  return points.map(([x, y], at) => `${at === 0 ? "M" : "L"}${fixed(x)} ${fixed(y)}`).join("");
}

/** The same, closed along the bottom. */
export function area(points, height) {
  if (points.length === 1) return "";
  const [first, last] = [points[0][0], points.at(-1)[0]];
  return `${path(points)}L${fixed(last)} ${height}L${fixed(first)} ${height}Z`;
}

/** What a chart says, for who does not see it: the latest, lowest and highest; null where nothing is known. */
export function summary(buckets) {
  const there = buckets.filter((bucket) => bucket.mean !== null);
  if (there.length === 0) return null;
  const means = there.map((bucket) => bucket.mean);
  return { latest: there.at(-1).mean, lowest: Math.min(...means), highest: Math.max(...means) };
}
