// Starts and stops with their causes, the latest first.

import { element } from "./element.js";
import { moment } from "./format.js";
import { look } from "./server.js";
import { entry } from "./words.js";

const MOST = 200;

/** The panel. `live` are entries that were told since the page was opened. */
export function panel(subject, live, problem) {
  let before = [];
  const list = element("ol.history");
  const none = element("p.nothing", { hidden: true, text: "Nothing has happened yet." });
  const node = element("div.scroll", {}, list, none);
  let shown = "";
  const show = () => {
    const since = before.at(-1)?.at ?? 0;
    const all = [...before, ...live().filter((entry) => entry.at > since)];
    const entries = all.filter((entry) => entry.app === subject.name && (subject.worker === null || entry.slot === subject.worker));
    const latest = entries.slice(-MOST).reverse();
    const key = `${latest.length} ${latest[0]?.at} ${latest[0]?.generation}`;
    none.hidden = latest.length > 0;
    if (key === shown) return;
    shown = key;
    list.replaceChildren(...latest.map((told) => {
      const { at, who, what, why, tone, after } = entry(told);
      return element("li", { data: { tone } }, element("time", { datetime: new Date(at).toISOString(), text: moment(at) }),
        element("span.what", {}, element("strong", what), why ? element("span", why) : null),
        element("span.who", { text: [who, after].filter(Boolean).join(" · ") }));
    }));
  };
  const begin = async () => {
    try {
      before = (await look(`/v1/history?selector=${encodeURIComponent(subject.name)}`)).entries;
      problem(null);
    } catch (error) {
      problem(error);
    }
    show();
  };
  return { node, begin, update: show, awake: begin, end: () => {} };
}
