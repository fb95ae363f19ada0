// What is known: states by events, numbers by polls. Pure: facts in, rows out.
//
// Each event has the whole new state of one thing, so applying one twice is harmless.

export const MOST_HISTORY = 500;

export const empty = () => ({ processes: new Map(), reloads: new Map(), numbers: new Map(), history: [], loaded: false });

/** Applies an event of `/v1/events`. What is not understood is passed over. */
export function apply(model, name, data) {
  switch (name) {
    case "snapshot":
      model.processes = new Map(data.processes.map((process) => [process.id, process]));
      model.reloads = new Map(data.reloads.map((reload) => [reload.app, reload]));
      model.loaded = true;
      for (const id of model.numbers.keys()) if (!model.processes.has(id)) model.numbers.delete(id);
      break;
    case "process":
      // What was measured was measured in the process before.
      if (model.processes.get(data.id)?.pid !== data.pid) model.numbers.delete(data.id);
      model.processes.set(data.id, data);
      break;
    case "removed":
      model.processes.delete(data.id);
      model.numbers.delete(data.id);
      break;
    case "history":
      model.history.push(data);
      if (model.history.length > MOST_HISTORY) model.history.splice(0, model.history.length - MOST_HISTORY);
      break;
    case "reload":
      model.reloads.set(data.app, data);
      break;
    case "reload_ended":
      model.reloads.delete(data.app);
      break;
  }
  return model;
}

/** Takes the answer to `/v1/metrics`. */
export function measure(model, metrics) {
  model.numbers = new Map(metrics.workers.map((worker) => [worker.id, worker]));
  return model;
}

const GOOD = "good", MOVING = "moving", BAD = "bad", OFF = "off";

/** How a worker is, in a word, and how that is to be taken. */
export function condition(process) {
  switch (process.status) {
    case "online":
      if (process.health?.healthy === false) return { word: "unhealthy", tone: BAD };
      if (process.health?.ready === false) return { word: "not ready", tone: MOVING };
      return { word: "online", tone: GOOD };
    case "stopped":
      return { word: "stopped", tone: OFF };
    case "errored":
      return { word: "errored", tone: BAD };
    case "waiting restart":
      return { word: "waiting", tone: MOVING };
    default:
      return { word: process.status, tone: MOVING };
  }
}

function worker(process, numbers) {
  const node = numbers?.node;
  const up = process.pid !== null && process.pid !== undefined;
  return {
    key: `w${process.id}`,
    id: process.id,
    app: process.app,
    name: process.name,
    namespace: process.namespace,
    mode: process.mode,
    instance: process.instance,
    pid: process.pid,
    since: up ? process.launched_at : null,
    restarts: process.restarts,
    said: process.said,
    why: process.health?.why,
    ...condition(process),
    cpu: numbers?.usage?.cpu ?? null,
    memory: numbers?.usage?.memory ?? null,
    loop: node?.loop_delay?.p99 ?? null,
    requests: node?.http?.requests ?? null,
    latency: node?.http?.p95_ms ?? null,
    connections: numbers?.connections?.active ?? null,
    version: numbers?.version ?? null,
  };
}

/** The sum of what is known; null where nothing is. */
export const sum = (values) => {
  const there = values.filter((value) => value !== null && value !== undefined);
  return there.length === 0 ? null : there.reduce((one, other) => one + other, 0);
};

const largest = (values) => {
  const there = values.filter((value) => value !== null && value !== undefined);
  return there.length === 0 ? null : Math.max(...there);
};

/** An app is as its worst worker is. */
function together(workers) {
  const worst = [BAD, MOVING].find((tone) => workers.some((worker) => worker.tone === tone));
  if (worst) return workers.find((worker) => worker.tone === worst);
  const online = workers.filter((worker) => worker.tone === GOOD).length;
  if (online === 0) return { word: "stopped", tone: OFF };
  return online === workers.length ? { word: "online", tone: GOOD } : { word: `${online} of ${workers.length} online`, tone: GOOD };
}

/** The apps, each with its workers and with what they come to together, in the order of their first worker. */
export function apps(model) {
  const groups = new Map();
  for (const process of [...model.processes.values()].sort((one, other) => one.id - other.id)) {
    if (!groups.has(process.app)) groups.set(process.app, []);
    groups.get(process.app).push(worker(process, model.numbers.get(process.id)));
  }
  return [...groups].map(([app, workers]) => {
    workers.sort((one, other) => one.instance - other.instance || one.id - other.id);
    const all = (name) => workers.map((worker) => worker[name]);
    const { word, tone } = together(workers);
    const since = all("since").filter((at) => at !== null);
    return {
      key: `a${app}`, app, workers, word, tone,
      name: workers[0].name, namespace: workers[0].namespace, mode: workers[0].mode, version: workers[0].version,
      online: workers.filter((worker) => worker.tone === GOOD).length,
      since: since.length === 0 ? null : Math.min(...since),
      restarts: sum(all("restarts")),
      cpu: sum(all("cpu")), memory: sum(all("memory")), requests: sum(all("requests")), connections: sum(all("connections")),
      loop: largest(all("loop")), latency: largest(all("latency")),
      reload: model.reloads.get(app) ?? null,
    };
  });
}

/** All of them together. */
export function totals(list) {
  const workers = list.flatMap((app) => app.workers);
  const of = (name) => sum(workers.map((worker) => worker[name]));
  const online = workers.filter((worker) => worker.tone === GOOD).length;
  const bad = workers.filter((worker) => worker.tone === BAD).length;
  return { apps: list.length, workers: workers.length, online, bad, cpu: of("cpu"), memory: of("memory"), requests: of("requests") };
}

const ORDERS = {
  name: (one, other) => one.name.localeCompare(other.name) || one.app - other.app,
  status: (one, other) => [BAD, MOVING, OFF, GOOD].indexOf(one.tone) - [BAD, MOVING, OFF, GOOD].indexOf(other.tone),
};

/** In order of a column, what is not known last either way; what is the same stays in order of names. */
export function ordered(list, column, descending) {
  const by = ORDERS[column] ?? ((one, other) => one[column] - other[column]);
  const unknown = (app) => !(column in ORDERS) && app[column] === null;
  return [...list].sort((one, other) => {
    const last = unknown(one) - unknown(other);
    if (last !== 0) return last;
    const order = unknown(one) ? 0 : by(one, other) * (descending ? -1 : 1);
    return order || ORDERS.name(one, other);
  });
}

/** Those whose name or namespace contains the words, in any case. */
export function matching(list, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return list.filter((app) => words.every((word) => `${app.name} ${app.namespace} ${app.word}`.toLowerCase().includes(word)));
}

/** What an address after `#` means: an app or a worker, and what of it is shown. */
export function place(hash) {
  const [, kind, number, tab] = /^#\/(apps|workers)\/(\d+)(?:\/(\w+))?$/.exec(hash) ?? [];
  return kind ? { kind, number: Number(number), tab: tab ?? "charts" } : null;
}

/** The app, and the worker if it is one, that is meant by a place; null when it is no more. */
export function found(list, place) {
  if (!place) return null;
  if (place.kind === "apps") {
    const app = list.find((app) => app.app === place.number);
    return app ? { app, worker: null } : null;
  }
  const app = list.find((app) => app.workers.some((worker) => worker.id === place.number));
  return app ? { app, worker: app.workers.find((worker) => worker.id === place.number) } : null;
}

/** Ids as words of a selector. A number that is also somebody's name or namespace would mean that one. */
export function selector(list, ids) {
  const names = new Set(list.flatMap((app) => [app.name, app.namespace]));
  const taken = ids.find((id) => names.has(String(id)));
  if (taken !== undefined) throw new Error(`“${taken}” is a name, too: the command line has to say which is meant`);
  return { words: ids.map(String), cwd: "/" };
}
