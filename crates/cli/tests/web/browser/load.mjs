// The page loads, is signed in by its link, shows what there is, and follows what happens.

import assert from "node:assert/strict";
import { choose, list, open, origin, ostler, pid, ready, says, scenario, text, token, until } from "./page.mjs";

await scenario(async (browser) => {
  const page = await open(browser);
  await ready(page);
  await says(page, "#table", "steady");
  assert.equal(await page.evaluate(() => location.href), `${origin}/`, "the token is gone from the address");
  assert.equal(await page.evaluate(() => document.cookie), "", "scripts see no cookie");
  const [cookie] = await browser.cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
  assert.ok(!cookie.value.includes(token));
  assert.equal(await page.evaluate(() => navigation.entries().filter((entry) => entry.url.includes("token")).length), 0, "and from the history");
  await page.goto(`${origin}/`);
  await ready(page);

  // Numbers come by themselves.
  await until("numbers", async () => /\d %/.test(await text(page, "#total-CPU")) && /iB/.test(await text(page, "#total-Memory")));
  // What is started elsewhere appears, and what ends, too.
  await ostler("start", "/bin/sleep", "--name", "newcomer", "--interpreter", "none", "--", "100000");
  await says(page, "#table", "newcomer");
  await ostler("stop", "newcomer");
  await until("newcomer to be stopped", async () => /newcomer\s+stopped/.test(await text(page, "#table")));
  // A crash shows with its cause.
  await page.goto(`${origin}/#/apps/${(await list()).find((row) => row.name === "steady").pm_id}`);
  await choose(page, "steady");
  await says(page, "#detail-title", "steady");
  await page.click("#tab-history");
  const before = await pid("steady");
  process.kill(before, "SIGKILL");
  await says(page, "#panel", "SIGKILL");
  await says(page, "#panel", "restarted at once");
  await until("one restart", async () => /1 restart\b/.test(await text(page, ".facts")));
  // Another daemon takes over: the page goes on by itself.
  const daemon = /daemon\s+pid (\d+)/.exec(await ostler("daemon", "status"))[1];
  process.kill(Number(daemon), "SIGKILL");
  await ostler("start", "/bin/sleep", "--name", "afterwards", "--interpreter", "none", "--", "100000");
  await says(page, "#table", "afterwards");
  await ready(page);
  // Somebody who looks elsewhere costs nothing.
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  let asked = 0;
  page.on("request", () => { asked += 1; });
  await ostler("delete", "afterwards");
  await new Promise((done) => setTimeout(done, 2500));
  assert.equal(asked, 0);
  assert.ok((await text(page, "#table")).includes("afterwards"));
  await page.evaluate(() => {
    delete document.hidden;
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await until("what has happened meanwhile", async () => !(await text(page, "#table")).includes("afterwards"));
  page.fine(["ERR_", "Failed to load resource"]);
});
