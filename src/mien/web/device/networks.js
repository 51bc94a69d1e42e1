// The networks on this device: started once, then pictures in, faces out.

import { content, isSingleFile, moduleAddress, settings } from "./assets.js";

/** Threads of the networks, where the page may have several. */
const MOST_THREADS = 4;

let started = null;
let ask = null; // (message, what is handed over) → a promise of the answer
let progress = [0, 0]; // bytes that are loaded, and all

/** Whether this browser can run the networks. */
export const isSupported = () =>
  typeof WebAssembly === "object" && WebAssembly.validate(SIMD) && typeof DecompressionStream === "function";

/** Threads that the networks run on: several need a page that is isolated from others. */
export const threads = () =>
  globalThis.crossOriginIsolated && !isSingleFile ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1;

/** Loads what is needed and starts the worker, once; the event "networks" has { state, bytes, total, error }. */
export function start() {
  started ??= begin().then(
    () => announce("ready"),
    (error) => {
      started = null; // a connection that was lost may come back
      announce("away", error);
      throw error;
    },
  );
  return started;
}

const announce = (state, error = null) =>
  document.dispatchEvent(new CustomEvent("networks", { detail: { state, bytes: progress[0], total: progress[1], error } }));

async function begin() {
  if (!isSupported())
    throw new Error("This browser is too old for the networks: it has no WebAssembly with SIMD. Any current one has.");
  // a page from a file may start no worker that imports modules
  const link = isSingleFile ? await inPage() : inWorker();
  try {
    await load(link.ask);
  } catch (error) {
    link.close();
    throw error;
  }
  ask = link.ask;
}

/** Fetches everything at once, and opens each network as soon as it and the runtime are there. */
async function load(ask) {
  const { files, config } = await settings();
  progress = [0, Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0)];
  announce("loading");
  const contentOf = async ({ file, sha256 }) => {
    const bytes = await content(file, sha256, (more) => {
      progress[0] += more;
      announce("loading");
    });
    waiting -= 1;
    if (!waiting) announce("starting");
    return bytes;
  };
  const { runtime, ...networks } = files;
  let waiting = Object.keys(files).length;
  const address = moduleAddress("ort.wasm.bundle.min.mjs");
  const started = contentOf(runtime).then((bytes) =>
    ask({ kind: "start", config, runtime: bytes, address, threads: threads() }, [bytes]),
  );
  const opened = Object.entries(networks).map(async ([name, one]) => {
    const file = await contentOf(one);
    await started;
    await ask({ kind: "openNetwork", name, file }, [file]);
  });
  await Promise.all([started, ...opened]);
}

/** The answer of the worker to a message; buffers in `transfer` are handed over. */
async function asked(message, transfer = []) {
  await start();
  try {
    return await ask(message, transfer);
  } catch (error) {
    throw new Error(outOfMemory(error) ? LITTLE_MEMORY : error.message);
  }
}

const LITTLE_MEMORY =
  "This device has not enough memory for the picture. Close other tabs, or choose a smaller one.";
const outOfMemory = ({ message = "" }) => /out of memory|memory access|allocation failed|bad_alloc|Array buffer/i.test(message);

/** The faces of a picture: RGBA bytes, which are handed over. */
export const analyse = (rgba, width, height) => asked({ kind: "analyse", rgba, width, height }, [rgba]);

/** Adds a network of one's own, which predicts from now on: its file, and its part of the pipeline's configuration. */
export const addNetwork = (name, file, card) => asked({ kind: "addNetwork", name, file, card }, [file]);

let videos = 0;

/** A camera or a clip: its frames are tracked and smoothed. `interval`: seconds between frames, where they are known. */
export async function openVideo({ live, interval }) {
  videos += 1;
  const id = videos;
  await asked({ kind: "openVideo", id, live, interval });
  return {
    /** The results that are final after this frame: RGBA bytes, which are handed over. */
    step: (rgba, width, height, index, time) =>
      asked({ kind: "stepVideo", id, rgba, width, height, index, time }, [rgba]),
    /** { frames, summary, tracks }: the frames that waited, and the report. */
    finish: () => asked({ kind: "finishVideo", id }),
    close: () => asked({ kind: "closeVideo", id }).catch(() => {}),
  };
}

async function inPage() {
  const sessions = await import(moduleAddress("sessions.js"));
  let last = Promise.resolve();
  return { ask: (message) => (last = last.catch(() => {}).then(() => sessions[message.kind](message))), close: () => {} };
}

function inWorker() {
  const worker = new Worker(moduleAddress("worker.js"), { type: "module" });
  const waiting = new Map();
  let number = 0;
  let failure = null;
  worker.addEventListener("message", ({ data }) => {
    const { resolve, reject } = waiting.get(data.number);
    waiting.delete(data.number);
    if (data.error) reject(new Error(data.error));
    else resolve(data.answer);
  });
  worker.addEventListener("error", (event) => {
    const reason = event.message || "its files could not be loaded, or there is not enough memory";
    failure = new Error(`The networks stopped: ${reason}. Load the page again.`);
    for (const { reject } of waiting.values()) reject(failure);
    waiting.clear();
  });
  return {
    async ask(message, transfer) {
      if (failure) throw failure;
      number += 1;
      worker.postMessage({ ...message, number }, transfer);
      return new Promise((resolve, reject) => waiting.set(number, { resolve, reject }));
    },
    close: () => worker.terminate(),
  };
}

/** The smallest module with an instruction of SIMD. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);
