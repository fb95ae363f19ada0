// The pure modules of the page, by Node's own test runner (`node --test`); run by `crates/daemon/tests/page.rs`.

import assert from "node:assert/strict";
import test from "node:test";
import { pathToFileURL } from "node:url";

const page = pathToFileURL(`${globalThis.process.env.PAGE}/`);
const [model, series, format, lines, words] = await Promise.all(
  ["model", "series", "format", "lines", "words"].map((name) => import(new URL(`${name}.js`, page))),
);

const process = (id, more = {}) => ({
  id, app: 0, name: "api", namespace: "default", mode: "cluster", instance: id, generation: 1, status: "online", pid: 100 + id,
  launched_at: 1000, restarts: 0, unstable_restarts: 0, restart_delay_ms: 0, last_exit: null, watching: false, health: {}, said: null, ...more,
});
const numbers = (id, more = {}) => ({ id, usage: { cpu: 10, memory: 1000 }, node: null, ...more });
const snapshot = (...processes) => model.apply(model.empty(), "snapshot", { processes, reloads: [] });

test("events lead from any state to the one that they tell, also twice", () => {
  const known = snapshot(process(0), process(1));
  for (let twice = 0; twice < 2; twice += 1) {
    model.apply(known, "process", process(1, { status: "stopped", pid: null }));
    model.apply(known, "process", process(2, { app: 1, name: "job" }));
    model.apply(known, "removed", { id: 0 });
    model.apply(known, "unheard of", {});
  }
  assert.deepEqual(model.apps(known).map((app) => [app.name, app.word, app.workers.map((worker) => worker.id)]), [
    ["api", "stopped", [1]], ["job", "online", [2]],
  ]);
  model.apply(known, "snapshot", { processes: [], reloads: [] });
  assert.deepEqual(model.apps(known), []);
});

test("an app is the sum or the largest of its workers, as its worst one, and what is not known is not 0", () => {
  const known = model.measure(snapshot(process(0), process(1), process(2, { status: "errored", pid: null })), {
    workers: [numbers(0, { node: { loop_delay: { p99: 5 }, http: { requests: 3, p95_ms: 7 } } }), numbers(1, { node: { loop_delay: { p99: 9 }, http: null } }),
      numbers(2, { usage: null })],
  });
  const [app] = model.apps(known);
  assert.deepEqual([app.cpu, app.memory, app.loop, app.requests, app.latency, app.connections], [20, 2000, 9, 3, 7, null]);
  assert.deepEqual([app.word, app.tone, app.online], ["errored", "bad", 2]);
  assert.deepEqual(model.totals([app]), { apps: 1, workers: 3, online: 2, bad: 1, cpu: 20, memory: 2000, requests: 3 });
});

test("what was measured is forgotten with the process that it was measured in", () => {
  const known = model.measure(snapshot(process(0)), { workers: [numbers(0)] });
  model.apply(known, "process", process(0, { pid: 900 }));
  assert.equal(model.apps(known)[0].cpu, null);
});

test("probes show in the state of a worker that is online, and only there", () => {
  for (const [status, health, word] of [
    ["online", { healthy: false }, "unhealthy"], ["online", { ready: false }, "not ready"], ["online", { healthy: true, ready: true }, "online"],
    ["stopping", { healthy: false }, "stopping"], ["waiting restart", {}, "waiting"],
  ]) {
    assert.equal(model.condition(process(0, { status, health })).word, word);
  }
});

test("the order of a column has what is not known last, either way", () => {
  const list = [["a", 5], ["b", null], ["c", 9]].map(([name, cpu], app) => ({ name, cpu, app, tone: "good" }));
  const names = (descending) => model.ordered(list, "cpu", descending).map((app) => app.name).join("");
  assert.equal(names(true), "cab");
  assert.equal(names(false), "acb");
});

test("the history is bounded", () => {
  const known = model.empty();
  for (let at = 0; at < model.MOST_HISTORY + 9; at += 1) model.apply(known, "history", { at });
  assert.equal(known.history.length, model.MOST_HISTORY);
  assert.equal(known.history[0].at, 9);
});

test("an address means an app or a worker, and a tab of it", () => {
  assert.deepEqual(model.place("#/apps/3/logs"), { kind: "apps", number: 3, tab: "logs" });
  assert.deepEqual(model.place("#/workers/0"), { kind: "workers", number: 0, tab: "charts" });
  for (const other of ["", "#list", "#/apps/x", "#token=abc", "#/apps/1/2/3"]) assert.equal(model.place(other), null, other);
  const list = model.apps(snapshot(process(0), process(1)));
  assert.equal(model.found(list, model.place("#/workers/1")).worker.id, 1);
  assert.equal(model.found(list, model.place("#/workers/7")), null);
});

test("a number that is also a name is not taken for an id", () => {
  const list = model.apps(snapshot(process(0), process(7, { app: 1, name: "0" })));
  assert.throws(() => model.selector(list, [0]), /is a name/);
  assert.deepEqual(model.selector(list, [7]).words, ["7"]);
});

const points = (...list) => list.map(([ago_ms, span_ms, mean, largest = mean]) => ({ ago_ms, span_ms, mean, largest }));

test("points of workers add up in the time that they stand for, and a gap is a gap", () => {
  const short = { window: 40_000, step: 10_000 };
  const one = points([40_000, 10_000, 1, 2], [20_000, 10_000, 3, 4]);
  const other = points([40_000, 10_000, 10, 20]);
  const values = (together, key) => series.line([one, other], { ...short, together }).map((bucket) => bucket[key]);
  assert.deepEqual(values("sum", "mean"), [11, null, 3, null]);
  assert.deepEqual(values("largest", "mean"), [10, null, 3, null]);
  assert.deepEqual(values("largest", "largest"), [20, null, 4, null]);
});

test("of points that lie across buckets each gets its part, by time", () => {
  const minutes = { window: 120_000, step: 60_000, together: "sum" };
  const fine = points(...Array.from({ length: 6 }, (_, at) => [60_000 - at * 10_000, 10_000, at]));
  assert.deepEqual(series.line([[...points([120_000, 60_000, 7]), ...fine]], minutes).map((bucket) => bucket.mean), [7, 2.5]);
  // A little late is not in the bucket before.
  assert.deepEqual(series.line([points([61_000, 60_000, 5])], minutes).map((bucket) => bucket.mean), [null, 5]);
});

test("scales go from 0 to above what is shown in even steps", () => {
  for (const [largest, unit, top] of [[0, "percent", 1], [97, "percent", 100], [100, "percent", 100], [103, "percent", 150], [0.4, "rate", 0.4], [3, "count", 3], [1, "count", 1]]) {
    const scale = series.axis(largest, unit);
    assert.equal(scale.ticks[0], 0);
    assert.ok(scale.top >= largest && scale.ticks.length >= 2 && scale.ticks.length <= 6, `${largest} ${unit} ${scale.ticks}`);
    if (top) assert.ok(scale.top >= top * 0.99, `${largest} ${unit} ${scale.ticks}`);
    const steps = scale.ticks.slice(1).map((tick, at) => Number((tick - scale.ticks[at]).toFixed(9)));
    assert.equal(new Set(steps).size, 1, `${scale.ticks}`);
  }
  assert.equal(series.axis(300 * 1024 ** 2, "bytes").ticks[1] % 1024 ** 2, 0);
});

test("lines are broken where nothing was measured, and one point alone is seen", () => {
  const buckets = [1, 2, null, 4].map((mean, at) => ({ ago: at, mean, largest: mean }));
  const found = series.runs(buckets, 4, 40, 100);
  assert.deepEqual(found, [[[5, 75], [15, 50]], [[35, 0]]]);
  assert.equal(series.path(found[0]), "M5 75L15 50");
  assert.match(series.path(found[1]), /h3$/);
  assert.deepEqual(series.summary(buckets), { latest: 4, lowest: 1, highest: 4 });
  assert.equal(series.summary([{ mean: null }]), null);
});

test("quantities are written as people read them", () => {
  for (const [found, expected] of [
    [format.percent(0), "0 %"], [format.percent(99.6), "100 %"], [format.percent(null), "—"], [format.bytes(0), "0 B"], [format.bytes(1536), "1.5 KiB"],
    [format.bytes(300 * 1024 ** 2), "300 MiB"], [format.milliseconds(0.25), "0.25 ms"], [format.milliseconds(1500), "1.5 s"], [format.rate(12.3), "12/s"],
    [format.span(35), "35 ms"], [format.span(1250), "1.2 s"], [format.span(185_000), "3 min 5 s"], [format.span(7_800_000), "2 h 10 min"],
    [format.uptime(59_000), "59 s"], [format.uptime(119_000), "119 s"], [format.uptime(120_000), "2 min"], [format.uptime(NaN), "—"],
    [format.counted(1, "worker"), "1 worker"], [format.counted(0, "worker"), "0 workers"],
  ]) assert.equal(found, expected);
});

test("output has no say in how it is shown", () => {
  for (const [text, shown] of [
    ["\u001b[31mred\u001b[0m", "red"], ["\u001b]0;title\u0007after", "after"], ["10%\r50%\r100%", "100%"], ["end\r", "end"], ["a\u202eb\u0000c\u007f", "abc"],
    ["\ttab", "\ttab"], ["<b>&amp;</b>", "<b>&amp;</b>"], ["\u001b", ""], ["東京", "東京"],
  ]) assert.equal(lines.plain(text), shown, JSON.stringify(text));
  assert.ok(lines.plain("x".repeat(10_000)).length < 4100);
});

test("lines are put together from pieces by worker and by stream, and kept within bounds", () => {
  const ring = lines.empty();
  lines.take(ring, "out", { id: 0, name: "a", at: 1, text: "one\ntw" });
  lines.take(ring, "error", { id: 0, name: "a", at: 2, text: "bad\n" });
  lines.take(ring, "out", { id: 1, name: "a", at: 3, text: "other\n" });
  lines.take(ring, "out", { id: 0, name: "a", at: 4, text: "o\n" });
  assert.deepEqual(ring.lines.map((line) => line.text), ["one", "bad", "other", "two"]);
  lines.take(ring, "out", { id: 0, name: "a", at: 5, text: "x\n".repeat(3 * lines.MOST_LINES) });
  assert.equal(ring.lines.length, lines.MOST_LINES);
  assert.equal(ring.lines.at(-1).number, ring.next - 1);
  lines.take(ring, "out", { id: 0, name: "a", at: 6, text: "y".repeat(100_000) });
  assert.equal(ring.open.size, 0, "a line without an end is not waited for");
});

test("what is searched for is found in any case and marked where it stands", () => {
  assert.deepEqual(lines.hits("GET get Get", "get"), [[0, 3], [4, 7], [8, 11]]);
  assert.deepEqual(lines.hits("abc", ""), []);
  assert.deepEqual(lines.hits("İstanbul", "istan"), [], "letters whose small form is longer");
  assert.equal(lines.matching([{ text: "a" }, { text: "b" }], "B").length, 1);
});

test("history is told in words", () => {
  const told = (what) => {
    const { what: happened, why, tone, after } = words.entry({ at: 0, app: "api", slot: 2, instance: 0, generation: 1, what });
    return [happened, why, tone, after];
  };
  const uptime = { secs: 3, nanos: 500_000_000 };
  for (const [what, expected] of [
    [{ started: { pid: 7, cause: { asked: { Client: { user: "ann", pid: 9, verb: "start" } } } } }, ["started, pid 7", "start by ann, pid 9", "good", ""]],
    [{ started: { pid: 7, cause: { asked: { Web: { user: "ann", address: "10.0.0.1", verb: "restart" } } } } }, ["started, pid 7", "restart by ann, here, from 10.0.0.1", "good", ""]],
    [{ ended: { status: { code: 1 }, uptime, cause: "itself", next: { restart_in: { delay: { secs: 0, nanos: 100_000_000 } } } } },
      ["crashed, exit code 1", "by itself", "bad", "up 3.5 s; restarted in 100 ms"]],
    [{ ended: { status: { signal: { signal: 15, core_dumped: false } }, uptime, cause: "itself", next: "restart" } },
      ["was killed, SIGTERM", "somebody’s signal", "bad", "up 3.5 s; restarted at once"]],
    [{ ended: { status: "unknown", uptime, cause: { told: { cause: "restart", killed: true } }, next: "replaced" } },
      ["was ended, nobody knows how", "the one before had ended; kill_timeout ran out", "moving", "up 3.5 s; replaced"]],
    [{ probed: { kind: "ready", failure: "answered 503" } }, ["is not ready", "answered 503", "moving", ""]],
    [{ probed: { kind: "health", failure: null } }, ["is well again", "", "good", ""]],
    ["something_new", ["something new", "", "plain", ""]],
  ]) assert.deepEqual(told(what), expected);
});

test("verdicts are told together where they are the same, and failures with their reason", () => {
  const slot = (slot, verdict) => ({ slot, name: "api", verdict });
  assert.deepEqual(words.outcome({ slots: [slot(0, { reloaded: { pid: 1 } }), slot(1, { reloaded: { pid: 2 } })] }),
    { text: "api (0, 1) was reloaded", failed: false });
  const failed = words.outcome({ slots: [slot(0, { failed: { exited: { status: { code: 3 }, after_ms: 50, retrying: true } } }), slot(1, "kept")] });
  assert.deepEqual(failed, { text: "api (0) failed: it ended after 50 ms, exit code 3. api (1) was left as it is", failed: true });
});

test("each step of a reload says who serves and what is waited for", () => {
  const turn = (step, more) => ({ slot: 0, step, new_pid: 8, old_pid: 7, awaits: [], left_ms: null, ...more });
  assert.equal(words.step(turn("draining"), 1), "pid 8 serves, pid 7 finishes 1 connection");
  assert.equal(words.step(turn("draining")), "pid 8 serves, pid 7 finishes its connections");
  assert.equal(words.step(turn("starting", { awaits: ["ready", { listening_at: "tcp 0.0.0.0:80" }] })), "pid 8 has yet to say “ready” and listen on tcp 0.0.0.0:80");
  assert.deepEqual(words.STEPS.map(([key]) => words.step(turn(key)) !== key), [true, true, true, true, true, true, true]);
});
