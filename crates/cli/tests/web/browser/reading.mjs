// For reading only: all that shows, nothing that acts.

import assert from "node:assert/strict";
import { choose, open, ready, says, scenario } from "./page.mjs";

await scenario(async (browser) => {
  const page = await open(browser);
  await ready(page);
  await says(page, "#mode", "read only");
  await choose(page, "steady");
  await says(page, "#detail-title", "steady");
  assert.equal((await page.$$(".acts")).length, 0);
  assert.deepEqual(await page.$$eval("[role=tab]", (tabs) => tabs.map((tab) => tab.textContent)), ["Charts", "Logs", "History"]);
  await page.click("#tab-history");
  await says(page, "#panel", "started");
  const status = await page.evaluate(() => fetch("/v1/operations", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }).then((answer) => answer.status));
  assert.equal(status, 403);
  page.fine(["403"]);
});
