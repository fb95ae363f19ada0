// Who has the wrong token, who has none any more, and a page elsewhere.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { open, origin, pid, ready, says, scenario, token, until } from "./page.mjs";

/** A page of another origin that tries what it can. */
async function elsewhere(body) {
  const server = createServer((_, response) => response.setHeader("content-type", "text/html").end(body));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

await scenario(async (browser) => {
  const page = await open(browser, { at: `${origin}/#token=${"0".repeat(64)}` });
  await says(page, "#sign-in-problem", "that is not the token");
  assert.equal(await page.$eval("#work", (node) => node.hidden), true, "nothing is shown");
  assert.equal(await page.evaluate(() => document.activeElement.id), "token");
  await page.type("#token", "guess");
  await page.keyboard.press("Enter");
  await says(page, "#sign-in-problem", "that is not the token");

  // The last attempt counts, also when a wrong one before it is answered after it.
  await page.evaluate(() => {
    const real = globalThis.fetch;
    globalThis.fetch = async (...words) => {
      globalThis.fetch = real;
      const answer = await real(...words);
      await new Promise((done) => { globalThis.letGo = done; });
      return answer;
    };
  });
  await page.keyboard.press("Enter");
  await until("a late answer", () => page.evaluate(() => globalThis.letGo !== undefined));
  await page.$eval("#token", (input) => { input.value = ""; });
  await page.type("#token", token);
  await page.keyboard.press("Enter");
  await ready(page);
  await says(page, "#table", "steady");
  assert.equal(await page.$eval("#token", (input) => input.value), "", "the token is not kept in the page");
  await page.evaluate(async () => {
    const asked = () => performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("/session")).length;
    const before = asked();
    globalThis.letGo();
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    while (asked() === before) await frame();
    await frame();
    await frame();
  });
  assert.equal(await page.$eval("#work", (node) => node.hidden), false, "it stays signed in");

  const before = await pid("steady");
  const operation = JSON.stringify({ id: "elsewhere", verb: "stop", action: { stop: { selector: { words: ["all"], cwd: "/" } } } });
  const evil = await elsewhere(`<title>elsewhere</title>
    <iframe src="${origin}/"></iframe><img src="${origin}/pm2.json"><script src="${origin}/pm2.json"></script>
    <form id="form" method="post" enctype="text/plain" action="${origin}/v1/operations" target="frame"><input name='${operation.slice(0, -1)},"x":"' value='"}'></form>
    <iframe name="frame"></iframe>
    <script>
      const tell = (name, promise) => promise.then(async (answer) => ({ name, type: answer.type, body: await answer.text() }), (error) => ({ name, failed: String(error) }));
      const body = ${JSON.stringify(operation)};
      form.submit();
      globalThis.told = Promise.all([
        tell("read", fetch("${origin}/v1/processes", { credentials: "include" })),
        tell("read blindly", fetch("${origin}/v1/processes", { credentials: "include", mode: "no-cors" })),
        tell("change", fetch("${origin}/v1/operations", { method: "POST", credentials: "include", headers: { "content-type": "application/json" }, body })),
        tell("change blindly", fetch("${origin}/v1/operations", { method: "POST", credentials: "include", mode: "no-cors", body })),
      ]);
    </script>`);
  const other = await open(browser, { at: null });
  await other.goto(evil.url);
  const told = await other.evaluate(() => globalThis.told);
  for (const { name, failed, type, body } of told) assert.ok(failed || (type === "opaque" && body === ""), `${name}: ${type} ${body}`);
  const frames = await Promise.all(other.frames().slice(1).map((frame) => frame.content().catch(() => "")));
  for (const content of frames) assert.ok(!content.includes("Sign in") && !content.includes("steady"), `shown within another page: ${content}`);
  assert.equal(await pid("steady"), before, "nothing was done");
  evil.close();
  await other.close();

  // Of the page's own doing, the same is done.
  await page.click("#sign-out");
  await says(page, "#link", "signed out");
  assert.ok(!(await page.$eval("body", (body) => body.textContent)).includes("steady"), "nothing is left in the document");
  const answer = await page.evaluate(() => fetch("/v1/processes").then((answer) => answer.status));
  assert.equal(answer, 401);
  await page.type("#token", token);
  await page.keyboard.press("Enter");
  await ready(page);
  // A session that ends while it is looked at leads back to the door.
  await browser.deleteCookie(...(await browser.cookies()));
  await until("the door", async () => !(await page.$eval("#sign-in", (node) => node.hidden)));
  await says(page, "#sign-in-problem", "Your session is over");
  page.fine(["401", "ERR_INCOMPLETE_CHUNKED_ENCODING"]);
});
