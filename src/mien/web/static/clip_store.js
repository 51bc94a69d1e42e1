// The clip of this tab over a reload: which one it is, and a copy of the file that is unreadable once the tab is closed.
//
// The copy is encrypted piece by piece with a key that only this tab's session holds, and lies in the browser's own
// database. It is deleted with the clip; what a closed tab left is deleted an hour later, when the page is opened again.

import { store, stored } from "./storage.js";

const DATABASE = "mien-clip";
const CLIP = "clip"; // in the session: { id, name, type, key, annotate, here }
const PIECE = 8 * 1024 * 1024;
/** Bytes of a file above which no copy is made, and milliseconds after which that of a closed tab is deleted. */
const LARGEST = 512 * 1024 * 1024;
const OLD = 3_600_000;

/** What the session remembers of the clip; null without one. */
export function remembered() {
  try {
    return JSON.parse(stored("sessionStorage", CLIP));
  } catch {
    return null;
  }
}

/** Remembers a clip: { id, name, type, annotate, here }. */
export function remember(clip) {
  store("sessionStorage", CLIP, JSON.stringify({ ...remembered(), ...clip }));
}

/** Keeps a copy of the file of the clip, where the browser lets it. */
export async function keepFile(id, file, signal) {
  if (file.size > LARGEST || !globalThis.crypto?.subtle) return;
  try {
    const database = await open();
    await deleteOld(database);
    const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt", "decrypt"]);
    const pieces = Math.ceil(file.size / PIECE);
    for (let i = 0; i < pieces; i += 1) {
      const plain = await file.slice(i * PIECE, (i + 1) * PIECE).arrayBuffer();
      const iv = crypto.getRandomValues(new Uint8Array(12));
      const data = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, plain);
      if (signal.aborted) return forgetFile(id);
      await done(database.transaction("pieces", "readwrite").objectStore("pieces").put({ iv, data }, [id, i]));
    }
    await done(database.transaction("clips", "readwrite").objectStore("clips").put({ pieces, time: Date.now() }, id));
    const raw = new Uint8Array(await crypto.subtle.exportKey("raw", key));
    if (!signal.aborted) remember({ key: btoa(String.fromCharCode(...raw)) });
    database.close();
  } catch {
    // no room, or no database in this mode of the browser: the clip is shown without its video after a reload
  }
}

/** The file of a remembered clip; null where there is no copy of it. */
export async function keptFile({ id, name, type, key }) {
  if (!key) return null;
  try {
    const database = await open();
    const clip = await done(database.transaction("clips").objectStore("clips").get(id));
    if (!clip) return null;
    const raw = Uint8Array.from(atob(key), (one) => one.charCodeAt(0));
    const secret = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
    const parts = [];
    for (let i = 0; i < clip.pieces; i += 1) {
      const { iv, data } = await done(database.transaction("pieces").objectStore("pieces").get([id, i]));
      // a blob of its own, which the browser may move out of memory
      parts.push(new Blob([await crypto.subtle.decrypt({ name: "AES-GCM", iv }, secret, data)]));
    }
    await done(database.transaction("clips", "readwrite").objectStore("clips").put({ ...clip, time: Date.now() }, id));
    database.close();
    return new File(parts, name, { type });
  } catch {
    return null;
  }
}

/** Forgets the clip of this tab and deletes the copy of its file. */
export async function forget() {
  const clip = remembered();
  store("sessionStorage", CLIP, "");
  if (clip) await forgetFile(clip.id);
}

async function forgetFile(id) {
  try {
    const database = await open();
    await deleteClip(database, id);
    database.close();
  } catch {
    // there is none
  }
}

async function deleteOld(database) {
  const kept = database.transaction("clips").objectStore("clips");
  const [ids, clips] = await Promise.all([done(kept.getAllKeys()), done(kept.getAll())]);
  for (const [i, id] of ids.entries()) if (Date.now() - clips[i].time > OLD) await deleteClip(database, id);
}

async function deleteClip(database, id) {
  const transaction = database.transaction(["clips", "pieces"], "readwrite");
  transaction.objectStore("pieces").delete(IDBKeyRange.bound([id], [id, Infinity]));
  await done(transaction.objectStore("clips").delete(id));
}

function open() {
  const request = indexedDB.open(DATABASE, 1);
  request.addEventListener("upgradeneeded", () => {
    request.result.createObjectStore("clips");
    request.result.createObjectStore("pieces");
  });
  return done(request);
}

const done = (request) =>
  new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    for (const event of ["error", "blocked"]) request.addEventListener(event, () => reject(request.error));
  });
