// Acts, each after a yes.

import { button, by, element } from "./element.js";
import { counted } from "./format.js";
import { message } from "./dock.js";
import { selector } from "./model.js";
import { operate } from "./server.js";
import { failed, outcome } from "./words.js";

const patch = { attributes: {}, environment: null };
const isUp = (worker) => worker.pid !== null && worker.pid !== undefined;

/** What can be done, how it is asked, and what is sent. `who` is the app's name, or a worker's. */
const ACTS = {
  reload: {
    title: "Reload", done: "reloading", offered: (workers) => workers.some(isUp),
    asks: ({ app, workers }) => (app.mode === "cluster"
      ? `${workers.length === 1 ? "Its worker is" : `Its ${workers.length} workers are`} replaced one by one, each once its successor is ready. No request is lost, and if a successor fails nothing changes.`
      : "It is replaced without a gap if it shares its port with Ostler (“listen”); otherwise it is stopped and started."),
    action: (chosen) => ({ reload: { selector: chosen, patch, parallel: 1 } }),
  },
  restart: {
    title: "Restart", done: "restarting", offered: (workers) => workers.some(isUp),
    asks: () => "It is stopped and started again. Until it is up, it answers nobody.",
    action: (chosen) => ({ restart: { selector: chosen, patch } }),
  },
  start: {
    title: "Start", verb: "restart", done: "starting", offered: (workers) => !workers.some(isUp),
    asks: () => "It is started as it is declared.",
    action: (chosen) => ({ restart: { selector: chosen, patch } }),
  },
  stop: {
    title: "Stop", done: "stopping", offered: (workers) => workers.some((worker) => worker.tone !== "off"),
    asks: () => "It ends, and stays down until somebody starts it.",
    action: (chosen) => ({ stop: { selector: chosen } }),
  },
  scale: {
    title: "Scale", done: "scaling", offered: (_, worker) => worker === null,
    asks: () => "Workers that are added come up beside the others. Those that go finish with their connections first.",
    action: (chosen, instances) => ({ scale: { selector: { ...chosen, words: chosen.words.slice(0, 1) }, to: { absolute: instances } } }),
  },
  reset: {
    title: "Reset counters", done: "resetting", offered: () => true,
    asks: () => "Its restarts are counted from 0 again. What runs is left alone.",
    action: (chosen) => ({ reset: { selector: chosen } }),
  },
  delete: {
    title: "Delete", done: "deleting", dangerous: true, offered: () => true,
    asks: () => "It is stopped and taken from the list. Its files and logs stay.",
    action: (chosen) => ({ delete: { selector: chosen } }),
  },
};

function number(workers) {
  return element("label.number", {}, "Workers",
    element("input", { type: "number", name: "instances", min: 1, max: 512, step: 1, value: workers.length, required: true, autofocus: true }));
}

/** Asks; gives the form's answer once there was a yes, null after a no. */
function confirm(act, key, subject) {
  const dialog = by("dialog");
  const { name, workers } = subject;
  const cancel = button("Cancel", () => dialog.close("no"), { autofocus: act.dangerous === true });
  const yes = element("button", { type: "submit", class: act.dangerous ? "danger" : "main", text: act.title, autofocus: !act.dangerous && key !== "scale" });
  const form = element("form", {}, element("h2", { id: "dialog-title", text: `${act.title} ${name}?` }),
    element("p", act.asks(subject)), workers.length > 1 && key !== "scale" ? element("p.about", { text: `This concerns ${counted(workers.length, "worker")}.` }) : null,
    key === "scale" ? number(workers) : null, element("div.buttons", {}, cancel, yes));
  return new Promise((answer) => {
    let given = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      given = { instances: Number(form.elements.instances?.value) };
      dialog.close("yes");
    });
    dialog.addEventListener("close", () => { dialog.replaceChildren(); answer(given); }, { once: true });
    dialog.replaceChildren(form);
    dialog.showModal();
  });
}

async function carryOut(key, list, subject) {
  const act = ACTS[key];
  const given = await confirm(act, key, subject());
  if (given === null) return;
  const { app, name, workers } = subject();
  // A reload shows by itself how far it is.
  const put = key === "reload" && app.mode === "cluster" ? () => {} : message(`${act.done} ${name} …`.replace(/^./, (first) => first.toUpperCase()), "moving");
  try {
    const chosen = selector(list(), workers.map((worker) => worker.id));
    const answer = await operate(act.verb ?? key, act.action(chosen, given.instances));
    const { text, failed: wrong } = outcome(answer.slots ?? { slots: [] });
    message(`${text}.`, wrong ? "bad" : "good");
  } catch (error) {
    message(`${act.title} ${name}: ${failed(error)}`, "bad");
  } finally {
    put();
  }
}

/** The buttons. `list` gives all apps, `subject` who is meant: `{ name, app, workers, worker }`. */
export function buttons(list, subject) {
  const made = Object.entries(ACTS).map(([key, act]) => button(key === "scale" ? "Scale …" : act.title, () => carryOut(key, list, subject),
    { data: { act: key }, class: act.dangerous ? "danger" : null }));
  const node = element("div.acts", { role: "group", "aria-label": "Acts" }, ...made);
  const update = () => {
    const { workers, worker } = subject();
    for (const one of made) one.hidden = !ACTS[one.dataset.act].offered(workers, worker);
  };
  return { node, update };
}
