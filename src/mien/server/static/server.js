// Talking to the server: its key, whether it is there, and calls that wait for it instead of failing.

import { $, pause } from "./dom.js";

/** The server answered and said no. `problem` is its RFC 9457 document. */
export class Refused extends Error {
  constructor(status, problem, retryAfter = null) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

/** The server did not answer. */
export class Gone extends Error {
  constructor() {
    super("The server does not answer.");
  }
}

// ---------------------------------------------------------------- key

let key = readKey();
let asked = null;

function readKey() {
  try {
    return sessionStorage.getItem("key") ?? "";
  } catch {
    return "";
  }
}

/** The key that the user gave, "" without one. */
export const theKey = () => key;

const headers = () => (key ? { "X-API-Key": key } : {});

/** Shows the field for the key and waits until it is filled in. */
export function askForKey(wrong) {
  const form = $("key-form");
  const told = $("key-told");
  if (wrong) {
    told.textContent = "The server does not know this key. Whoever started it has the right one.";
    told.classList.add("wrong");
  }
  if (asked) return asked;
  form.hidden = false;
  $("server-text").textContent = "Key needed"; // which is read aloud
  if (wrong) $("key").focus();
  asked = new Promise((resolve) => {
    form.addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        key = $("key").value.trim();
        try {
          sessionStorage.setItem("key", key);
        } catch {
          // it lives as long as the page then
        }
        form.hidden = true;
        $("server-text").textContent = "Ready";
        asked = null;
        told.classList.remove("wrong");
        resolve();
      },
      { once: true },
    );
  });
  return asked;
}

// ---------------------------------------------------------------- is it there?

const EVERY = 15_000;
const SOON = 1_000;
const LATEST = 10_000;
let state = "waiting";
let failures = 0;
let timer = 0;
let checking = null;
const waiting = new Set();

/** "ready", "starting", "away", or "waiting" before the first answer. */
export const serverState = () => state;

function become(next, retryIn = 0) {
  const before = state;
  state = next;
  document.dispatchEvent(new CustomEvent("server", { detail: { state, before, retryIn } }));
  if (state === "ready") {
    for (const resolve of waiting) resolve();
    waiting.clear();
  }
}

/** Asks now; asks again later on its own, sooner and then ever later while the server is away. */
export function check() {
  clearTimeout(timer);
  checking ??= look().finally(() => {
    checking = null;
  });
  return checking;
}

async function look() {
  let next = "away";
  try {
    const answer = await fetch("readyz", { cache: "no-store", signal: AbortSignal.timeout(8_000) });
    next = answer.ok ? "ready" : "starting";
  } catch {
    // away
  }
  failures = next === "ready" ? 0 : failures + 1;
  const wait = next === "ready" ? EVERY : Math.min(SOON * 2 ** (failures - 1), LATEST);
  become(next, wait);
  timer = setTimeout(check, wait);
}

/** Waits until the server is ready. */
export function back(signal) {
  if (state === "ready") return Promise.resolve();
  return new Promise((resolve, reject) => {
    waiting.add(resolve);
    signal?.addEventListener(
      "abort",
      () => {
        waiting.delete(resolve);
        reject(signal.reason);
      },
      { once: true },
    );
  });
}

// ---------------------------------------------------------------- calls

const BUSY_TRIES = 8;

/**
 * Does `attempt` until it is answered: waits for a key, for a server that is away, and as long as a busy one asks.
 * `onWait` gets a line about what is waited for, and "" when it goes on.
 */
export async function patient(attempt, { signal, onWait = () => {} } = {}) {
  let busy = 0;
  for (;;) {
    signal?.throwIfAborted();
    const used = key;
    try {
      const result = await attempt(signal);
      onWait("");
      return result;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof Gone) {
        await check();
        if (state !== "ready") onWait("Waiting for the server.");
        await back(signal);
        await pause(200, signal);
      } else if (error instanceof Refused && error.status === 401) {
        if (used === key) {
          onWait("Waiting for the key.");
          await askForKey(used !== "");
        }
      } else if (error instanceof Refused && [429, 503].includes(error.status) && busy < BUSY_TRIES) {
        busy += 1;
        const seconds = Math.min(error.retryAfter ?? 2 ** (busy - 1), 30);
        onWait(`The server is busy; next try in ${Math.ceil(seconds)} s.`);
        await pause(seconds * 1000 + 200 * Math.random(), signal);
      } else {
        throw error;
      }
    }
  }
}

/** One call: the response of a fetch that succeeded. Raises `Refused` and `Gone`. */
export async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, cache: "no-store", headers: { ...headers(), ...options.headers } });
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason;
    throw new Gone();
  }
  if (!answer.ok)
    throw new Refused(answer.status, await problemOf(() => answer.json()), after(answer.headers.get("Retry-After")));
  return answer;
}

/** POST of a form with progress of the upload (0–1); fetch cannot tell it. Resolves to the JSON of the answer. */
export function upload(path, form, { signal, onProgress = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    signal?.addEventListener("abort", stop, { once: true });
    request.open("POST", path);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.addEventListener(
      "progress",
      (event) => event.lengthComputable && onProgress(event.loaded / event.total),
    );
    request.addEventListener("loadend", async () => {
      signal?.removeEventListener("abort", stop);
      if (signal?.aborted) reject(signal.reason);
      else if (request.status === 0) reject(new Gone());
      else if (request.status < 300) resolve(JSON.parse(request.responseText));
      else {
        const problem = await problemOf(() => JSON.parse(request.responseText));
        reject(new Refused(request.status, problem, after(request.getResponseHeader("Retry-After"))));
      }
    });
    request.send(form);
  });
}

const after = (header) => (header !== null && /^\d+(\.\d+)?$/.test(header) ? Number(header) : null);

async function problemOf(read) {
  try {
    const problem = await read();
    return problem !== null && typeof problem === "object" ? problem : {};
  } catch {
    return {};
  }
}

// ---------------------------------------------------------------- limits

/** What the server takes, {} before it is known. */
export const limits = {};

/** Asks for the limits; the views are told by the event "limits". */
export async function loadLimits() {
  const told = await patient(async (signal) => (await call("v1/limits", { signal })).json());
  Object.assign(limits, told.limits, { key_required: told.key_required });
  document.dispatchEvent(new CustomEvent("limits"));
}
