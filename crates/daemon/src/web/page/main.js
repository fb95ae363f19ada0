// The page: who is signed in, what is known, and when it is drawn.

import * as detail from "./detail.js";
import { message, reloads } from "./dock.js";
import { attribute, by, element, text } from "./element.js";
import { bytes, counted, percent, rate } from "./format.js";
import { apply, apps, empty, found, measure, place, totals } from "./model.js";
import { ask, look, onSignedOut, stream } from "./server.js";
import { draw as drawTable } from "./table.js";
import { failed } from "./words.js";

const EVERY = 2000;
const EVENTS = ["snapshot", "process", "removed", "history", "reload", "reload_ended", "lost"];

let model = empty();
let list = [];
let session = null;
let waiting = false;
let timer = null;
let attempts = 0; // to sign in

const context = {
  list: () => list,
  place: () => place(location.hash),
  find: (place) => found(list, place),
  history: () => model.history,
  readOnly: () => session?.read_only === true,
};

function total(name, value) {
  return element("div", {}, element("dt", name), element("dd", { text: value, id: `total-${name}` }));
}

function drawTotals() {
  const all = totals(list);
  const facts = [["Online", `${all.online} of ${all.workers}`], ["CPU", percent(all.cpu)], ["Memory", bytes(all.memory)], ["Requests", rate(all.requests)]];
  if (by("totals").children.length === 0) by("totals").append(...facts.map(([name, value]) => total(name, value)));
  for (const [name, value] of facts) text(by(`total-${name}`), value);
  attribute(by("total-Online"), "data-tone", all.bad > 0 ? "bad" : null);
  document.title = all.bad > 0 ? `(${all.bad}) Ostler` : "Ostler";
}

function draw() {
  waiting = false;
  if (!session?.signed_in || !model.loaded) return;
  list = apps(model);
  const chosen = context.find(context.place());
  drawTotals();
  drawTable(list, by("filter").value, chosen, soon);
  attribute(by("work"), "data-chosen", chosen ? "true" : null);
  detail.draw(context);
  reloads(model);
  document.body.style.setProperty("--dock", `${by("dock").offsetHeight}px`);
}

/** However much has happened, it is drawn once a picture. */
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(draw);
}

function link(words, tone) {
  text(by("link"), words);
  attribute(by("link"), "data-tone", tone);
}

const events = stream("/v1/events", EVENTS, (name, data) => {
  apply(model, name, data);
  if (name === "reload_ended" && data.undone) {
    const app = list.find((app) => app.app === data.app);
    message(`The reload of ${app?.name ?? "an app"} failed, and what ran before was put back. Its history says why.`, "bad");
  }
  soon();
}, (there) => (there ? link("live", "good") : link("reconnecting", "moving")));

async function poll() {
  clearTimeout(timer);
  if (document.hidden || !session?.signed_in) return;
  try {
    measure(model, await look("/v1/metrics"));
  } catch (error) {
    if (error.status === 401) return;
    link("reconnecting", "moving");
    attribute(by("link"), "title", failed(error));
  }
  soon();
  clearTimeout(timer);
  timer = setTimeout(poll, EVERY);
}

/** Only who is looked at asks: browsers have six connections for a host, and Ostler has other things to do. */
function look_at_visibility() {
  if (!session?.signed_in) return;
  if (document.hidden) {
    events.close();
    detail.asleep();
    clearTimeout(timer);
  } else {
    events.open();
    detail.awake();
    poll();
  }
}

function begin(signedIn) {
  session = signedIn;
  model = empty();
  by("sign-in").hidden = true;
  by("work").hidden = false;
  by("sign-out").hidden = false;
  by("mode").hidden = !session.read_only;
  attribute(by("sign-out"), "title", `Signed in: ${session.user}. Ostler ${session.version}`);
  link("connecting", "moving");
  events.open();
  poll();
}

function ask_to_sign_in(state, words = "") {
  events.close();
  clearTimeout(timer);
  detail.end();
  session = null;
  list = [];
  for (const id of ["work", "sign-out", "mode"]) by(id).hidden = true;
  // What was shown is not left in the document.
  for (const id of ["totals", "reloads", "messages", "detail"]) by(id).replaceChildren();
  by("table").tBodies[0]?.replaceChildren();
  by("dialog").close();
  by("sign-in").hidden = false;
  if (state) by("with-password").hidden = !state.with_password;
  text(by("sign-in-problem"), words);
  link("signed out", "off");
  by("token").focus();
}

/** The last attempt counts: an answer to one before may come later. */
async function sign_in(body) {
  attempts += 1;
  const attempt = attempts;
  text(by("sign-in-problem"), "");
  try {
    const signedIn = await ask("POST", "/session", body);
    if (attempt !== attempts) return;
    begin(signedIn);
    by("sign-in").reset();
  } catch (error) {
    const state = await look("/session").catch(() => null);
    if (attempt === attempts) ask_to_sign_in(state, `${failed(error)}`);
  }
}

by("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const [token, user] = [by("token").value.trim(), by("user").value];
  sign_in(token || !user ? { token } : { user, password: by("password").value });
});
by("sign-out").addEventListener("click", async () => {
  await ask("DELETE", "/session").catch(() => {});
  ask_to_sign_in(await look("/session").catch(() => null));
});
by("filter").addEventListener("input", soon);
addEventListener("hashchange", () => {
  const token = /^#token=(.+)$/.exec(location.hash)?.[1];
  if (token) return with_token(token);
  draw();
  // Where it stands below the list.
  if (context.find(context.place()) && matchMedia("(max-width: 1179px)").matches) by("detail").scrollIntoView();
});
document.addEventListener("visibilitychange", look_at_visibility);
onSignedOut(async () => {
  if (session) ask_to_sign_in(await look("/session").catch(() => null), "Your session is over. Sign in again.");
});
setInterval(() => { if (!document.hidden && (model.reloads.size > 0)) reloads(model); }, 1000);

/** The token is to stand neither in the address nor in the browser's history. */
function with_token(token) {
  history.replaceState(null, "", location.pathname);
  return sign_in({ token: decodeURIComponent(token) });
}

async function first() {
  const token = /^#token=(.+)$/.exec(location.hash)?.[1];
  if (token) return with_token(token);
  try {
    const state = await look("/session");
    return state.signed_in ? begin(state) : ask_to_sign_in(state);
  } catch (error) {
    link("not connected", "bad");
    ask_to_sign_in(null, failed(error));
    return setTimeout(first, EVERY);
  }
}

first();
