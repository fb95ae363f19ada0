// Charts of an app or a worker: drawn to the width that they have, and said in words for who does not see them.

import { attribute, button, drawn, element, text } from "./element.js";
import * as format from "./format.js";
import { MEASURES, area, axis, line, path, runs, summary } from "./series.js";
import { look } from "./server.js";

const WINDOWS = {
  short: { title: "10 min", window: 600_000, step: 10_000, ticks: [[600_000, "10 min ago"], [300_000, "5 min"], [0, "now"]] },
  long: { title: "1 h", window: 3_600_000, step: 60_000, ticks: [[3_600_000, "1 h ago"], [1_800_000, "30 min"], [0, "now"]] },
};
const EVERY = 5000;
const HEIGHT = 116, LEFT = 58, BOTTOM = 20, TOP = 8;
const write = (measure, value) => format[measure.unit](value);

let chosen = "short";

/** One chart. */
function figure(measure) {
  const value = element("strong.value");
  const told = element("span.told");
  const picture = drawn("svg", { role: "img", height: HEIGHT + BOTTOM + TOP });
  const node = element("figure.chart", { data: { measure: measure.key } }, element("figcaption", {},
    element("span.title", measure.title), element("span.about", measure.about), value), picture, told);
  const made = { measure, node, value, told, picture, buckets: [] };
  picture.addEventListener("pointermove", (event) => point(made, event.clientX));
  picture.addEventListener("pointerleave", () => point(made, null));
  return made;
}

/** Says what is under the pointer. */
function point(made, x) {
  const mark = made.picture.querySelector(".mark-line");
  if (!mark || made.buckets.length === 0) return;
  const box = made.picture.getBoundingClientRect();
  const across = (box.width - LEFT) / made.buckets.length;
  const at = x === null ? -1 : Math.floor((x - box.left - LEFT) / across);
  const bucket = made.buckets[at];
  mark.setAttribute("visibility", bucket ? "visible" : "hidden");
  if (!bucket) return text(made.told, made.summary);
  const place = LEFT + (at + 0.5) * across;
  mark.setAttribute("x1", place);
  mark.setAttribute("x2", place);
  const when = format.clock(Date.now() - bucket.ago);
  text(made.told, `${when}: ${bucket.mean === null ? "not measured" : write(made.measure, bucket.mean)}`);
}

function draw(made, name, alone) {
  const { measure, buckets, picture } = made;
  const width = Math.max(240, Math.floor(made.node.clientWidth) - 24);
  const { title, ticks, window } = WINDOWS[chosen];
  const inner = width - LEFT;
  picture.setAttribute("width", width);
  picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT + BOTTOM + TOP}`);
  const facts = summary(buckets);
  // What the largest of several workers come to together has happened to none of them.
  const withLargest = alone || measure.together === "largest";
  const highest = facts ? Math.max(facts.highest, ...buckets.map((bucket) => (withLargest ? (bucket.largest ?? 0) : 0))) : 0;
  const scale = axis(highest, measure.unit);
  const plot = drawn("g", { transform: `translate(${LEFT} ${TOP})` });
  for (const tick of scale.ticks) {
    const y = HEIGHT - (tick / scale.top) * HEIGHT;
    plot.append(drawn("line.grid", { x1: 0, x2: inner, y1: y, y2: y }),
      drawn("text.scale", { x: -8, y: y + 4, "text-anchor": "end", text: facts || tick === 0 ? write(measure, tick) : "" }));
  }
  for (const [ago, words] of ticks) {
    const anchor = ago === 0 ? "end" : ago === window ? "start" : "middle";
    plot.append(drawn("text.scale", { x: inner - (ago / window) * inner, y: HEIGHT + 15, "text-anchor": anchor, text: words }));
  }
  for (const run of runs(buckets, scale.top, inner, HEIGHT)) {
    plot.append(drawn("path.area", { d: area(run, HEIGHT) }), drawn("path.mean", { d: path(run) }));
  }
  if (withLargest) for (const run of runs(buckets, scale.top, inner, HEIGHT, "largest")) plot.append(drawn("path.largest", { d: path(run) }));
  if (!facts) plot.append(drawn("text.none", { x: inner / 2, y: HEIGHT / 2, "text-anchor": "middle", text: "not measured in this time" }));
  const mark = drawn("line.mark-line", { y1: TOP, y2: TOP + HEIGHT, visibility: "hidden" });
  picture.replaceChildren(plot, mark);
  made.summary = facts ? `${write(measure, facts.lowest)} to ${write(measure, facts.highest)}` : "";
  text(made.told, made.summary);
  const latest = facts ? `now ${write(measure, facts.latest)}, ${made.summary.replace(" to ", " at the lowest, ")} at the highest` : "not measured";
  picture.setAttribute("aria-label", `${measure.title} of ${name} in the last ${title.replace("min", "minutes").replace("1 h", "hour")}: ${latest}`);
}

/** The panel. `current` gives what is measured now, by the keys of rows. */
export function panel(subject, current, problem) {
  const figures = MEASURES.map(figure);
  const grid = element("div.charts", {}, ...figures.map((made) => made.node));
  const switches = Object.entries(WINDOWS).map(([key, { title }]) => button(title, () => {
    chosen = key;
    for (const other of switches) attribute(other, "aria-pressed", String(other.dataset.window === key));
    show();
  }, { "aria-pressed": String(key === chosen), data: { window: key } }));
  const legend = element("p.about", "Means; dotted, the largest");
  const node = element("div", {}, element("div.tools", {}, legend, element("div.switch", { role: "group", "aria-label": "Time shown" }, ...switches)), grid);
  let charts = [];
  const show = () => {
    for (const made of figures) {
      const lines = charts.filter((chart) => chart.measure === made.measure.key && subject.ids().includes(chart.id)).map((chart) => chart.points);
      made.buckets = line(lines, { ...WINDOWS[chosen], together: made.measure.together });
      draw(made, subject.name, lines.length < 2);
    }
  };
  const update = () => {
    const facts = current();
    for (const made of figures) text(made.value, write(made.measure, facts?.[{ loop_delay: "loop" }[made.measure.key] ?? made.measure.key] ?? null));
  };
  const fetchAgain = async () => {
    if (document.hidden) return;
    try {
      ({ charts } = await look(`/v1/charts?selector=${encodeURIComponent(subject.name)}`));
      problem(null);
      show();
    } catch (error) {
      problem(error);
    }
  };
  const resized = new ResizeObserver(show);
  resized.observe(grid);
  const timer = setInterval(fetchAgain, EVERY);
  const begin = () => { update(); fetchAgain(); };
  return { node, begin, update, awake: fetchAgain, end: () => { clearInterval(timer); resized.disconnect(); } };
}
