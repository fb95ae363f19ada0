// Output, live: searched, paused, followed. At most so many lines are in the document as the ring has.

import { attribute, button, element, text } from "./element.js";
import { clock, counted } from "./format.js";
import { MOST_LINES, empty, hits, matching, remark, take } from "./lines.js";
import { stream } from "./server.js";

const BEFORE = 200;

function marked(line, wanted) {
  const content = element("span.text");
  let from = 0;
  for (const [begin, end] of hits(line.text, wanted)) {
    content.append(line.text.slice(from, begin), element("mark", line.text.slice(begin, end)));
    from = end;
  }
  content.append(line.text.slice(from));
  return content;
}

function drawLine(line, several, wanted) {
  if (line.kind === "remark") return element("li.remark", line.text);
  const node = element("li", { class: line.kind });
  node.append(element("time", line.at === null ? "" : clock(line.at)));
  if (several) node.append(element("span.who", line.id));
  if (line.kind === "error") node.append(element("span.unseen", "standard error: "));
  node.append(marked(line, wanted));
  return node;
}

/** The panel. */
export function panel(subject, state) {
  let ring = empty();
  let [wanted, paused, drawnTo, waiting] = ["", false, 0, false];
  const list = element("ol.log", { tabindex: 0, "aria-label": `Output of ${subject.name}`, translate: "no" });
  const search = element("input", { type: "search", placeholder: "Search the lines", "aria-label": "Search the lines", autocomplete: "off", spellcheck: "false" });
  const pause = button("Pause", () => {
    paused = !paused;
    attribute(pause, "aria-pressed", String(paused));
    text(pause, paused ? "Go on" : "Pause");
    draw(!paused);
  }, { "aria-pressed": "false" });
  const latest = button("Latest lines", () => { follow(); list.focus(); }, { class: "latest", hidden: true });
  const told = element("span.told");
  const node = element("div.logs", {}, element("div.tools", {}, element("label.search", {}, search), told, pause),
    element("div.log-box", {}, list, latest));
  const atEnd = () => list.scrollHeight - list.scrollTop - list.clientHeight < 30;
  const follow = () => { list.scrollTop = list.scrollHeight; };

  const say = () => {
    const found = matching(ring.lines, wanted).length;
    if (paused) return text(told, `paused, ${counted(ring.next - drawnTo, "new line")}`);
    text(told, wanted === "" ? "" : `${counted(found, "line")} of ${ring.lines.length}`);
  };
  const draw = (anew) => {
    waiting = false;
    if (paused && !anew) return say();
    const stays = atEnd();
    if (anew) {
      list.replaceChildren();
      drawnTo = ring.lines[0]?.number ?? ring.next;
    }
    const fresh = ring.lines.filter((line) => line.number >= drawnTo);
    const several = subject.several();
    list.append(...matching(fresh, wanted).map((line) => drawLine(line, several, wanted)));
    drawnTo = ring.next;
    while (list.children.length > MOST_LINES) list.firstElementChild.remove();
    if (stays || anew) follow();
    latest.hidden = atEnd();
    say();
  };
  // However much is written, it is drawn once a picture.
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => draw(false));
  };

  let began = false;
  const hear = (name, data) => {
    if (!subject.ids().includes(data.id)) return;
    if (name === "lagged") remark(ring, `${counted(data.bytes, "byte")} left out: they came faster than this page took them`);
    else if (name === "out" || name === "error") take(ring, name, data);
    soon();
  };
  const open = () => stream(`/v1/logs?selector=${encodeURIComponent(subject.word())}&tail=${BEFORE}`, ["out", "error", "lagged"], hear, (there) => {
    // Whoever comes back is told the last lines again.
    if (there && began && !paused) {
      ring = remark(empty(), "The connection was lost, and is back. These are the last lines.");
      draw(true);
    }
    began ||= there;
    state(there);
  });
  const source = open();
  search.addEventListener("input", () => { wanted = search.value; draw(true); });
  list.addEventListener("scroll", () => { latest.hidden = atEnd(); });
  return {
    node, begin: () => source.open(), update: () => {}, end: () => source.close(),
    awake: () => source.open(),
    asleep: () => source.close(),
  };
}
