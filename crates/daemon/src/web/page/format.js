// Quantities as people read them. Pure. What is not known is `—`, never 0.

export const UNKNOWN = "—";

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** Two or three digits that matter. */
function digits(value) {
  if (value === 0) return "0";
  if (Math.abs(value) < 1) return value.toFixed(2);
  return Math.abs(value) < 10 ? value.toFixed(1) : Math.round(value).toString();
}

export const percent = (value) => (known(value) ? `${value < 10 && value >= 0.05 ? value.toFixed(1) : Math.round(value)} %` : UNKNOWN);

export function bytes(value) {
  if (!known(value)) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [rest, unit] = [value, 0];
  while (rest >= 1024 && unit + 1 < units.length) [rest, unit] = [rest / 1024, unit + 1];
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`;
}

export function milliseconds(value) {
  if (!known(value)) return UNKNOWN;
  return value >= 1000 ? `${digits(value / 1000)} s` : `${digits(value)} ms`;
}

export const rate = (value) => (known(value) ? `${digits(value)}/s` : UNKNOWN);

export const count = (value) => (known(value) ? Math.round(value).toString() : UNKNOWN);

/** Two units at most: `35 ms`, `1.2 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`. */
export function span(ms) {
  if (!known(ms)) return UNKNOWN;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return `${Math.round(ms)} ms`;
  if (seconds < 60) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** One unit, for columns. */
export function uptime(ms) {
  if (!known(ms) || ms < 0) return UNKNOWN;
  const steps = [[86400, "d"], [3600, "h"], [60, "min"]];
  const seconds = Math.floor(ms / 1000);
  const [size, unit] = steps.find(([size]) => seconds >= 2 * size) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

const two = (number) => String(number).padStart(2, "0");

/** The time of a day, to the second. */
export const clock = (at) => {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
};

/** The day too, unless it is today. */
export function moment(at, now = Date.now()) {
  const [date, today] = [new Date(at), new Date(now)];
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return date.toDateString() === today.toDateString() ? clock(at) : `${day} ${clock(at)}`;
}

export const counted = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
