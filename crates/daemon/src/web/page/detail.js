// One app or worker: what it is, what can be done, and a panel.

import { buttons } from "./acts.js";
import { attribute, by, element, tabs, text } from "./element.js";
import { counted, uptime } from "./format.js";
import * as charts from "./charts.js";
import * as history from "./history.js";
import * as logs from "./logs.js";
import { failed } from "./words.js";

const TABS = [["charts", "Charts"], ["logs", "Logs"], ["history", "History"]];

/** What is shown now: `{ key, tab, panel, … }`. */
let shown = null;

/** The ids meant may change while it is looked at: an app is scaled. */
function subjectOf(context, place) {
  const now = () => context.find(place);
  const first = now();
  const isTaken = (word) => context.list().some((app) => app.name === word || app.namespace === word);
  return {
    name: first.app.name,
    worker: first.worker?.id ?? null,
    ids: () => (now()?.worker ? [now().worker.id] : (now()?.app.workers ?? []).map((worker) => worker.id)),
    several: () => !first.worker && (now()?.app.workers.length ?? 0) > 1,
    word: () => (first.worker && !isTaken(String(first.worker.id)) ? String(first.worker.id) : first.app.name),
    meant: () => {
      const { app, worker } = now() ?? first;
      return { app, worker, workers: worker ? [worker] : app.workers, name: worker ? `${app.name} (${worker.id})` : app.name };
    },
  };
}

function facts({ app, worker }) {
  const of = worker ?? app;
  const words = [app.mode];
  if (!worker && app.workers.length > 1) words.push(`${app.online} of ${app.workers.length} workers online`);
  if (worker?.pid) words.push(`pid ${worker.pid}`);
  if (app.namespace !== "default") words.push(`namespace ${app.namespace}`);
  if (app.version) words.push(`version ${app.version}`);
  if (of.since !== null) words.push(`up ${uptime(Date.now() - of.since)}`);
  words.push(counted(of.restarts ?? 0, "restart"));
  return words.join(" · ");
}

function build(context, place) {
  const subject = subjectOf(context, place);
  const made = { subject, title: element("h2", { id: "detail-title" }), status: element("span.status"), facts: element("p.facts"),
    problem: element("p.problem", { role: "status" }), panel: null, tab: null };
  made.acts = context.readOnly() ? null : buttons(context.list, subject.meant);
  made.tabs = element("div", {});
  made.body = element("div", { id: "panel", role: "tabpanel", class: "panel" });
  const back = element("a.back", { href: "#/", text: "All apps" });
  by("detail").replaceChildren(element("div.top", {}, back, element("div.title", {}, made.title, made.status), made.facts),
    ...[made.acts?.node, made.tabs, made.problem, made.body].filter(Boolean));
  return made;
}

function panelOf(made, tab, context) {
  const problem = (error) => text(made.problem, error ? failed(error) : "");
  const { subject } = made;
  if (tab === "logs") return logs.panel(subject, (there) => text(made.problem, there ? "" : "The connection is lost; trying again."));
  if (tab === "history") return history.panel(subject, context.history, problem);
  return charts.panel(subject, () => context.find(context.place())?.worker ?? context.find(context.place())?.app, problem);
}

function show(made, wanted, context, place) {
  const tab = TABS.some(([key]) => key === wanted) ? wanted : "charts";
  if (made.tab === tab) return;
  made.panel?.end();
  made.tab = tab;
  text(made.problem, "");
  const choose = (key) => { location.hash = `#/${place.kind}/${place.number}/${key}`; };
  const focused = document.activeElement?.getAttribute("role") === "tab";
  made.tabs.replaceChildren(tabs(TABS, `What is shown of ${made.subject.name}`, tab, choose));
  if (focused) by(`tab-${tab}`).focus();
  made.panel = panelOf(made, tab, context);
  attribute(made.body, "aria-labelledby", `tab-${tab}`);
  made.body.replaceChildren(made.panel.node);
  made.panel.begin();
}

/** Draws what is chosen; nothing when that is nothing. */
export function draw(context) {
  const place = context.place();
  const found = context.find(place);
  const key = found ? `${place.kind}/${place.number}` : null;
  if (shown?.key !== key) {
    shown?.panel?.end();
    shown = found ? { key, ...build(context, place) } : null;
    if (!found) by("detail").replaceChildren();
  }
  by("detail").hidden = !found;
  by("choose").hidden = Boolean(found);
  if (!found) return;
  const of = found.worker ?? found.app;
  text(shown.title, found.worker ? `${found.app.name} (${found.worker.id})` : found.app.name);
  text(shown.status, of.word);
  attribute(shown.status, "data-tone", of.tone);
  text(shown.facts, [facts(found), of.why, of.said].filter(Boolean).join(" · "));
  shown.acts?.update();
  show(shown, place.tab, context, place);
  shown.panel.update();
}

export const awake = () => shown?.panel?.awake?.();
export const asleep = () => shown?.panel?.asleep?.();
export const end = () => {
  shown?.panel?.end();
  shown = null;
};
