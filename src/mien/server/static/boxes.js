// The faces of a picture as boxes on it: as a layer of elements, and drawn on a canvas.

import { svg } from "./dom.js";
import { labelColour, primaryOf, shownLabel } from "./heads.js";
import { textColourOn } from "./palette.js";

/** The colour of a face: that of the label that is shown first. */
export function faceColour(face) {
  const [head, prediction] = primaryOf(face);
  return labelColour(head, shownLabel(prediction));
}

/** The boxes of a picture as a layer of its own size, with the numbers of the cards. */
export function boxLayer(faces, width, height) {
  const unit = Math.max(width, height) / 100;
  return svg(
    "svg",
    { class: "boxes", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", focusable: "false" },
    faces.map((face, i) => {
      const [x1, y1, x2, y2] = face.box;
      const colour = faceColour(face);
      const text = Math.max(Math.min(3.4 * unit, 0.34 * (x2 - x1)), 1.6 * unit);
      const shape = { x: x1, y: y1, width: x2 - x1, height: y2 - y1, rx: Math.min(0.6 * unit, (x2 - x1) / 8) };
      const label = { width: text * (0.75 + 0.62 * String(i + 1).length), height: text * 1.35 };
      const top = y1 >= label.height ? y1 - label.height : y1;
      return svg(
        "g",
        { "data-number": i + 1 },
        svg("rect", { ...shape, class: "under" }),
        svg("rect", { ...shape, class: "over", stroke: colour }),
        svg("rect", { x: x1, y: top, ...label, rx: shape.rx, fill: colour }),
        svg(
          "text",
          {
            x: x1 + label.width / 2,
            y: top + text * 1.02,
            "font-size": text,
            "text-anchor": "middle",
            fill: textColourOn(colour),
          },
          String(i + 1),
        ),
      );
    }),
  );
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
