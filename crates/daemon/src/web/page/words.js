// What happened, in words: history, verdicts, steps of a reload. Pure; worded as `ostler why` and `ostler reload` do.

import { bytes, counted, span } from "./format.js";

const SIGNALS = { 1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 15: "SIGTERM" };
const FROM_OUTSIDE = new Set([1, 2, 9, 10, 12, 15]);

/** An enum as JSON has it: its name, or an object with its name and what it carries. */
function open(value) {
  if (typeof value === "string") return [value, {}];
  const [[name, data]] = Object.entries(value);
  return [name, data];
}

const duration = ({ secs, nanos }) => secs * 1000 + nanos / 1e6;

export function status(value) {
  const [name, data] = open(value);
  if (name === "code") return `exit code ${data}`;
  if (name !== "signal") return "nobody knows how";
  return `${SIGNALS[data.signal] ?? `signal ${data.signal}`}${data.core_dumped ? ", core dumped" : ""}`;
}

function origin(value) {
  const [name, data] = open(value);
  if (name === "Client") return `${data.verb} by ${data.user}, pid ${data.pid}`;
  if (name === "Web") return `${data.verb} by ${data.user}, here, from ${data.address}`;
  return name === "Daemon" ? `the daemon: ${data.reason}` : name;
}

export function cause(value) {
  const [name, data] = open(value);
  switch (name) {
    case "asked": return origin(data);
    case "restart": return "the one before had ended";
    case "file_changed": return `${data.path} changed`;
    case "cron": return `cron ${data.pattern}`;
    case "unhealthy": return `not well: ${data.why}`;
    case "memory_limit": return `memory ${bytes(data.bytes)} over the limit of ${bytes(data.limit)}`;
    default: return name.replaceAll("_", " ");
  }
}

/** How a process ended: what happened, how that is to be taken, and why. */
function ended({ status: how, cause: why }) {
  const [name, data] = open(why);
  const [kind, detail] = open(how);
  const fine = kind === "code" && detail === 0;
  const foreign = kind === "signal" && !detail.core_dumped && FROM_OUTSIDE.has(detail.signal);
  switch (name) {
    case "itself":
      if (fine) return ["ended", "plain", "by itself"];
      return foreign ? ["was killed", "bad", "somebody’s signal"] : ["crashed", "bad", "by itself"];
    case "announced":
      if (data.pressed) return ["was ended", "moving", "it said that it was ending, and did not; drain_timeout ran out"];
      return ["ended", fine ? "plain" : "bad", "by itself, as it had said"];
    case "oom_killed": return ["crashed", "bad", "the kernel was out of memory"];
    case "told": return ["was ended", data.killed ? "moving" : "plain", `${cause(data.cause)}${data.killed ? "; kill_timeout ran out" : ""}`];
    case "never_ready": return ["was ended", "bad", "was not ready in time"];
    case "over_memory": return ["was ended", "moving", `memory ${bytes(data.bytes)} over max_memory_kill of ${bytes(data.limit)}`];
    default: return ["ended", "bad", name.replaceAll("_", " ")];
  }
}

const NEXT = {
  restart: "restarted at once", replaced: "replaced", not_replaced: "the one before goes on", stopped: "stays down", done: "done",
  errored: "given up",
};

function next(value) {
  const [name, data] = open(value);
  return name === "restart_in" ? `restarted in ${span(duration(data.delay))}` : (NEXT[name] ?? name.replaceAll("_", " "));
}

/** An entry of the history: `{ at, who, what, why, tone, after }`. */
export function entry({ at, app, slot, what }) {
  const [name, data] = open(what);
  const line = (what, why, tone, after = "") => ({ at, who: `${app} (${slot})`, what, why, tone, after });
  switch (name) {
    case "started": return line(`started, pid ${data.pid}`, cause(data.cause), "good");
    case "start_failed": return line(`could not start: ${data.error}`, cause(data.cause), "bad");
    case "listen_failed": return line(`could not listen: ${data.error}`, "", "bad");
    case "probed": {
      const fails = data.failure !== null && data.failure !== undefined;
      const word = data.kind === "health" ? "well" : "ready";
      const tone = fails ? (data.kind === "health" ? "bad" : "moving") : "good";
      return line(`is ${fails ? "not " : ""}${word}${fails ? "" : " again"}`, data.failure ?? "", tone);
    }
    case "ended": {
      const [word, tone, why] = ended(data);
      return line(`${word}, ${status(data.status)}`, why, tone, `up ${span(duration(data.uptime))}; ${next(data.next)}`);
    }
    case "stopped": return line("stopped before it ran", origin(data.by), "plain", "stays down");
    case "deleted": return line("deleted", origin(data.by), "plain");
    default: return line(name.replaceAll("_", " "), "", "plain");
  }
}

export function failure(value) {
  const [name, data] = open(value);
  switch (name) {
    case "spawn": return data.message;
    case "exited": return `it ended after ${span(data.after_ms)}, ${status(data.status)}`;
    case "not_ready": return `it was not ready within ${span(data.waited_ms)}${data.probe ? `: ${data.probe}` : ""}`;
    case "unready": return `it runs, and was not ready within ${span(data.waited_ms)}${data.probe ? `: ${data.probe}` : ""}`;
    case "unhealthy": return `it is not well: ${data.why}`;
    case "not_listening": return `it does not listen at ${data.missing.join(", ")}`;
    case "restarted": return `it was restarted ${data.times} times before it was up: ${cause(data.cause)}`;
    default: return name.replaceAll("_", " ");
  }
}

const DONE = {
  online: "is up", finished: "ran to its end", reloaded: "was reloaded", kept: "was left as it is", rolled_back: "was put back to what ran before",
  unchanged: "has not changed", registered: "is registered, not started", stopped: "is stopped", was_stopped: "was stopped already",
  deleted: "is deleted", reset: "has its counters back at 0", superseded: "was overtaken by another command",
};

/** What became of an act: `{ text, failed }`, worker by worker where they differ. */
export function outcome({ slots }) {
  const told = new Map();
  let failed = false;
  for (const { slot, name, verdict } of slots) {
    const [kind, data] = open(verdict);
    const wrong = kind === "failed" || kind === "not_replaced";
    failed ||= wrong;
    const words = wrong ? `${kind === "failed" ? "failed" : "goes on as it was"}: ${failure(data)}` : (DONE[kind] ?? kind);
    const key = `${name}\u0000${words}`;
    if (!told.has(key)) told.set(key, { name, words, ids: [] });
    told.get(key).ids.push(slot);
  }
  const text = [...told.values()].map(({ name, words, ids }) => `${name} (${ids.join(", ")}) ${words}`).join(". ");
  return { text: text === "" ? "There was nothing to do" : text, failed };
}

/** The steps of a replacement in order, and what each is called. */
export const STEPS = [
  ["waiting", "waits"], ["launching", "launch"], ["starting", "start"], ["proving", "prove"], ["draining", "drain"], ["ending", "end"],
  ["done", "done"],
];

const AWAITED = { ready: "say “ready”", probe: "pass its probe", listening: "listen" };

function awaited(list) {
  const words = list.map((value) => {
    const [name, data] = open(value);
    return name === "listening_at" ? `listen on ${data}` : (AWAITED[name] ?? name);
  });
  return words.length === 0 ? "become ready" : words.join(" and ");
}

/** What is being done in a slot. `connections` is how many the worker that goes has left, if they were counted. */
export function step(turn, connections) {
  const fresh = turn.new_pid ? `pid ${turn.new_pid}` : "the new worker";
  const old = turn.old_pid ? `pid ${turn.old_pid}` : "the old worker";
  switch (turn.step) {
    case "waiting": return "waits for its turn";
    case "launching": return "launches a new worker";
    case "starting": return `${fresh} has yet to ${awaited(turn.awaits)}`;
    case "proving": return `${fresh} is ready and has to stay up`;
    case "draining": {
      const left = connections === undefined ? "its connections" : counted(connections, "connection");
      return `${fresh} serves, ${old} finishes ${left}`;
    }
    case "ending": return `${fresh} serves, ${turn.old_pid ? `${old} ends` : "what its predecessor has left behind ends"}`;
    case "done": return `${fresh} serves`;
    default: return turn.step;
  }
}

export const failed = (error) => (error?.hint ? `${error.message}. ${error.hint}` : `${error?.message ?? error}`);
