// A reload that is under way, step by step: asked for here, or anywhere.

import assert from "node:assert/strict";
import { get } from "node:http";
import { choose, list, open, ostler, ready, says, scenario, text, until } from "./page.mjs";

const port = Number(process.env.PORT);
const pids = async () => (await list()).filter((row) => row.name === "web").map((row) => row.pid);

await scenario(async (browser) => {
  const page = await open(browser);
  await ready(page);
  await choose(page, "web");
  const before = await pids();
  // Requests that last hold the old workers up.
  const slow = [0, 1].map(() => new Promise((done, failed) => get({ port, path: "/slow", host: "127.0.0.1" }, (answer) => {
    let body = "";
    answer.on("data", (more) => { body += more; }).on("end", () => done(body));
  }).on("error", failed)));
  await page.click("[data-act=reload]");
  await says(page, "#dialog", "replaced one by one");
  await page.keyboard.press("Enter");
  await says(page, "#reloads", "Reloading web: 0 of 2 done");
  await until("a worker that finishes its connections", async () => /serves, pid \d+ finishes 1 connection/.test(await text(page, "#reloads")));
  await says(page, "#reloads", "waits for its turn");
  await says(page, "#reloads", "left");
  const bar = await page.$eval("#reloads progress", (bar) => [bar.value, bar.max, bar.getAttribute("aria-label")]);
  assert.ok(bar[0] > 0 && bar[0] < bar[1] && bar[2].includes("Reloading web"), `${bar}`);
  await says(page, "#table", "reloading 0/2");
  await says(page, "#reloads", "1 of 2 done");
  await until("its end", async () => (await text(page, "#reloads")) === "");
  await says(page, "#messages", "was reloaded");
  assert.deepEqual(await Promise.all(slow), ["slow", "slow"], "nothing was lost");
  const after = await pids();
  assert.ok(after.every((pid) => !before.includes(pid)));
  // One that fails is put back, and says so.
  await ostler("reload", process.env.BROKEN).catch(() => {});
  await says(page, "#messages", "failed, and what ran before was put back");
  page.fine();
});
