// Photos: any number, two analysed at a time; one shown large, and all of them as tiles with a filter and an order.

import { moveAlong } from "./boxes.js";
import { csvText } from "./csv.js";
import { $, h, saveBlob } from "./dom.js";
import { byteSize, count, labelText, megapixels } from "./format.js";
import { Photo } from "./photo.js";
import { limits, loadModels, place } from "./place.js";

/** Photos that are analysed at once. */
const CONCURRENT = 2;
/** Photos added at once from which on none is shown large, and photos from which on they can be filtered and ordered. */
const MANY = 5;
const FILTERED = 4;

const photos = []; // in the order in which they were added
const queue = [];
let running = 0;
let shown = null; // the photo that is shown large

export function setUp() {
  $("photo-files").addEventListener("change", (event) => {
    add([...event.target.files]);
    event.target.value = "";
  });
  document.addEventListener("limits", showLimits);
  document.addEventListener("place", ({ detail }) => detail === "server" && readAgain());
  $("photos-json").addEventListener("click", () => saveJson());
  $("photos-csv").addEventListener("click", () => saveCsv());
  $("photos-clear").addEventListener("click", clear);
  $("photos-list").addEventListener("keydown", moveAlong);
  for (const id of ["photos-filter", "photos-sort"]) $(id).addEventListener("change", showTiles);
  $("photo-detail").addEventListener("keydown", (event) => {
    if (event.key === "Escape" && photos.length > 1) close();
  });
  for (const button of document.querySelectorAll(".sample"))
    button.addEventListener("click", () => addSample(button.dataset.sample, button.dataset.name));
}

function showLimits() {
  const { body_bytes: bytes, faces, pixels } = limits();
  const parts = [];
  if (bytes) parts.push(`up to ${byteSize(bytes)}`);
  if (faces) parts.push(`${count(faces, "face")} a photo`);
  if (pixels) parts.push(`analysed at up to ${megapixels(pixels)}`);
  const formats = place() === "device" ? "JPEG, PNG, WebP and AVIF" : "JPEG, PNG, WebP, AVIF, HEIC and others";
  $("photo-limits").textContent = `${formats}${parts.length ? `; ${parts.join(", ")}` : ""}.`;
}

// ---------------------------------------------------------------- queue

/** Adds files; the first of a few is shown large at once. */
export function add(files) {
  if (!files.length) return;
  const added = files.map((file) => {
    const photo = new Photo(file, {
      name: file.name || "Pasted photo",
      actions: actionsOf(() => photo),
      onOpen: () => open(photo, true),
      onAnnounce: (line) => ($("photos-live").textContent = line),
    });
    return photo;
  });
  photos.push(...added);
  queue.push(...added);
  if (added.length < MANY) open(added[0], false);
  else close(false);
  showCount();
  scrollTo({ top: 0 });
  startNext();
}

/** Photos that this device could not read, such as HEIC, are tried on the server once that is chosen. */
function readAgain() {
  queue.push(...photos.filter((photo) => photo.state === "refused"));
  startNext();
}

/** One of the pictures that come with the page. */
async function addSample(path, name) {
  const answer = await fetch(path);
  if (answer.ok) add([new File([await answer.blob()], name, { type: answer.headers.get("Content-Type") ?? "" })]);
}

function startNext() {
  while (running < CONCURRENT && queue.length) {
    const photo = queue.shift();
    running += 1;
    photo.analyse().finally(() => {
      running -= 1;
      showCount();
      startNext();
    });
  }
}

function clear() {
  queue.length = 0;
  for (const photo of photos.splice(0)) photo.remove();
  close(false);
  showCount();
  $("photos-live").textContent = "Cleared.";
  $("photos-title").focus();
}

const analysed = () => photos.filter((photo) => photo.result);

function showCount() {
  const finished = analysed();
  const faces = finished.reduce((sum, photo) => sum + photo.result.faces.length, 0);
  const left = photos.filter((photo) => photo.state === "busy").length;
  $("view-photos").classList.toggle("filled", photos.length > 0);
  document.dispatchEvent(new CustomEvent("filled", { detail: photos.length > 0 }));
  $("photo-samples").hidden = photos.length > 0;
  $("photo-words").hidden = faces === 0;
  $("photos-tools").hidden = photos.length === 0;
  $("photos-count").textContent =
    `${count(photos.length, "photo")}, ${count(faces, "face")}` + (left ? `; ${left} to go` : "");
  $("photos-add").textContent = photos.length ? "Add photos" : "Choose photos";
  for (const id of ["photos-json", "photos-csv"]) $(id).disabled = finished.length === 0;
  showTiles();
}

// ---------------------------------------------------------------- one of them, large

/** What can be done with a photo that is shown large; nodes. */
function actionsOf(photoOf) {
  const button = (text, label, onclick) =>
    h("button", { type: "button", class: text.length > 1 ? "plain" : "plain arrow", "aria-label": label, onclick }, text);
  return [
    h(
      "span",
      { class: "among" },
      button("‹", "Previous photo", () => step(photoOf(), -1)),
      button("›", "Next photo", () => step(photoOf(), 1)),
      button("Close", "Close the photo", () => close()),
    ),
    h("button", { type: "button", class: "plain remove", onclick: () => removeByButton(photoOf()) }, "Remove"),
  ];
}

function open(photo, moveFocus) {
  shown = photo;
  $("photo-detail").replaceChildren(photo.element);
  $("photo-detail").hidden = false;
  markTile();
  if (!moveFocus) return;
  $("view-photos").scrollIntoView({ block: "start" });
  photo.element.querySelector("h3").focus({ preventScroll: true });
}

/** Shows the tiles alone; the focus goes to that of the photo that was shown. */
function close(moveFocus = true) {
  const before = shown;
  shown = null;
  $("photo-detail").replaceChildren();
  $("photo-detail").hidden = true;
  markTile();
  if (moveFocus) before?.tile.focus();
}

function step(photo, by) {
  const order = visible();
  const next = order[order.indexOf(photo) + by];
  if (!next) return;
  open(next, false);
  const label = by < 0 ? "Previous photo" : "Next photo";
  const button = next.element.querySelector(`[aria-label="${label}"]`);
  (button.disabled ? next.element.querySelector("h3") : button).focus({ preventScroll: true });
}

/** Removed by its own button: the focus moves to what is shown next. */
function removeByButton(photo) {
  const order = visible();
  const next = order[order.indexOf(photo) + 1] ?? order[order.indexOf(photo) - 1];
  photos.splice(photos.indexOf(photo), 1);
  if (queue.includes(photo)) queue.splice(queue.indexOf(photo), 1);
  photo.remove();
  if (next) open(next, false);
  else close(false);
  showCount();
  (next?.element.querySelector(".remove") ?? $("photos-title")).focus();
}

// ---------------------------------------------------------------- all of them, as tiles

const FILTERS = {
  all: ["All photos", () => true],
  faces: ["With faces", (photo) => photo.result?.faces.length > 0],
  none: ["Without a face", (photo) => photo.result?.faces.length === 0],
  refused: ["Not read", (photo) => photo.state === "refused"],
};

const collator = new Intl.Collator("en", { numeric: true });
const ORDERS = {
  newest: null, // the order of `photos`, turned round
  oldest: () => 0,
  name: (a, b) => collator.compare(a.name, b.name),
  faces: (a, b) => (b.result?.faces.length ?? -1) - (a.result?.faces.length ?? -1),
  unsure: (a, b) => a.certainty - b.certainty,
};

/** The photos that pass the filter, in the order that is chosen. */
function visible() {
  const filter = $("photos-filter").value;
  const passes = FILTERS[filter]?.[1] ?? ((photo) => photo.labels.includes(filter.replace(/^label /, "")));
  const passed = photos.filter((photo) => filter === "" || passes(photo));
  const order = ORDERS[$("photos-sort").value];
  return order ? passed.sort(order) : passed.reverse();
}

function showTiles() {
  $("photos-all").hidden = photos.length < 2;
  $("photos-choice").hidden = photos.length < FILTERED;
  if (photos.length < FILTERED) [$("photos-filter").value, $("photos-sort").value] = ["all", "newest"];
  showFilters();
  const order = visible();
  const items = order.map((photo) => photo.listItem);
  // moving an element takes the focus from it, so that only another order moves them
  if (items.length !== $("photos-list").children.length || items.some((one, i) => one !== $("photos-list").children[i]))
    $("photos-list").replaceChildren(...items);
  $("photos-shown").textContent =
    order.length < photos.length ? `${order.length} of ${count(photos.length, "photo")}` : "";
  markTile();
}

/** The filters that leave something, with how much. */
function showFilters() {
  const select = $("photos-filter");
  const labels = new Map();
  for (const photo of photos) for (const label of new Set(photo.labels)) labels.set(label, (labels.get(label) ?? 0) + 1);
  const options = Object.entries(FILTERS)
    .map(([value, [text, passes]]) => [value, text, photos.filter(passes).length])
    .concat([...labels].map(([label, n]) => [`label ${label}`, `Looks ${labelText(label)}`, n]))
    .filter(([value, , n]) => n || value === "all" || value === select.value);
  const wanted = options.map(([value, text, n]) => [value, `${text} (${n})`]);
  const same =
    wanted.length === select.options.length &&
    wanted.every(([value, text], i) => select.options[i].value === value && select.options[i].text === text);
  if (same) return;
  const chosen = select.value || "all";
  select.replaceChildren(...wanted.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
}

function markTile() {
  const order = visible();
  const at = order.indexOf(shown);
  for (const photo of photos) {
    if (photo === shown) photo.tile.setAttribute("aria-current", "true");
    else photo.tile.removeAttribute("aria-current");
  }
  const first = at < 0 ? order[0] : shown;
  for (const photo of photos) photo.tile.tabIndex = photo === first ? 0 : -1;
  if (!shown) return;
  shown.element.querySelector(".among").hidden = photos.length < 2;
  shown.element.querySelector('[aria-label="Previous photo"]').disabled = at <= 0;
  shown.element.querySelector('[aria-label="Next photo"]').disabled = at < 0 || at === order.length - 1;
}

// ---------------------------------------------------------------- files

function saveJson() {
  const documents = analysed().map((photo) => ({ ...photo.result, source: photo.name }));
  saveBlob(new Blob([JSON.stringify({ results: documents }, null, 1)], { type: "application/json" }), "faces.json");
}

/** The columns of `mien analyze --csv`. */
async function saveCsv() {
  const { columns } = await loadModels();
  const rows = analysed().flatMap((photo) =>
    photo.result.faces.map((face, i) =>
      columns.map(({ name, path }) => {
        if (name === "source") return photo.name;
        if (name === "face") return i + 1;
        return path.reduce((value, key) => value?.[key], face);
      }),
    ),
  );
  saveBlob(new Blob([csvText(columns, rows)], { type: "text/csv;charset=utf-8" }), "faces.csv");
}
