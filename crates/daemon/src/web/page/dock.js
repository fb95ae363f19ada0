// What is under way, at the foot of the page, where it moves nothing: reloads step by step, and what became of acts.

import { arrange, attribute, button, by, element, text } from "./element.js";
import { span } from "./format.js";
import { STEPS, step } from "./words.js";

const LASTS = 10_000;
const cards = new Map();

function line() {
  const made = { node: element("li", {}), name: element("span.who"), steps: element("span.steps", { "aria-hidden": "true" }),
    words: element("span.words"), left: element("span.left") };
  for (const [key, title] of STEPS) made.steps.append(element("i", { data: { step: key }, title }));
  made.node.append(made.name, made.steps, made.words, made.left);
  return made;
}

function card(reload) {
  const made = { title: element("h2", {}), bar: element("progress", {}), list: element("ol", {}), lines: new Map(), since: 0, reload };
  made.node = element("section.reload", {}, made.title, made.bar, made.list);
  return made;
}

/** Draws the reloads that are under way. */
export function reloads(model) {
  for (const [app, reload] of model.reloads) {
    if (!cards.has(app)) cards.set(app, card(reload));
    const made = cards.get(app);
    if (made.reload !== reload) Object.assign(made, { reload, since: Date.now() });
    if (made.since === 0) made.since = Date.now();
    show(made);
  }
  for (const app of cards.keys()) if (!model.reloads.has(app)) cards.delete(app);
  arrange(by("reloads"), [...cards.values()].map((made) => made.node));
}

function show(made) {
  const { turns, connections, undoing } = made.reload;
  const done = turns.filter((turn) => turn.step === "done").length;
  text(made.title, `${undoing ? "Putting back" : "Reloading"} ${turns[0]?.name ?? ""}: ${done} of ${turns.length} done`);
  attribute(made.bar, "max", turns.length * (STEPS.length - 1));
  attribute(made.bar, "value", turns.reduce((all, turn) => all + STEPS.findIndex(([key]) => key === turn.step), 0));
  attribute(made.bar, "aria-label", made.title.textContent);
  attribute(made.node, "data-tone", undoing ? "bad" : "moving");
  for (const turn of turns) {
    if (!made.lines.has(turn.slot)) made.lines.set(turn.slot, line());
    const { node, name, steps, words, left } = made.lines.get(turn.slot);
    const reached = STEPS.findIndex(([key]) => key === turn.step);
    attribute(node, "data-step", turn.step);
    text(name, String(turn.slot));
    [...steps.children].forEach((mark, at) => attribute(mark, "class", at < reached ? "past" : at === reached && at > 0 ? "here" : null));
    text(words, step(turn, connections[turn.slot]));
    // Told once a step; what is left of its time is counted here.
    const rest = turn.left_ms === null ? null : Math.max(0, turn.left_ms - (Date.now() - made.since));
    text(left, rest === null ? "" : `${span(Math.ceil(rest / 1000) * 1000).replace(".0", "")} left`);
  }
  arrange(made.list, turns.map((turn) => made.lines.get(turn.slot).node));
}

/** Says what became of something. What has failed stays until it is put away. */
export function message(words, tone) {
  const node = element("div.message", { data: { tone } }, element("p", words));
  const away = () => node.remove();
  node.append(button("✕", away, { class: "quiet", "aria-label": "Put this message away" }));
  by("messages").append(node);
  while (by("messages").children.length > 4) by("messages").firstElementChild.remove();
  if (tone !== "bad") setTimeout(away, LASTS);
  return away;
}
