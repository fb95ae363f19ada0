// A browser with the dashboard in it, and what the scenarios share. Run by `crates/cli/tests/web/browser.rs`, in the environment of a home:
// OSTLER is the program, LINK what `ostler web` printed.

import puppeteer from "puppeteer-core";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import { executable, switches } from "./chromium.mjs";

export const link = process.env.LINK;
export const origin = new URL(link).origin;
export const token = new URL(link).hash.replace("#token=", "");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const run = promisify(execFile);

/** A command of the program; what it printed. */
export const ostler = async (...words) => (await run(process.env.OSTLER, words)).stdout;
export const list = async () => JSON.parse(await ostler("jlist"));
export const pid = async (name) => (await list()).find((row) => row.name === name)?.pid;

/** Waits for what is true, and gives it. */
export async function until(what, probe, limit = 20_000) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert.ok(Date.now() < end, `waited in vain for ${typeof what === "function" ? what() : what}`);
    await new Promise((done) => setTimeout(done, 30));
  }
}

export const text = (page, selector) => page.$eval(selector, (node) => node.innerText).catch(() => "");
export async function says(page, selector, words, limit) {
  let said = "";
  await until(() => `${selector} to say “${words}”; it says “${said}”`, async () => (said = await text(page, selector)).includes(words), limit);
}
export const clickText = async (page, selector, words) => {
  const nodes = await until(`${selector} “${words}”`, async () => {
    const found = await page.$$(selector);
    for (const node of found) if ((await node.evaluate((node) => (node.offsetParent === null ? "" : node.textContent))).trim() === words) return [node];
    return null;
  });
  await nodes[0].click();
};

/** Chooses an app in the table, as soon as it is there. */
export const choose = (page, name) => until(`${name} in the table`, () => page.evaluate((name) => {
  const link = [...document.querySelectorAll("#table a")].find((link) => link.textContent === name);
  link?.click();
  return link !== undefined;
}, name));

/** A page of the browser. What goes wrong in it is collected; `expected` are failures that a scenario means. */
export async function open(browser, { width = 1280, height = 820, dark = false, at = link, context = browser } = {}) {
  const page = await context.newPage();
  const wrong = [];
  const foreign = [];
  page.on("pageerror", (error) => wrong.push(`error: ${error}`));
  page.on("console", (message) => message.type() === "error" && wrong.push(`console: ${message.text()}`));
  page.on("request", (request) => !/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== origin && foreign.push(request.url()));
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }, { name: "prefers-reduced-motion", value: "reduce" }]);
  if (at) await page.goto(at);
  return Object.assign(page, {
    fine: (expected = []) => {
      assert.deepEqual(wrong.filter((text) => !expected.some((part) => text.includes(part))), []);
      assert.deepEqual(foreign, [], "nothing is loaded from elsewhere");
    },
  });
}

export const ready = (page) => says(page, "#link", "live");

/** What axe-core finds wrong, as it is. The page's own policy keeps others' scripts out, so it comes through the debugger. */
export async function accessible(page, where) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const told = found.violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.slice(0, 4).map((node) => `${node.target} ${node.failureSummary}`).join("\n  ")}`);
  assert.deepEqual(told, [], where);
  assert.ok(found.passes.length > 10, `${where}: ${found.passes.length} rules were looked at`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${where}: ${wide} pixels stand out at the right`);
}

/** The browser is not what is looked at: this one ends by a signal in one of some forty beginnings, without a word. */
async function launched(times = 3) {
  try {
    return await puppeteer.launch({ args: switches, executablePath: executable, headless: "shell" });
  } catch (error) {
    if (times === 1) throw error;
    console.error(`again, since the browser did not begin: ${error.message}`);
    return launched(times - 1);
  }
}

/** Runs a scenario in a browser of its own. */
export async function scenario(play) {
  const browser = await launched();
  try {
    await play(browser);
  } finally {
    await browser.close();
  }
}
