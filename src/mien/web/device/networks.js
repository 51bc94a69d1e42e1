// The networks: started once, then pictures in, faces out.

import { content, isSingleFile, moduleAddress, settings } from "./assets.js";

let started = null;
let ask = null; // (message, what is handed over) → a promise of the answer

/** Loads what is needed and starts the worker; `onProgress(bytes, total)`. Rejects where this browser cannot. */
export function start(onProgress = () => {}) {
  started ??= begin(onProgress);
  return started;
}

async function begin(onProgress) {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD))
    throw new Error("This browser is too old for the networks: it has no WebAssembly with SIMD. Any current one has.");
  const { files, config } = await settings();
  const total = Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);
  let received = 0;
  const contents = await Promise.all(
    Object.entries(files).map(async ([name, { file, sha256 }]) => {
      const bytes = await content(file, sha256, (more) => onProgress((received += more), total));
      return [name, bytes];
    }),
  );
  const { runtime, ...networks } = Object.fromEntries(contents);
  // a page from a file may start no worker that imports modules
  ask = isSingleFile ? await inPage() : inWorker();
  const address = moduleAddress("ort.wasm.bundle.min.mjs");
  await ask({ kind: "start", config, runtime, networks, address }, [runtime, ...Object.values(networks)]);
}

/** The faces of a picture: RGBA bytes, which are handed over. */
export async function analyse(rgba, width, height) {
  await start();
  return ask({ kind: "analyse", rgba, width, height }, [rgba]);
}

async function inPage() {
  const sessions = await import(moduleAddress("sessions.js"));
  let last = Promise.resolve();
  return (message) => (last = last.catch(() => {}).then(() => sessions[message.kind](message)));
}

function inWorker() {
  const worker = new Worker(moduleAddress("worker.js"), { type: "module" });
  const waiting = new Map();
  let number = 0;
  worker.addEventListener("message", ({ data }) => {
    const { resolve, reject } = waiting.get(data.number);
    waiting.delete(data.number);
    if (data.error) reject(new Error(data.error));
    else resolve(data.answer);
  });
  worker.addEventListener("error", (event) => {
    const reason = event.message || "its files could not be loaded, or there is not enough memory";
    for (const { reject } of waiting.values()) reject(new Error(`The networks stopped: ${reason}. Load the page again.`));
    waiting.clear();
  });
  return (message, transfer) => {
    number += 1;
    worker.postMessage({ ...message, number }, transfer);
    return new Promise((resolve, reject) => waiting.set(number, { resolve, reject }));
  };
}

/** The smallest module with an instruction of SIMD. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);
