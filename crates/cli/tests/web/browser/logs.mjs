// Output, live: what it says is text, it can be searched and held.

import assert from "node:assert/strict";
import { choose, open, ready, says, scenario, text, until } from "./page.mjs";

const lines = (page) => page.$$eval(".log li", (nodes) => nodes.map((node) => node.innerText));

await scenario(async (browser) => {
  const page = await open(browser);
  await ready(page);
  await choose(page, "talker");
  await says(page, "#detail-title", "talker");
  await page.click("#tab-logs");
  await says(page, ".log", "line 5");
  await says(page, ".log", "<img src=x onerror=alert(1)>");
  assert.equal(await page.$$eval(".log img, .log script", (nodes) => nodes.length), 0, "what apps say is no markup");
  assert.ok((await lines(page)).some((line) => line.includes("coloured") && !line.includes("[31m")));
  assert.ok((await page.$$(".log .error")).length > 0, "standard error is marked");
  assert.equal(await text(page, "#detail .problem"), "", "and is not taken for a lost connection");

  await page.click(".logs button[aria-pressed]");
  const held = (await lines(page)).length;
  await says(page, ".logs .told", "new line");
  await until("lines that are held back", async () => /paused, ([2-9]|\d\d+) new/.test(await text(page, ".logs .told")));
  assert.equal((await lines(page)).length, held, "nothing moves while it is held");
  await page.click(".logs button[aria-pressed]");
  await until("the lines that were held back", async () => (await lines(page)).length > held);

  await page.type(".logs input", "LINE 3");
  await until("what is searched for", async () => {
    const found = await lines(page);
    return found.length > 0 && found.every((line) => line.includes("line 3"));
  });
  assert.ok((await page.$$(".log mark")).length > 0);
  assert.match(await text(page, ".logs .told"), /of \d+/);
  await page.$eval(".logs input", (input) => { input.value = ""; input.dispatchEvent(new Event("input")); });
  await until("all lines again", async () => (await lines(page)).length > held);

  // Who reads further up is left there.
  await until("enough lines to scroll", async () => page.$eval(".log", (list) => list.scrollHeight > list.clientHeight + 200));
  await page.$eval(".log", (list) => { list.scrollTop = 0; });
  const count = (await lines(page)).length;
  await until("more lines", async () => (await lines(page)).length > count + 2);
  assert.equal(await page.$eval(".log", (list) => list.scrollTop), 0);
  await page.click(".latest");
  await until("the end", async () => page.$eval(".log", (list) => list.scrollHeight - list.scrollTop - list.clientHeight < 40));
  page.fine();
});
