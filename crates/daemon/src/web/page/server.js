// Calls and streams. What fails is an error with what to do; who is not signed in any more is told by `onSignedOut`.

export class Refused extends Error {
  constructor(status, { message, hint }) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

const listeners = { signedOut: () => {} };
export const onSignedOut = (listener) => (listeners.signedOut = listener);

const PATIENCE = 10_000;

/** Asks, and gives the answer. `patience` is how long it is waited for, ms; null for as long as it takes. */
export async function ask(method, path, body, patience = PATIENCE) {
  const signal = patience === null ? undefined : AbortSignal.timeout(patience);
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, cache: "no-store", body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new Refused(0, {
      message: late ? `Ostler gave no answer within ${patience / 1000} s` : "Ostler cannot be reached",
      hint: "Your apps run on without it. This page tries again by itself.",
    });
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  if (response.status === 401 && path !== "/session") listeners.signedOut();
  throw new Refused(response.status, answer ?? { message: `Ostler answered ${response.status}` });
}

export const look = (path) => ask("GET", path);

/** 128 random bits. `crypto.randomUUID` is for encrypted pages only. */
export const identity = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Has something done. It takes as long as apps take to start and stop. Asked again by the same name if Ostler is replaced meanwhile. */
export async function operate(verb, action) {
  const operation = { id: identity(), verb, action };
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask("POST", "/v1/operations", operation, null);
    } catch (error) {
      if (error.status !== 0 || attempt === 20) throw error;
      await new Promise((done) => setTimeout(done, 500));
    }
  }
}

/**
 * A stream of events while it is wanted: `open` and `close` as often as one likes. `names` are told to `take`, and `state` whether it is
 * there. A browser tries again by itself, but gives up at any answer that is none of a stream: then it is tried anew.
 */
export function stream(path, names, take, state) {
  let [source, wanted] = [null, false];
  const drop = () => {
    source?.close();
    source = null;
  };
  const open = () => {
    wanted = true;
    if (source) return;
    source = new EventSource(path);
    source.onopen = () => state(true);
    source.onerror = async (event) => {
      // Standard error comes as an event of the same name.
      if (event.data !== undefined) return;
      const gaveUp = source?.readyState === EventSource.CLOSED;
      state(false);
      if (!gaveUp) return;
      drop();
      // The stream does not say why. If nobody is signed in, this does, and nothing is tried again.
      const refused = await look("/v1/ping").then(() => null, (error) => error);
      if (refused?.status !== 401) setTimeout(() => wanted && open(), 2000);
    };
    for (const name of names) {
      source.addEventListener(name, (event) => event.data !== undefined && take(name, JSON.parse(event.data)));
    }
  };
  return { open, close: () => {
    wanted = false;
    drop();
  } };
}
