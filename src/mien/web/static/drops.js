// Files that are dropped anywhere in the window, folders included, or pasted.

import { $ } from "./dom.js";

/** Files that are taken out of dropped folders at most. */
const MOST = 2_000;
const VIDEO = /\.(mp4|m4v|webm|mkv|mov|avi|mpe?g|ts|wmv|3gp)$/i;
const IMAGE = /\.(jpe?g|png|webp|avif|heic|heif|hif|gif|bmp|tiff?|jp2|ppm|pgm|tga)$/i;

/** Whether a file is a video, by its type, or by its name where the browser does not know it. */
export const isVideo = (file) => file.type.startsWith("video/") || (!file.type && VIDEO.test(file.name));

/** Whether a file is a network of one's own. */
export const isModel = (file) => /\.onnx$/i.test(file.name);

/** Calls `onFiles` with the files of every drop and paste; a sheet over the window shows where they go meanwhile. */
export function acceptFiles(onFiles) {
  let depth = 0;
  const show = (on) => {
    if (!on) depth = 0;
    $("drop-sheet").hidden = !on;
  };
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  window.addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth += 1;
    show(true);
  });
  window.addEventListener("dragleave", () => {
    depth -= 1;
    if (depth <= 0) show(false);
  });
  // whatever is dropped, the browser must not open it in place of the page; a field takes text as ever
  const inField = (event) => !carriesFiles(event) && event.target.closest?.("input, textarea, select");
  window.addEventListener("dragover", (event) => {
    if (!inField(event)) event.preventDefault();
  });
  window.addEventListener("drop", async (event) => {
    if (inField(event)) return;
    event.preventDefault();
    show(false);
    const files = await droppedFiles(event.dataTransfer);
    if (files.length) onFiles(files);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    onFiles(files);
  });
}

/** The files of a drop; of folders, those that look like pictures or videos, in order of their names. */
async function droppedFiles(transfer) {
  // both are empty once the event is over
  const files = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return files;
  const found = [];
  for (const entry of entries) await collect(entry, found, false);
  return found;
}

async function collect(entry, found, inFolder) {
  if (found.length >= MOST) return;
  if (entry.isFile) {
    if (inFolder && !IMAGE.test(entry.name) && !VIDEO.test(entry.name)) return;
    found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  const reader = entry.createReader();
  const children = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    children.push(...some);
  }
  children.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  for (const child of children) await collect(child, found, true);
}
