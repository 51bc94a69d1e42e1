// Photos: any number at once, two sent to the server at a time, each with the cards of its faces.

import { ProblemError, limits, loadModels, retry, upload } from "./api.js";
import { boxLayer, drawBoxes } from "./boxes.js";
import { DARK, brightnessOf } from "./brightness.js";
import { $, acceptDrops, h, saveBlob, showMessage } from "./dom.js";
import { faceCard, summary } from "./face_card.js";
import { byteSize, count, labelText, sentence, stem } from "./format.js";
import { predictionsOf, shownLabel } from "./heads.js";

/** Photos that are sent at once. */
const CONCURRENT = 2;
/** Cards that are shown openly, the rest is folded; with more faces than `FULL` a card has the `BRIEF` likeliest labels. */
const OPEN = 12;
const FULL = 4;
const BRIEF = 3;

const items = new Set();
const queue = [];
let running = 0;

export function setUp() {
  $("photo-files").addEventListener("change", (event) => {
    add([...event.target.files]);
    event.target.value = "";
  });
  acceptDrops($("view-photos"), add);
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length && !$("view-photos").hidden) {
      event.preventDefault();
      add(files);
    }
  });
  document.addEventListener("limits", showLimits);
  $("photos-json").addEventListener("click", () => saveJson());
  $("photos-csv").addEventListener("click", () => saveCsv());
  $("photos-clear").addEventListener("click", clear);
}

function showLimits() {
  const parts = [];
  if (limits.body_bytes) parts.push(`up to ${byteSize(limits.body_bytes)}`);
  if (limits.pixels) parts.push(`${Math.round(limits.pixels / 1e6)} megapixels`);
  if (limits.faces) parts.push(`${count(limits.faces, "face")} a photo`);
  $("photo-limits").textContent = `JPEG, PNG, WebP, AVIF and others${parts.length ? `; ${parts.join(", ")}` : ""}.`;
}

// ---------------------------------------------------------------- queue

function add(files) {
  for (const file of files) {
    const item = new Item(file);
    items.add(item);
    $("photos-list").append(item.element);
    if (limits.body_bytes && file.size > limits.body_bytes) {
      item.refuse(
        `This file has ${byteSize(file.size)}; the server takes up to ${byteSize(limits.body_bytes)}. Save it smaller and try again.`,
      );
    } else {
      queue.push(item);
    }
  }
  showCount();
  startNext();
}

function startNext() {
  while (running < CONCURRENT && queue.length) {
    const item = queue.shift();
    running += 1;
    item.analyse().finally(() => {
      running -= 1;
      showCount();
      startNext();
    });
  }
}

function clear() {
  queue.length = 0;
  for (const item of items) item.remove();
  showCount();
  $("photos-live").textContent = "Cleared.";
  $("photos-title").focus();
}

const analysed = () => [...items].filter((item) => item.result);

function showCount() {
  const finished = analysed();
  const faces = finished.reduce((sum, item) => sum + item.result.faces.length, 0);
  const left = [...items].filter((item) => item.element.dataset.state === "busy").length;
  $("photos-tools").hidden = items.size === 0;
  $("photos-count").textContent =
    `${count(items.size, "photo")}, ${count(faces, "face")}` + (left ? `; ${left} to go` : "");
  for (const id of ["photos-json", "photos-csv"]) $(id).disabled = finished.length === 0;
}

// ---------------------------------------------------------------- one photo

class Item {
  constructor(file) {
    this.file = file;
    this.name = file.name || "Pasted photo";
    this.result = null;
    this.abort = new AbortController();
    this.url = URL.createObjectURL(file);
    this.picture = h("img", { src: this.url, alt: this.name, class: "photo-picture", decoding: "async" });
    this.displayed = new Promise((resolve) => {
      this.picture.addEventListener("load", () => resolve(true), { once: true });
      this.picture.addEventListener("error", () => resolve(false), { once: true });
    });
    this.facts = h("p", { class: "quiet facts-line" }, "Waiting");
    this.actions = h("div", { class: "actions" });
    this.stage = h("div", { class: "stage" }, this.picture);
    this.cards = h("div", { class: "cards" });
    this.element = h(
      "li",
      { class: "photo", "data-state": "busy" },
      h("div", { class: "photo-head" }, h("h3", null, this.name), this.facts, this.actions),
      h("div", { class: "photo-body" }, this.stage, this.cards),
    );
    this.actions.append(
      h(
        "button",
        { type: "button", class: "plain", onclick: () => this.#removeByButton(), "aria-label": `Remove ${this.name}` },
        "Remove",
      ),
    );
    this.displayed.then((ok) => {
      if (!ok) this.stage.replaceChildren(h("p", { class: "empty" }, "This browser cannot show the picture."));
    });
  }

  async analyse() {
    if (this.abort.signal.aborted) return;
    this.facts.textContent = "Reading";
    const began = performance.now();
    try {
      const { results } = await retry(
        (signal) => {
          const form = new FormData();
          form.append("image", this.file, "photo"); // its name stays here
          return upload("v1/analyze", form, { signal });
        },
        { signal: this.abort.signal, onWait: (line) => (this.facts.textContent = line || "Reading") },
      );
      const [result] = results;
      if (result.error) throw new ProblemError(result.error.status ?? 422, result.error);
      await this.#show(result, performance.now() - began);
    } catch (error) {
      if (this.abort.signal.aborted) return;
      this.refuse(sentence(error.message));
    }
  }

  async #show(result, ms) {
    await loadModels();
    this.result = result;
    const { faces, width, height } = result;
    const displayed = await this.displayed;
    if (this.abort.signal.aborted) return;
    const light = displayed ? brightnessOf(this.picture, faces, width, height) : faces.map(() => null);
    if (!displayed) {
      this.stage.replaceChildren(
        h("p", { class: "empty" }, "This browser cannot show the picture; the boxes are correct all the same."),
      );
    }
    this.stage.append(boxLayer(faces, width, height));
    this.stage.style.setProperty("aspect-ratio", `${width} / ${height}`);
    this.element.style.setProperty("--ratio", width / height);
    if (displayed) this.picture.alt = `${this.name}, ${summary(faces)}`;
    this.facts.textContent = `${width} × ${height} · ${count(faces.length, "face")} · ${Math.round(ms)} ms`;
    const most = faces.length > FULL ? BRIEF : undefined;
    const cards = faces.map((face, i) =>
      faceCard(face, { name: `Face ${i + 1}`, number: i + 1, brightness: light[i], most }),
    );
    if (!faces.length) {
      const [all] = displayed ? brightnessOf(this.picture, [{ box: [0, 0, width, height] }], width, height) : [null];
      const why =
        all !== null && all < DARK
          ? "The photo is dark; more light may help."
          : "Faces turned away, covered, or only a few pixels wide are often missed. A closer photo may help.";
      this.cards.append(
        h("div", { class: "none" }, h("p", { class: "lead" }, "No face found."), h("p", { class: "quiet" }, why)),
      );
    }
    this.cards.append(...cards.slice(0, OPEN));
    if (cards.length > OPEN) {
      const rest = h(
        "details",
        { class: "rest" },
        h("summary", null, `${cards.length - OPEN} more faces`),
        h("div", { class: "cards" }, cards.slice(OPEN)),
      );
      this.cards.append(rest);
    }
    if (faces.length && displayed) {
      this.actions.prepend(h("button", { type: "button", onclick: () => this.#saveAnnotated() }, "Annotated picture"));
    }
    if (result.left_out) {
      this.cards.prepend(
        h(
          "p",
          { class: "hint" },
          `${count(result.left_out, "more face")} found; the server returns the ${faces.length} with the best scores.`,
        ),
      );
    }
    this.#linkCardsAndBoxes();
    this.element.dataset.state = "done";
    $("photos-live").textContent = `${this.name}: ${summary(faces)}.`;
  }

  /** Pointing at a card highlights its box, and vice versa. */
  #linkCardsAndBoxes() {
    const highlight = (number, on) => {
      for (const part of this.element.querySelectorAll(`[data-number="${number}"]`)) part.classList.toggle("lit", on);
    };
    for (const part of this.element.querySelectorAll("[data-number]")) {
      part.addEventListener("pointerenter", () => highlight(part.dataset.number, true));
      part.addEventListener("pointerleave", () => highlight(part.dataset.number, false));
    }
  }

  refuse(line) {
    this.element.dataset.state = "refused";
    this.facts.textContent = "Not read";
    showMessage(this.cards, h("p", { class: "notice bad" }, line));
    $("photos-live").textContent = `${this.name} was not read: ${line}`;
  }

  async #saveAnnotated() {
    const { faces, width, height } = this.result;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    context.drawImage(this.picture, 0, 0, width, height);
    const unit = Math.max(0.8, Math.max(width, height) / 900);
    drawBoxes(context, faces, {
      unit,
      label: (face, i) =>
        [
          faces.length > 1 ? `${i + 1}` : "",
          ...predictionsOf(face).map(([, prediction]) => labelText(shownLabel(prediction))),
        ]
          .filter(Boolean)
          .join(" · "),
    });
    const type = this.file.type === "image/png" ? "image/png" : "image/jpeg";
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, 0.92));
    if (blob) saveBlob(blob, `${stem(this.name)}-annotated.${type === "image/png" ? "png" : "jpg"}`);
  }

  /** Removed by its own button: the focus moves to an element that is still there. */
  #removeByButton() {
    const next = this.element.nextElementSibling ?? this.element.previousElementSibling;
    this.remove();
    showCount();
    (next?.querySelector("button.plain") ?? $("photos-title")).focus();
  }

  remove() {
    this.abort.abort();
    URL.revokeObjectURL(this.url);
    this.element.remove();
    items.delete(this);
  }
}

// ---------------------------------------------------------------- files

function saveJson() {
  const documents = analysed().map((item) => ({ ...item.result, source: item.name }));
  saveBlob(new Blob([JSON.stringify({ results: documents }, null, 1)], { type: "application/json" }), "faces.json");
}

/** The columns of `mien analyze --csv`, as the server lists them. */
async function saveCsv() {
  const { columns } = await loadModels();
  const rows = analysed().flatMap((item) =>
    item.result.faces.map((face, i) =>
      columns.map(({ name, path }) => {
        if (name === "source") return item.name;
        if (name === "face") return i;
        return path.reduce((value, key) => value?.[key], face);
      }),
    ),
  );
  const lines = [columns.map(({ name }) => name), ...rows];
  const text = lines.map((line) => line.map(quoted).join(",")).join("\r\n");
  saveBlob(new Blob([`${text}\r\n`], { type: "text/csv;charset=utf-8" }), "faces.csv");
}

const quoted = (value) => {
  const text = value === undefined || value === null ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
