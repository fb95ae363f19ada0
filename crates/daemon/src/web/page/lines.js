// Output of apps as lines: a bounded ring, without what moves a terminal's cursor, searchable. Pure.

export const MOST_LINES = 2000;
const LONGEST = 4000;

// Control sequences (ECMA-48) and operating system commands, then other controls but tabs, and what turns the order of text around.
const SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[PX^_][^\u001b]*(?:\u001b\\)?|[ -/]*[0-~])/g;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text as it is shown: of a line that was written over, what stands there in the end. */
export function plain(text) {
  const rest = text.replace(/\r+$/, "").replace(SEQUENCES, "");
  const shown = rest.slice(rest.lastIndexOf("\r") + 1).replace(CONTROLS, "");
  return shown.length > LONGEST ? `${shown.slice(0, LONGEST)} … (${shown.length - LONGEST} more characters)` : shown;
}

export const empty = () => ({ lines: [], next: 0, open: new Map(), dropped: 0 });

function push(ring, line) {
  ring.lines.push({ number: ring.next, ...line });
  ring.next += 1;
  if (ring.lines.length > MOST_LINES) ring.lines.splice(0, ring.lines.length - MOST_LINES);
}

/** Takes output. What does not end with a line break is waited for, up to the longest line. */
export function take(ring, kind, { id, name, at, text }) {
  const key = `${id}/${kind}`;
  const pieces = ((ring.open.get(key) ?? "") + text).split("\n");
  let rest = pieces.pop();
  if (rest.length > 2 * LONGEST) {
    pieces.push(rest);
    rest = "";
  }
  if (rest === "") ring.open.delete(key);
  else ring.open.set(key, rest);
  for (const piece of pieces) push(ring, { id, name, kind, at, text: plain(piece) });
  return ring;
}

/** Says something between the lines. */
export function remark(ring, text) {
  push(ring, { id: null, name: "", kind: "remark", at: null, text });
  return ring;
}

/** Where a text is in a line, in any case: `[from, to]` pairs. */
export function hits(line, wanted) {
  if (wanted === "") return [];
  const [text, small] = [line.toLowerCase(), wanted.toLowerCase()];
  // Some letters change their length with their case: what is found would not be where it is shown.
  if (text.length !== line.length) return text.includes(small) ? [[0, line.length]] : [];
  const found = [];
  for (let at = text.indexOf(small); at !== -1 && found.length < 100; at = text.indexOf(small, at + small.length)) {
    found.push([at, at + small.length]);
  }
  return found;
}

/** The lines that have it; all when nothing is wanted. */
export const matching = (lines, wanted) => (wanted === "" ? lines : lines.filter((line) => hits(line.text, wanted).length > 0));
