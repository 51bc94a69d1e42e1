// The faces of a picture as boxes on it: as a layer of buttons, and drawn on a canvas.

import { h } from "./dom.js";
import { labelText, percent } from "./format.js";
import { labelColour, predictionsOf, primaryOf, shownLabel, shownProbabilities } from "./heads.js";
import { textColourOn } from "./palette.js";

/** Shares of the picture's height and width near whose edges a label lies inside the box, or ends with it. */
const TOP = 0.07;
const RIGHT = 0.75;

/** The colour of a face: that of the label that is shown first. */
export function faceColour(face) {
  const [head, prediction] = primaryOf(face);
  return labelColour(head, shownLabel(prediction));
}

/** "happy, 95 %" of the head that is shown first; "" without one. */
function mainLabel(face) {
  const [, prediction] = primaryOf(face);
  const label = shownLabel(prediction);
  if (label === null) return "";
  return `${labelText(label)}, ${percent(shownProbabilities(prediction)?.[label] ?? prediction.confidence ?? 0)}`;
}

/**
 * The boxes of a picture of width × height pixels, as a layer over it: a button per face with its number and label.
 * One of them is reached with Tab, the others from there with the arrow keys. `onSelect(number, byKey)` is called when one
 * is pressed.
 */
export function boxLayer(faces, width, height, onSelect) {
  const share = (value, whole) => `${(100 * value) / whole}%`;
  const bySize = [...faces].sort((a, b) => areaOf(b) - areaOf(a));
  const boxes = faces.map((face, i) => {
    const [x1, y1, x2, y2] = face.box;
    const colour = faceColour(face);
    const [, prediction] = primaryOf(face);
    const place = ["box", y1 < TOP * height ? "inside" : "", x1 > RIGHT * width ? "to-left" : ""].filter(Boolean);
    return h(
      "button",
      {
        type: "button",
        class: place.join(" "),
        "data-number": i + 1,
        tabindex: i === 0 ? 0 : -1,
        "aria-pressed": "false",
        "aria-label": [`Face ${i + 1}`, mainLabel(face)].filter(Boolean).join(": "),
        style: {
          left: share(x1, width),
          top: share(y1, height),
          width: share(x2 - x1, width),
          height: share(y2 - y1, height),
          "z-index": 1 + bySize.indexOf(face), // small faces lie over large ones
          "--label": colour,
          "--on-label": textColourOn(colour),
        },
        // a click without a pointer comes from a key
        onclick: (event) => onSelect(i + 1, event.detail === 0),
      },
      h(
        "span",
        { class: "box-label" },
        h("span", { class: "box-number" }, String(i + 1)),
        h("span", { class: "box-word" }, labelText(shownLabel(prediction))),
      ),
    );
  });
  return h("div", { class: "boxes", role: "group", "aria-label": "Faces in the picture", onkeydown: moveAlong }, boxes);
}

const areaOf = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);

/** Arrow keys, Home and End move the focus among the buttons or links of a group. */
export function moveAlong(event) {
  const all = [...event.currentTarget.querySelectorAll("button")].filter((one) => one.offsetParent !== null);
  const at = all.indexOf(event.target);
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
  if (at < 0 || !(event.key in to) || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const next = all[Math.min(Math.max(to[event.key], 0), all.length - 1)];
  for (const one of all) one.tabIndex = one === next ? 0 : -1;
  next.focus();
}

/** Draws boxes and labels on a 2D context whose picture is `scale` times as large as the pixels of the boxes. */
export function drawBoxes(context, faces, { scale = 1, mirrored = 0, unit = 1, label = (face, i) => String(i + 1) }) {
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.font = `600 ${Math.round(13 * unit)}px system-ui, sans-serif`;
  faces.forEach((face, i) => {
    const [x1, y1, x2, y2] = face.box.map((value) => value * scale);
    const left = mirrored ? mirrored - x2 : x1;
    const colour = faceColour(face);
    context.lineWidth = 5 * unit;
    context.strokeStyle = "rgb(0 0 0 / 55%)";
    context.strokeRect(left, y1, x2 - x1, y2 - y1);
    context.lineWidth = 2.5 * unit;
    context.strokeStyle = colour;
    context.strokeRect(left, y1, x2 - x1, y2 - y1);
    const text = label(face, i);
    if (!text) return;
    const width = context.measureText(text).width + 12 * unit;
    const height = 21 * unit;
    const top = y1 - height >= 0 ? y1 - height : y1;
    const at = Math.max(0, Math.min(left - 2.5 * unit, context.canvas.width - width));
    context.fillStyle = colour;
    context.fillRect(at, top, width, height);
    context.fillStyle = textColourOn(colour);
    context.fillText(text, at + 6 * unit, top + height / 2 + unit);
  });
}

/** What is written at a box of an annotated picture or video: its number, and the labels of its heads. */
export const boxText = (face, number) =>
  [number, ...predictionsOf(face).map(([, prediction]) => labelText(shownLabel(prediction)))].filter(Boolean).join(" · ");
