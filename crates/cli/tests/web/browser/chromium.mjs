// Where Chromium is: unpacked beside this file, once, when the packages are installed (`npm run build`), not by each test at the same time.

import chromium from "@sparticuz/chromium";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const before = process.env.TMPDIR;
process.env.TMPDIR = dirname(fileURLToPath(import.meta.url));
export const executable = await chromium.executablePath();
if (before === undefined) delete process.env.TMPDIR;
else process.env.TMPDIR = before;

// It is made for functions in a cloud: the protection that is to be tested is switched off, and all of it is one process.
const OFF = ["--disable-web-security", "--disable-site-isolation-trials", "--allow-running-insecure-content", "--single-process"];
export const switches = chromium.args.filter((name) => !OFF.includes(name) && !name.startsWith("--headless")).map((name) =>
  name.startsWith("--disable-features=") ? name.replace(/,?IsolateOrigins|,?site-per-process/g, "") : name);

console.error(`${executable}, profiles in ${tmpdir()}`);
