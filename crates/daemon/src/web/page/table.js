// The table of apps and their workers. Rows are kept and changed in place: what has the focus keeps it.

import { arrange, attribute, button, by, element, text } from "./element.js";
import * as format from "./format.js";
import { matching, ordered } from "./model.js";

const COLUMNS = [
  { key: "name", title: "Name" },
  { key: "word", title: "Status", by: "status" },
  { key: "cpu", title: "CPU", shown: format.percent, descending: true },
  { key: "memory", title: "Memory", shown: format.bytes, descending: true },
  { key: "requests", title: "Req/s", about: "HTTP requests a second", shown: (value) => format.rate(value).replace("/s", ""), descending: true },
  { key: "latency", title: "p95", about: "95 of 100 answers took at most", shown: format.milliseconds, descending: true },
  { key: "loop", title: "Loop", about: "Event loop delay: 99 of 100 turns were at most so late", shown: format.milliseconds, descending: true },
  { key: "since", title: "Up", about: "For how long it has been up", shown: (at) => (at === null ? format.UNKNOWN : format.uptime(Date.now() - at)) },
  { key: "restarts", title: "Restarts", shown: String, descending: true },
];

/** How many workers there may be for all of them to be shown at first. */
const FEW = 24;

const order = { column: "name", descending: false };
const folded = new Map();
const rows = new Map();
let head = null;

function heading(column, draw) {
  const key = column.by ?? column.key;
  const sort = () => {
    if (order.column === key) order.descending = !order.descending;
    else Object.assign(order, { column: key, descending: column.descending ?? false });
    draw();
  };
  return element("th", { scope: "col", data: { column: column.key, sort: key } }, button(column.title, sort, { title: column.about }));
}

function build(draw) {
  head = element("tr", {}, ...COLUMNS.map((column) => heading(column, draw)));
  const caption = element("caption.unseen", "Apps and their workers; the names lead to charts, logs and history");
  by("table").append(caption, element("thead", {}, head), element("tbody"));
}

function row(key, isWorker, draw) {
  const known = rows.get(key);
  if (known) return known;
  const made = { cells: {}, tr: element("tr", { class: isWorker ? "worker" : "app" }) };
  for (const column of COLUMNS) {
    const cell = element(column.key === "name" ? "th" : "td", { data: { column: column.key } });
    if (column.key === "name") cell.setAttribute("scope", "row");
    made.cells[column.key] = cell;
    made.tr.append(cell);
  }
  made.link = element("a", {});
  made.more = element("span.more");
  made.fold = isWorker ? null : button("", () => {
    folded.set(key, made.fold.getAttribute("aria-expanded") === "true");
    draw();
  }, { class: "fold" });
  made.cells.name.append(...[made.fold, made.link, made.more].filter(Boolean));
  made.status = element("span.status");
  made.cells.word.append(made.status);
  // The whole row leads there, for whoever points; keys have the link.
  made.tr.addEventListener("click", (event) => {
    if (!event.target.closest("button, a") && !getSelection()?.toString()) location.hash = made.link.hash;
  });
  rows.set(key, made);
  return made;
}

function fill(made, facts, { href, name, more, chosen }) {
  attribute(made.link, "href", href);
  attribute(made.link, "aria-current", chosen ? "true" : null);
  attribute(made.tr, "data-chosen", chosen ? "true" : null);
  text(made.link, name);
  attribute(made.link, "title", name);
  text(made.more, more);
  text(made.status, facts.word);
  attribute(made.status, "data-tone", facts.tone);
  attribute(made.status, "title", facts.why ?? facts.said ?? null);
  for (const { key, shown } of COLUMNS) if (shown) text(made.cells[key], shown(facts[key]));
}

function reloading(app) {
  const turns = app.reload?.turns;
  if (!turns) return {};
  return { word: `reloading ${turns.filter((turn) => turn.step === "done").length}/${turns.length}`, tone: "moving" };
}

/** Draws it: all apps, what they are filtered by, and what is chosen (`{ app, worker }`, or null). */
export function draw(list, filter, chosen, again) {
  if (!head) build(again);
  for (const cell of head.children) {
    const sorted = cell.dataset.sort === order.column;
    attribute(cell, "aria-sort", sorted ? (order.descending ? "descending" : "ascending") : null);
  }
  const shown = ordered(matching(list, filter), order.column, order.descending);
  const many = list.reduce((count, app) => count + app.workers.length, 0) > FEW;
  const wanted = [];
  const living = new Set();
  for (const app of shown) {
    const made = row(app.key, false, again);
    const several = app.workers.length > 1;
    const open = several && !(folded.get(app.key) ?? many);
    fill(made, { ...app, ...reloading(app) }, {
      href: `#/apps/${app.app}`, name: app.name, more: app.namespace === "default" ? "" : app.namespace,
      chosen: chosen?.app.app === app.app && !chosen.worker,
    });
    attribute(made.fold, "aria-expanded", String(open));
    attribute(made.fold, "aria-label", `${open ? "Hide" : "Show"} the ${app.workers.length} workers of ${app.name}`);
    made.fold.classList.toggle("none", !several);
    made.fold.disabled = !several;
    wanted.push(made.tr);
    living.add(app.key);
    for (const worker of open ? app.workers : []) {
      const below = row(worker.key, true, again);
      fill(below, worker, {
        href: `#/workers/${worker.id}`, name: `${worker.id}`, more: worker.pid ? `pid ${worker.pid}` : "",
        chosen: chosen?.worker?.id === worker.id,
      });
      attribute(below.link, "aria-label", `Worker ${worker.id} of ${app.name}`);
      wanted.push(below.tr);
      living.add(worker.key);
    }
  }
  for (const key of rows.keys()) if (!living.has(key)) rows.delete(key);
  arrange(by("table").tBodies[0], wanted);
  by("table").hidden = list.length === 0;
  by("nothing").hidden = shown.length > 0;
  text(by("nothing"), list.length === 0 ? "Nothing runs yet: ostler start app.js" : "No app is called so.");
}
