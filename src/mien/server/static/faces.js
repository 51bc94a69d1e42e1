// One face as a card, all faces of a picture as boxes on it, and what can be said about how sure a reading is.

import { h, s } from "./dom.js";
import { many, percent, years } from "./format.js";
import { colourOf, inkOn } from "./palette.js";

/** Pixels of a face's shorter side below which its reading is said to be less sure. */
export const SMALL = 56;
/** Mean brightness (0–1) of a face below which it is said to be dark. */
export const DARK = 0.16;

/** Emotions of a face from the most to the least probable. */
export const ranked = (emotions) => Object.entries(emotions ?? {}).sort((a, b) => b[1] - a[1]);

/** What a reading is worth, in words. */
export function sureness(emotions, entropy) {
  const [first, second] = ranked(emotions);
  if (!first) return "";
  if (second && first[1] - second[1] < 0.15) return `Undecided: ${first[0]} or ${second[0]}`;
  if (first[1] >= 0.8) return "Clear";
  return entropy !== undefined && entropy > 0.7 ? `Weakly ${first[0]}` : `Leans to ${first[0]}`;
}

/** The shortest run of age bins that holds four fifths of the probability: ["10–39", 0.86]. */
export function ageSpan(ages) {
  const bins = Object.entries(ages ?? {});
  let best = null;
  for (let from = 0; from < bins.length; from += 1) {
    let sum = 0;
    for (let to = from; to < bins.length; to += 1) {
      sum += bins[to][1];
      if (sum >= 0.8) {
        if (!best || to - from < best[2] || (to - from === best[2] && sum > best[1]))
          best = [[bins[from][0], bins[to][0]], sum, to - from];
        break;
      }
    }
  }
  if (!best) return null;
  const [[low, high], share] = best;
  const range = low === high ? low : `${low.split("-")[0]}-${high.split("-").at(-1)}`;
  return [years(range), share];
}

/** Things about a face that make its reading less sure: a list of short lines. */
export function doubts(face, brightness) {
  const side = Math.min(face.box[2] - face.box[0], face.box[3] - face.box[1]);
  const lines = [];
  if (side < SMALL) lines.push(`Small face (${Math.round(side)} pixels): less sure.`);
  if (brightness !== null && brightness < DARK) lines.push("Low light: less sure.");
  return lines;
}

/** Bars of the emotions. Kept in the order given, so that a live card does not jump. */
export function bars(rows, caption) {
  return h(
    "table",
    { class: "bars" },
    h("caption", { class: "hidden" }, caption),
    h(
      "tbody",
      null,
      rows.map(([name, share]) =>
        h(
          "tr",
          null,
          h("th", { scope: "row" }, name),
          h(
            "td",
            { class: "track" },
            h(
              "span",
              { class: "bar" },
              h("i", { style: { width: `${(100 * share).toFixed(1)}%`, background: colourOf(name) } }),
            ),
          ),
          h("td", { class: "n" }, percent(share)),
        ),
      ),
    ),
  );
}

/** The age as a line and, drawn, its distribution. */
export function age(face) {
  if (!face.age_range) return null;
  const bins = Object.entries(face.ages);
  const most = Math.max(...bins.map(([, share]) => share));
  const span = ageSpan(face.ages);
  const width = 8;
  return h(
    "div",
    { class: "age" },
    h(
      "p",
      null,
      "Looks ",
      h("strong", null, years(face.age_range)),
      " years old",
      h("br"),
      h(
        "span",
        { class: "quiet" },
        `${span && span[0] !== years(face.age_range) ? `${span[0]} with ` : ""}${percent(span ? span[1] : face.ages[face.age_range])}`,
      ),
    ),
    s(
      "svg",
      {
        class: "ages",
        viewBox: `0 0 ${bins.length * width} 20`,
        "aria-hidden": "true",
        focusable: "false",
        preserveAspectRatio: "none",
      },
      bins.map(([, share], i) => {
        const height = Math.max(1, (20 * share) / most);
        return s("rect", { x: i * width + 0.6, y: 20 - height, width: width - 1.2, height });
      }),
    ),
  );
}

/** A card: number, emotion, how sure, bars, age, doubts. `sorted` puts the most probable emotion first, of `most` at most. */
export function card(face, { name, number, brightness = null, sorted = true, most = Infinity, level = "h4" }) {
  const emotion = face.stable_emotion ?? face.emotion;
  const emotions = face.smoothed ?? face.emotions;
  const colour = colourOf(emotion);
  const told = sureness(emotions, face.entropy);
  return h(
    "article",
    { class: "face", "aria-label": name, "data-number": number },
    h(
      "header",
      null,
      h("span", { class: "tag", style: { background: colour, color: inkOn(colour) } }, String(number)),
      h(level, null, h("span", { class: "hidden" }, `${name}: `), emotion ?? "face"),
      emotions ? h("span", { class: "sure" }, percent(emotions[emotion] ?? 0)) : null,
    ),
    told
      ? h(
          "p",
          { class: "told" },
          told,
          face.entropy !== undefined
            ? h("span", { class: "quiet" }, ` · uncertainty ${face.entropy.toFixed(2)}`)
            : null,
        )
      : null,
    emotions ? bars(sorted ? ranked(emotions).slice(0, most) : Object.entries(emotions), `Emotions of ${name}`) : null,
    age(face),
    doubts(face, brightness).map((line) => h("p", { class: "hint" }, line)),
  );
}

/** The boxes of a picture as a layer of its own size, with the numbers of the cards. */
export function boxes(faces, width, height) {
  const unit = Math.max(width, height) / 100;
  return s(
    "svg",
    { class: "boxes", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", focusable: "false" },
    faces.map((face, i) => {
      const [x1, y1, x2, y2] = face.box;
      const colour = colourOf(face.emotion);
      const text = Math.max(Math.min(3.4 * unit, 0.34 * (x2 - x1)), 1.6 * unit);
      const shape = { x: x1, y: y1, width: x2 - x1, height: y2 - y1, rx: Math.min(0.6 * unit, (x2 - x1) / 8) };
      const label = { width: text * (0.75 + 0.62 * String(i + 1).length), height: text * 1.35 };
      const top = y1 >= label.height ? y1 - label.height : y1;
      return s(
        "g",
        { "data-number": i + 1 },
        s("rect", { ...shape, class: "under" }),
        s("rect", { ...shape, class: "over", stroke: colour }),
        s("rect", { x: x1, y: top, ...label, rx: shape.rx, fill: colour }),
        s(
          "text",
          {
            x: x1 + label.width / 2,
            y: top + text * 1.02,
            "font-size": text,
            "text-anchor": "middle",
            fill: inkOn(colour),
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
    const colour = colourOf(face.stable_emotion ?? face.emotion);
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
    context.fillStyle = inkOn(colour);
    context.fillText(text, at + 6 * unit, top + height / 2 + unit);
  });
}

const LOOK = 320;

/**
 * Mean brightness (0–1) of every face of a drawable picture of width × height pixels; null where it cannot be read.
 */
export function brightness(drawable, faces, width, height) {
  if (!faces.length) return [];
  const scale = Math.min(1, LOOK / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  try {
    context.drawImage(drawable, 0, 0, canvas.width, canvas.height);
    return faces.map(({ box }) => {
      const [x1, y1, x2, y2] = box.map((value) => value * scale);
      const left = Math.min(Math.max(0, Math.floor(x1)), canvas.width - 1);
      const top = Math.min(Math.max(0, Math.floor(y1)), canvas.height - 1);
      const across = Math.max(1, Math.min(Math.ceil(x2), canvas.width) - left);
      const down = Math.max(1, Math.min(Math.ceil(y2), canvas.height) - top);
      const { data } = context.getImageData(left, top, across, down);
      let sum = 0;
      for (let i = 0; i < data.length; i += 4) sum += 0.2126 * data[i] + 0.7152 * data[i + 1] + 0.0722 * data[i + 2];
      return sum / (data.length / 4) / 255;
    });
  } catch {
    return faces.map(() => null);
  }
}

/** "2 faces: happy, neutral" for those who hear the page. */
export function spoken(faces) {
  if (!faces.length) return "no face found";
  const named = faces
    .slice(0, 5)
    .map((face) => face.emotion)
    .filter(Boolean);
  return `${many(faces.length, "face")}${named.length ? `: ${named.join(", ")}${faces.length > 5 ? " and more" : ""}` : ""}`;
}
