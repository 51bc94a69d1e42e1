// Requests to the server: its key, whether it answers, and requests that wait for it instead of failing.

import { $, sleep } from "./dom.js";
import { setHeads } from "./heads.js";
import { store, stored } from "./storage.js";

/** Whether the page came from a server of its own, which can analyse as well: otherwise it is files on any host. */
export const hasServer = $("place") !== null;

/** The server answered with a problem, an RFC 9457 document. */
export class ProblemError extends Error {
  constructor(status, problem, retryAfter = null) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

/** The server did not answer. */
export class NoAnswerError extends Error {
  constructor() {
    super("The server does not answer.");
  }
}

// ---------------------------------------------------------------- who asks

/** An id that no one guesses. */
export const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) => one.toString(16).padStart(2, "0")).join("");

let client = "";

/** Sets this tab apart from other clients of the same address. */
function clientId() {
  client ||= stored("sessionStorage", "client") || newId();
  store("sessionStorage", "client", client);
  return client;
}

// ---------------------------------------------------------------- key

let key = stored("sessionStorage", "key");
let keyPromise = null;

/** The key that the user entered, "" without one. */
export const apiKey = () => key;

const ownHeaders = () =>
  hasServer ? { "X-Client-Id": clientId(), ...(key ? { "X-API-Key": key } : {}) } : {};

/** Shows the field for the key and waits until it is filled in. */
export function askForKey(wrong) {
  const form = $("key-form");
  const help = $("key-help");
  if (wrong) {
    help.textContent = "The server does not know this key. Whoever started it has the right one.";
    help.classList.add("wrong");
  }
  if (keyPromise) return keyPromise;
  form.hidden = false;
  $("server-text").textContent = "Key needed"; // screen readers read it
  if (wrong) $("key").focus();
  keyPromise = new Promise((resolve) => {
    form.addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        key = $("key").value.trim();
        store("sessionStorage", "key", key);
        form.hidden = true;
        $("server-text").textContent = "Ready";
        keyPromise = null;
        help.classList.remove("wrong");
        resolve();
      },
      { once: true },
    );
  });
  return keyPromise;
}

// ---------------------------------------------------------------- state of the server

const CHECK_EVERY = 15_000;
const FIRST_RETRY = 1_000;
const LAST_RETRY = 10_000;
let state = "waiting";
let failures = 0;
let timer = 0;
let checking = null;
const waiting = new Set();

/** "ready", "starting", "away", or "waiting" before the first answer. */
export const serverState = () => state;

function setState(next) {
  const before = state;
  state = next;
  document.dispatchEvent(new CustomEvent("server", { detail: { state, before } }));
  if (state === "ready") {
    for (const resolve of waiting) resolve();
    waiting.clear();
  }
}

/** Checks now, and later on its own, at growing intervals while the server is away. */
export function checkServer() {
  clearTimeout(timer);
  checking ??= askReadiness().finally(() => {
    checking = null;
  });
  return checking;
}

async function askReadiness() {
  let next = "away";
  try {
    const answer = await fetch("readyz", { cache: "no-store", signal: AbortSignal.timeout(8_000) });
    next = answer.ok ? "ready" : "starting";
  } catch {
    // away
  }
  failures = next === "ready" ? 0 : failures + 1;
  const wait = next === "ready" ? CHECK_EVERY : Math.min(FIRST_RETRY * 2 ** (failures - 1), LAST_RETRY);
  setState(next);
  timer = setTimeout(checkServer, wait);
}

/** Waits until the server is ready. */
export function serverReady(signal) {
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

// ---------------------------------------------------------------- requests

const BUSY_TRIES = 8;

/**
 * Repeats `attempt` until it is answered: waits for a key, for a server that is away, and as long as a busy one asks.
 * `onWait` gets a line about what it waits for, and "" when it resumes.
 */
export async function retry(attempt, { signal, onWait = () => {} } = {}) {
  let busy = 0;
  for (;;) {
    signal?.throwIfAborted();
    const usedKey = key;
    try {
      const result = await attempt(signal);
      onWait("");
      return result;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof NoAnswerError) {
        await checkServer();
        if (state !== "ready") onWait("Waiting for the server.");
        await serverReady(signal);
        await sleep(200, signal);
      } else if (error instanceof ProblemError && error.status === 401) {
        if (usedKey === key) {
          onWait("Waiting for the key.");
          await askForKey(usedKey !== "");
        }
      } else if (error instanceof ProblemError && [429, 503].includes(error.status) && busy < BUSY_TRIES) {
        busy += 1;
        const seconds = Math.min(error.retryAfter ?? 2 ** (busy - 1), 30);
        onWait(`The server is busy; next try in ${Math.ceil(seconds)} s.`);
        await sleep(seconds * 1000 + 200 * Math.random(), signal);
      } else {
        throw error;
      }
    }
  }
}

/** One request: the response of a fetch that succeeded. Throws `ProblemError` and `NoAnswerError`. */
export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options, headers: { ...ownHeaders(), ...options.headers } });
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason;
    throw new NoAnswerError();
  }
  if (!response.ok) {
    const problem = await problemOf(() => response.json());
    throw new ProblemError(response.status, problem, secondsOf(response.headers.get("Retry-After")));
  }
  return response;
}

/** The JSON of a GET, repeated until it is answered. */
const getJson = (path) => retry(async (signal) => (await request(path, { signal })).json());

/** POST of a form with progress of the upload (0–1), which fetch does not report. Resolves to the JSON of the answer. */
export function upload(path, form, { signal, onProgress = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const stop = () => xhr.abort();
    signal?.addEventListener("abort", stop, { once: true });
    xhr.open("POST", path);
    for (const [name, value] of Object.entries(ownHeaders())) xhr.setRequestHeader(name, value);
    xhr.upload.addEventListener(
      "progress",
      (event) => event.lengthComputable && onProgress(event.loaded / event.total),
    );
    xhr.addEventListener("loadend", async () => {
      signal?.removeEventListener("abort", stop);
      if (signal?.aborted) reject(signal.reason);
      else if (xhr.status === 0) reject(new NoAnswerError());
      else if (xhr.status < 300) resolve(JSON.parse(xhr.responseText));
      else {
        const problem = await problemOf(() => JSON.parse(xhr.responseText));
        reject(new ProblemError(xhr.status, problem, secondsOf(xhr.getResponseHeader("Retry-After"))));
      }
    });
    xhr.send(form);
  });
}

const secondsOf = (header) => (header !== null && /^\d+(\.\d+)?$/.test(header) ? Number(header) : null);

async function problemOf(read) {
  try {
    const problem = await read();
    return problem !== null && typeof problem === "object" ? problem : {};
  } catch {
    return {};
  }
}

// ---------------------------------------------------------------- limits and models

/** The limits of the server, {} before they are known. */
export const limits = {};

/** Asks for the limits; the views get the event "limits". */
export async function loadLimits() {
  const answer = await getJson("v1/limits");
  Object.assign(limits, answer.limits, { key_required: answer.key_required });
  document.dispatchEvent(new CustomEvent("limits"));
}

let models = null;

/** The models of the server, with their heads and the columns of tables; loaded once, until `forgetModels`. */
export async function loadServerModels() {
  models ??= getJson("v1/models");
  const answer = await models;
  setHeads(answer.heads);
  return answer;
}

/** The server may have been started again with other models. */
export const forgetModels = () => (models = null);
