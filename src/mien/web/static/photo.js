// One photo: analysed, shown large with the cards of its faces, and small as a tile among others.

import { analysePhoto, renditionOf } from "./analysis.js";
import { boxLayer, boxText, drawBoxes } from "./boxes.js";
import { h, saveBlob, showMessage } from "./dom.js";
import { faceCard, summary } from "./face_card.js";
import { count, labelText, megapixels, sentence, stem } from "./format.js";
import { primaryOf, shownLabel, shownProbabilities } from "./heads.js";
import { canvasOf, decode, faceCrop, shrunkCopy } from "./picture.js";
import { loadModels } from "./place.js";

/** Cards that are shown openly, the rest is folded; with more faces than `FULL` a card has the `BRIEF` likeliest labels. */
const OPEN = 12;
const FULL = 4;
const BRIEF = 3;
/** Pixels of the longer side of the small copy, and how many labels a tile names. */
const SMALL = 400;
const NAMED = 3;

export class Photo {
  /** "busy", "done" or "refused". */
  state = "busy";
  /** The answer, in pixels of the photo; null without one. */
  result = null;
  #abort = new AbortController();
  #url = "";
  #copy = null; // small, with what the tile shows
  #onAnnounce;

  /** `actions` are nodes for the head of the large view; `onOpen` is called by the tile, `onAnnounce` with a line. */
  constructor(file, { name, actions, onOpen, onAnnounce }) {
    this.file = file;
    this.name = name;
    this.#onAnnounce = onAnnounce;
    this.facts = h("p", { class: "quiet facts-line" }, "Waiting");
    this.actions = h("div", { class: "actions" }, actions);
    this.stage = h("div", { class: "stage" });
    this.cards = h("div", { class: "cards" });
    this.element = h(
      "article",
      { class: "photo", "data-state": "busy", "aria-label": name },
      h("div", { class: "photo-head" }, h("h3", { tabindex: -1 }, name), this.facts, this.actions),
      h("div", { class: "photo-body" }, this.stage, this.cards),
    );
    this.tile = h(
      "button",
      { type: "button", class: "tile", "data-state": "busy", onclick: onOpen },
      h("span", { class: "tile-picture" }),
      h("span", { class: "tile-name" }, name),
      h("span", { class: "tile-facts" }, "Waiting"),
    );
    this.listItem = h("li", null, this.tile);
  }

  // ------------------------------------------------------------ reading

  async analyse() {
    if (this.#abort.signal.aborted) return;
    this.#showState("busy", "Reading");
    const began = performance.now();
    const options = {
      signal: this.#abort.signal,
      onWait: (line) => this.#showState("busy", line || "Reading"),
    };
    const bitmap = await decode(this.file);
    let rendition = null;
    try {
      if (bitmap) this.#showPicture(this.file, bitmap);
      const { result, shrunk } = await analysePhoto(this.file, bitmap, options);
      await loadModels();
      if (!bitmap) rendition = await this.#showRendition(options);
      if (this.#abort.signal.aborted) return;
      this.#show(result, performance.now() - began, bitmap ?? rendition, shrunk);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.refuse(sentence(error.message));
    } finally {
      bitmap?.close();
      rendition?.close();
    }
  }

  /** A picture that this browser cannot decode, such as HEIC in most, as the server decodes it; null without one. */
  async #showRendition(options) {
    const jpeg = await renditionOf(this.file, options);
    const bitmap = jpeg && (await decode(jpeg));
    if (bitmap) this.#showPicture(jpeg, bitmap);
    return bitmap;
  }

  // ------------------------------------------------------------ what is shown

  get #picture() {
    return this.stage.querySelector("img");
  }

  #showState(state, line) {
    this.state = state;
    this.element.dataset.state = this.tile.dataset.state = state;
    this.facts.textContent = line;
    this.tile.querySelector(".tile-facts").textContent = line;
  }

  #showPicture(blob, bitmap) {
    this.#url = URL.createObjectURL(blob);
    this.stage.replaceChildren(h("img", { src: this.#url, alt: this.name, class: "photo-picture", decoding: "async" }));
    this.stage.style.setProperty("aspect-ratio", `${bitmap.width} / ${bitmap.height}`);
    this.element.style.setProperty("--ratio", bitmap.width / bitmap.height);
    this.#copy = shrunkCopy(bitmap, bitmap.width, bitmap.height, SMALL);
    this.tile.querySelector(".tile-picture").replaceChildren(this.#copy);
  }

  #show(result, ms, drawable, shrunk) {
    this.result = result;
    const { faces, width, height } = result;
    if (this.#picture) this.#picture.alt = `${this.name}, ${summary(faces)}`;
    else this.#showNoPicture(width, height);
    this.stage.append(boxLayer(faces, width, height, (number, byKey) => this.#select(number, { toCard: true, byKey })));
    this.#showState("done", "");
    this.facts.textContent = [
      `${width} × ${height}`,
      shrunk && `analysed at ${megapixels(shrunk)}`,
      count(faces.length, "face"),
      `${Math.round(ms)} ms`,
    ]
      .filter(Boolean)
      .join(" · ");
    this.cards.replaceChildren(...this.#cardsOf(faces, drawable, width, height));
    if (faces.length && this.#picture)
      this.actions.prepend(h("button", { type: "button", onclick: () => this.#saveAnnotated() }, "Annotated picture"));
    this.#drawTile();
    this.#onAnnounce(`${this.name}: ${summary(faces)}.`);
  }

  #showNoPicture(width, height) {
    const line = "This browser cannot show the picture; the boxes are correct all the same.";
    this.stage.replaceChildren(h("p", { class: "empty" }, line));
    this.stage.style.setProperty("aspect-ratio", `${width} / ${height}`);
    this.element.style.setProperty("--ratio", width / height);
  }

  #cardsOf(faces, drawable, width, height) {
    if (!faces.length) {
      const why =
        "Faces in the dark, turned away, covered, or only a few pixels wide are often missed. A closer or brighter photo may help.";
      return [h("div", { class: "none" }, h("p", { class: "lead" }, "No face found."), h("p", { class: "quiet" }, why))];
    }
    const most = faces.length > FULL ? BRIEF : undefined;
    const cards = faces.map((face, i) =>
      faceCard(face, {
        name: `Face ${i + 1}`,
        number: i + 1,
        most,
        picture: drawable ? faceCrop(drawable, face.box, width, height) : null,
        onSelect: (byKey) => this.#select(i + 1, { toCard: false, byKey }),
      }),
    );
    const classes = most ? "cards dense" : "cards";
    this.cards.className = classes;
    const shown = cards.slice(0, OPEN);
    const { left_out: leftOut } = this.result;
    if (leftOut) {
      const line = `${count(leftOut, "more face")} found; the ${faces.length} with the best scores are shown.`;
      shown.unshift(h("p", { class: "hint" }, line));
    }
    if (cards.length <= OPEN) return shown;
    const title = h("summary", null, `${cards.length - OPEN} more faces`);
    return [...shown, h("details", { class: "rest" }, title, h("div", { class: classes }, cards.slice(OPEN)))];
  }

  /**
   * Marks a face in the picture and among the cards, and shows its counterpart: of a box the card, of a card the box. A
   * key moves the focus there, too.
   */
  #select(number, { toCard, byKey }) {
    for (const part of this.element.querySelectorAll("[data-number]")) {
      const selected = Number(part.dataset.number) === number;
      part.classList.toggle("selected", selected);
      const button = part.matches("button") ? part : part.querySelector(".face-button");
      button.setAttribute("aria-pressed", String(selected));
    }
    const box = this.stage.querySelector(`[data-number="${number}"]`);
    const card = this.cards.querySelector(`[data-number="${number}"]`);
    card.closest("details")?.setAttribute("open", "");
    for (const other of this.stage.querySelectorAll(".box")) other.tabIndex = other === box ? 0 : -1;
    const target = toCard ? card : box;
    target.scrollIntoView({ block: "nearest" });
    if (byKey) (toCard ? card.querySelector(".face-button") : box).focus({ preventScroll: true });
  }

  /** The small copy with its boxes, and what was found in a line. */
  #drawTile() {
    const { faces, width, height } = this.result;
    if (this.#copy && faces.length) {
      const scale = this.#copy.width / width;
      drawBoxes(this.#copy.getContext("2d"), faces, { scale, unit: this.#copy.width / 300, label: () => "" });
      const center = faces.reduce((sum, { box }) => sum + (box[0] + box[2]) / 2, 0) / faces.length / width;
      const middle = faces.reduce((sum, { box }) => sum + (box[1] + box[3]) / 2, 0) / faces.length / height;
      this.#copy.style.setProperty("object-position", `${Math.round(100 * center)}% ${Math.round(100 * middle)}%`);
    }
    const labels = [...new Set(faces.map((face) => labelText(shownLabel(primaryOf(face)[1]))).filter(Boolean))];
    const named = labels.slice(0, NAMED).join(", ") + (labels.length > NAMED ? " …" : "");
    const line = faces.length ? [count(faces.length, "face"), named].filter(Boolean).join(" · ") : "No face";
    this.tile.querySelector(".tile-facts").textContent = line;
  }

  refuse(line) {
    this.#showState("refused", "Not read");
    if (!this.#picture) this.stage.replaceChildren(h("p", { class: "empty" }, "No picture."));
    showMessage(this.cards, h("p", { class: "notice bad" }, line));
    this.#onAnnounce(`${this.name} was not read: ${line}`);
  }

  // ------------------------------------------------------------ filters and order

  /** The labels that are shown first, one per face. */
  get labels() {
    return (this.result?.faces ?? []).map((face) => shownLabel(primaryOf(face)[1])).filter((label) => label !== null);
  }

  /** The greatest probability of the least certain face; 1 without faces. */
  get certainty() {
    const values = (this.result?.faces ?? []).map((face) => {
      const probabilities = shownProbabilities(primaryOf(face)[1]);
      return probabilities ? Math.max(...Object.values(probabilities)) : 1;
    });
    return Math.min(1, ...values);
  }

  // ------------------------------------------------------------ files and end

  async #saveAnnotated() {
    const { faces, width, height } = this.result;
    const [canvas, context] = canvasOf(width, height);
    context.drawImage(this.#picture, 0, 0, width, height);
    const unit = Math.max(0.8, Math.max(width, height) / 900);
    drawBoxes(context, faces, { unit, label: (face, i) => boxText(face, faces.length > 1 ? i + 1 : "") });
    const type = this.file.type === "image/png" ? "image/png" : "image/jpeg";
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, 0.92));
    if (blob) saveBlob(blob, `${stem(this.name)}-annotated.${type === "image/png" ? "png" : "jpg"}`);
  }

  remove() {
    this.#abort.abort();
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.element.remove();
    this.listItem.remove();
  }
}
