// Acts by keys alone, each after a yes.

import assert from "node:assert/strict";
import { list, open, pid, ready, says, scenario, text, until } from "./page.mjs";

const press = async (page, ...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};
const focused = (page) => page.evaluate(() => document.activeElement?.textContent ?? "");
const tabTo = async (page, words, most = 60) => {
  for (let at = 0; at < most; at += 1) {
    if ((await focused(page)).trim() === words) {
      // What has the focus can be seen to have it.
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.equal(outline, "solid", words);
      return;
    }
    await page.keyboard.press("Tab");
  }
  assert.fail(`${words} cannot be reached by Tab`);
};

await scenario(async (browser) => {
  const page = await open(browser);
  await ready(page);
  await says(page, "#table", "steady");
  await tabTo(page, "steady");
  await press(page, "Enter");
  await says(page, "#detail-title", "steady");
  const before = await pid("steady");
  await tabTo(page, "Restart");
  await press(page, "Enter");
  await says(page, "#dialog", "Restart steady?");
  await press(page, "Escape");
  await until("the question to be gone", async () => (await page.$eval("#dialog", (dialog) => !dialog.open)));
  assert.equal(await focused(page), "Restart", "the focus is where it was");
  assert.equal(await pid("steady"), before, "nothing is done without a yes");
  await press(page, "Enter");
  await says(page, "#dialog", "Restart steady?");
  await press(page, "Enter");
  await says(page, "#messages", "is up");
  assert.notEqual(await pid("steady"), before);
  await tabTo(page, "Stop");
  await press(page, "Enter", "Enter");
  await says(page, "#messages", "is stopped");
  await until("the buttons of what is stopped", async () => /Start\n/.test(`${await text(page, ".acts")}\n`) && !(await text(page, ".acts")).includes("Restart"));
  await page.click("[data-act=start]");
  await says(page, "#dialog", "Start steady?");
  await press(page, "Enter");
  await until("it to be up", async () => (await pid("steady")) > 0);
  // The number of workers.
  await page.click("[data-act=scale]");
  await page.$eval("[name=instances]", (input) => { input.value = ""; });
  await page.type("[name=instances]", "3");
  await press(page, "Enter");
  await until("three workers", async () => (await list()).filter((row) => row.name === "steady").length === 3);
  await until("three rows", async () => (await page.$$("#table .worker")).length === 3);
  // Tabs by arrows.
  await page.focus("#tab-charts");
  await press(page, "ArrowRight");
  assert.equal(await focused(page), "Logs");
  await press(page, "End");
  assert.equal(await focused(page), "History");
  await says(page, "#panel", "restart by token, here, from 127.0.0.1");
  // What fails says why, and stays.
  await page.click("[data-act=delete]");
  await says(page, "#dialog", "Delete steady?");
  assert.equal(await focused(page), "Cancel", "what cannot be taken back is not one key away");
  await page.click("#dialog .danger");
  await until("it to be gone", async () => (await list()).length === 0);
  await says(page, "#nothing", "Nothing runs yet");
  page.fine();
});
