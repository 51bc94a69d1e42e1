// The files that the page computes with: fetched from beside it, or, where the page is a single file, out of that.

import { NoAnswerError, hasServer, request, retry } from "./api.js";

/** In a page that is a single file, its loader sets { bytes(name), module(name) }. */
const embedded = globalThis.mienEmbedded ?? null;

export const isSingleFile = embedded !== null;

/** A file as it is stored, as a stream; `onBytes` gets the number of bytes that have come since its last call. */
async function stored(name, onBytes = () => {}) {
  if (embedded) {
    const bytes = embedded.bytes(name);
    onBytes(bytes.length);
    return new Blob([bytes]).stream();
  }
  const ask = () => request(`assets/${name}`, { cache: "default" });
  const answer = await (hasServer ? retry(ask) : ask()).catch((error) => {
    if (hasServer && !(error instanceof NoAnswerError)) throw error;
    throw notLoaded(name);
  });
  const counted = new TransformStream({
    transform(part, controller) {
      onBytes(part.length);
      controller.enqueue(part);
    },
  });
  return answer.body.pipeThrough(counted);
}

const notLoaded = (name) => new Error(`the file assets/${name} could not be loaded`);

/** Content of a file that is stored compressed; checked by its hash where the browser can. */
export async function content(name, sha256, onBytes) {
  const stream = (await stored(name, onBytes)).pipeThrough(new DecompressionStream("gzip"));
  const bytes = await new Response(stream).arrayBuffer().catch(() => {
    throw notLoaded(name); // the connection was lost on the way, or it is cut short
  });
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
  loaded ??= stored("settings.json").then((stream) => new Response(stream).json());
  loaded.catch(() => (loaded = null)); // asked again next time
  return loaded;
}
