// The pictures of docs/web.md, of apps that really run. PICTURES is where they go.

import { get } from "node:http";
import { join } from "node:path";
import { choose, open, ready, says, scenario, until } from "./page.mjs";

const port = Number(process.env.PORT);
const MINUTES = 4; // before the first picture, so that charts have something to show

/** Visitors who come in waves. */
function visit(running) {
  const one = () => new Promise((done) => get({ port, host: "127.0.0.1", path: Math.random() < 0.05 ? "/report" : "/orders" }, (answer) => answer.resume().on("end", done)).on("error", done));
  const loop = async (phase) => {
    while (running()) {
      await one();
      await new Promise((done) => setTimeout(done, 30 + 60 * (1 + Math.sin(Date.now() / 23_000 + phase))));
    }
  };
  for (let at = 0; at < 14; at += 1) loop(at / 10);
}

await scenario(async (browser) => {
  let runs = true;
  visit(() => runs);
  const page = await open(browser, { width: 1440, height: 900 });
  await ready(page);
  await choose(page, "api");
  await new Promise((done) => setTimeout(done, MINUTES * 60_000));
  const picture = async (page, name) => page.screenshot({ path: join(process.env.PICTURES, `web-${name}.png`) });
  await picture(page, "wide");
  await page.click("#tab-logs");
  await until("lines", async () => (await page.$$(".log li")).length > 60);
  await picture(page, "logs");
  await page.evaluate(() => { location.hash = "#/"; });
  await choose(page, "flaky");
  await page.click("#tab-history");
  await says(page, "#panel", "crashed");
  await picture(page, "history");
  await choose(page, "api");
  await page.click("#tab-charts");
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
  await page.click("[data-act=reload]");
  await page.keyboard.press("Enter");
  await until("a worker that drains", async () => page.$eval("#reloads", (node) => /1 of 4/.test(node.innerText)));
  await picture(page, "dark");
  await until("its end", async () => page.$eval("#reloads", (node) => node.innerText === ""));
  const narrow = await open(browser, { width: 360, height: 760, at: page.url() });
  await ready(narrow);
  await narrow.evaluate(() => { location.hash = "#/"; });
  await says(narrow, "#table", "api");
  await until("numbers", async () => narrow.$eval("#table", (table) => table.innerText.includes("MiB")));
  await picture(narrow, "narrow");
  runs = false;
  page.fine();
});
