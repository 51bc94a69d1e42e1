// The files that the page computes with: fetched from beside it, or, where the page is a single file, out of that.

import { NoAnswerError, hasServer, request, retry } from "./api.js";

/** In a page that is a single file, its loader sets { bytes(name), module(name) }. */
const embedded = globalThis.mienEmbedded ?? null;

export const isSingleFile = embedded !== null;

/** Bytes of a file as it is stored. */
async function stored(name, onBytes = () => {}) {
  if (embedded) {
    const bytes = embedded.bytes(name);
    onBytes(bytes.length);
    return bytes;
  }
  const ask = () => request(`assets/${name}`, { cache: "default" });
  const answer = await (hasServer ? retry(ask) : ask()).catch((error) => {
    if (hasServer && !(error instanceof NoAnswerError)) throw error;
    throw new Error(`the file assets/${name} could not be loaded`);
  });
  const parts = [];
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    onBytes(value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Content of a file that is stored compressed; checked by its hash where the browser can. */
export async function content(name, sha256, onBytes) {
  const compressed = await stored(name, onBytes);
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = await new Response(stream).arrayBuffer();
  if (globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const text = Array.from(digest, (one) => one.toString(16).padStart(2, "0")).join("");
    if (text !== sha256) throw new Error(`the file assets/${name} is damaged: load the page again`);
  }
  return bytes;
}

/** Address of a module of the page. */
export const moduleAddress = (name) =>
  embedded ? embedded.module(name) : new URL(`static/${name}`, document.baseURI).href;

let loaded = null;

/** What the page was built with: files, configuration of the pipeline, description of the models. */
export function settings() {
  loaded ??= stored("settings.json").then((bytes) => JSON.parse(new TextDecoder().decode(bytes)));
  loaded.catch(() => (loaded = null)); // asked again next time
  return loaded;
}
