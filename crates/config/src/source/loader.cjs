'use strict';
// Run by the user's node to evaluate a config: node -e <this> -- <module|expression> <file>.
// Descriptor 0 is a socket of Ostler's: an expression's text comes in on it, and one line of JSON goes out:
//   { value: [config, odd] } | { error: { name, message, stack, code } } | { exited: [code, line] }
//   | { needs: flag } | { unsupported: version }
// Nothing else is written there, so whatever the config prints cannot spoil the answer.
const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');
const [kind, file] = process.argv.slice(1);
process.argv = [process.execPath, file];
let answered = false;

function answer(message) {
  if (answered) return;
  answered = true;
  const bytes = Buffer.from(JSON.stringify(message) + '\n');
  for (let sent = 0; sent < bytes.length;) {
    try {
      sent += fs.writeSync(0, bytes, sent);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

// Plain data as JSON has it; what JSON has no form for is listed in `odd` by key path.
function plain(value, at, odd, above) {
  if (typeof value === 'function' || typeof value === 'symbol') {
    odd.push([at, typeof value]);
    return undefined;
  }
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    odd.push([at, String(value)]);
    return undefined;
  }
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof RegExp) return String(value);
  if (typeof value.toJSON === 'function') return value.toJSON();
  if (above.includes(value)) {
    odd.push([at, 'reference to itself']);
    return undefined;
  }
  const inside = above.concat([value]);
  if (Array.isArray(value)) {
    return value.map((item, index) => plain(item, `${at}[${index}]`, odd, inside));
  }
  const copy = {};
  for (const key of Object.keys(value)) {
    const item = plain(value[key], at ? `${at}.${key}` : key, odd, inside);
    if (item !== undefined) Object.defineProperty(copy, key, { value: item, enumerable: true });
  }
  return copy;
}

function unwrapped(exported) {
  const isNamespace = exported && (exported.__esModule || exported[Symbol.toStringTag] === 'Module');
  return isNamespace && exported.default !== undefined ? exported.default : exported;
}

const IS_ESM = ['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE', 'ERR_REQUIRE_CYCLE_MODULE'];

async function loaded() {
  if (kind === 'expression') {
    // PM2 evaluates the text as an expression; names of this file must not be visible to it.
    return new (require('vm').Script)(`(${text})`, { filename: file }).runInThisContext();
  }
  if (/\.[mc]?ts$|\.mjs$/.test(file)) return import(pathToFileURL(file).href);
  const load = require('module').createRequire(path.join(path.dirname(file), 'ostler.js'));
  try {
    return load(file);
  } catch (error) {
    if (!error || !IS_ESM.includes(error.code)) throw error;
    return import(pathToFileURL(file).href);
  }
}

// Whether this Node can read the file's types away, and whether it must be asked to.
function typescript() {
  if (!/\.[mc]?ts$/.test(file) || process.versions.bun) return true;
  if (process.features.typescript || process.execArgv.includes('--experimental-strip-types')) return true;
  const [major, minor] = process.versions.node.split('.').map(Number);
  const onDemand = major > 22 || (major === 22 && minor >= 6);
  answer(onDemand ? { needs: '--experimental-strip-types' } : { unsupported: process.version });
  return false;
}

function stackLine(stack) {
  const base = path.basename(file);
  return String(stack).split('\n').slice(0, 40).find((line) => line.includes(base) && /:\d+/.test(line)) || '';
}

function thrown(error) {
  const isError = error !== null && typeof error === 'object' && 'message' in error;
  const name = isError ? String(error.name || 'Error') : 'thrown value';
  const message = isError ? String(error.message) : String(error);
  const stack = isError ? stackLine(error.stack) : '';
  answer({ error: { name, message, stack, code: isError ? error.code : undefined } });
}

const text = kind === 'expression' ? fs.readFileSync(0, 'utf8') : '';
const leave = process.exit;
let exitAt = null;
process.exit = (code) => {
  exitAt = stackLine(new Error().stack);
  leave(code);
};
process.on('exit', (code) => answer({ exited: [exitAt === null ? null : code, exitAt] }));
process.on('uncaughtException', thrown);

(async () => {
  if (!typescript()) return;
  const exported = unwrapped(await unwrapped(await loaded()));
  if (typeof exported === 'function') {
    answer({ error: { name: 'function', message: '', stack: '' } });
    return;
  }
  const odd = [];
  const value = plain(exported, '', odd, []);
  answer({ value: [value === undefined ? null : value, odd] });
})()
  .catch(thrown)
  .finally(() => leave(0));
