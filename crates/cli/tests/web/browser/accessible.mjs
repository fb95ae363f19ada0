// Everything that is shown, by the rules of axe-core (WCAG 2.2 A and AA, and best practice), on wide and narrow screens, light and dark.

import { accessible, choose, clickText, link, open, origin, ready, says, scenario, until } from "./page.mjs";


await scenario(async (browser) => {
  for (const [where, look] of [["wide", { width: 1440, height: 900 }], ["wide and dark", { width: 1440, height: 900, dark: true }], ["middle", { width: 900, height: 800 }],
    ["narrow", { width: 320, height: 640 }], ["narrow and dark", { width: 320, height: 640, dark: true }]]) {
    const context = await browser.createBrowserContext();
    const page = await open(browser, { ...look, at: `${origin}/`, context });
    await says(page, "#sign-in", "Sign in");
    await accessible(page, `${where}: signing in`);
    await page.goto(`${origin}/?`);
    await page.goto(link);
    await ready(page);
    await says(page, "#table", "steady");
    await accessible(page, `${where}: the list`);
    for (const [name, tab] of [["steady", "charts"], ["talker", "logs"], ["broken", "history"]]) {
      await page.evaluate(() => { location.hash = "#/"; });
      await until("the list", async () => page.$eval("#detail", (node) => node.hidden));
      await choose(page, name);
      await says(page, "#detail-title", name);
      await page.click(`#tab-${tab}`);
      await until(`the ${tab}`, async () => page.$eval("#panel", (panel) => panel.textContent.length > 40));
      await accessible(page, `${where}: ${tab}`);
    }
    await clickText(page, ".acts button", "Delete");
    await says(page, "#dialog", "Delete broken?");
    await accessible(page, `${where}: a question`);
    await page.keyboard.press("Escape");
    page.fine();
    await context.close();
  }
});
