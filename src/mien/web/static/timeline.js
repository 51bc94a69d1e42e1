// Distributions over time on a canvas: one lane per face, areas stacked to the whole, below them the stable label.

import { h } from "./dom.js";
import { labelColour } from "./heads.js";

const NAME = 32;
const PICTURE = 26;
const AREA = 44;
const RIBBON = 7;
const SPACE = 8;
const AXIS = 22;
const LANE = NAME + AREA + 2 + RIBBON + SPACE;

/** Height of a number of lanes, CSS pixels. */
export const timelineHeight = (lanes) => Math.max(1, lanes) * LANE + AXIS;

/** A small square in the colour of a label. */
export const swatch = (head, label) =>
  h("span", { class: "swatch", style: { background: labelColour(head, label) }, "aria-hidden": "true" });

/** Fills a list with swatches and names. */
export function showLegend(list, head, labels) {
  list.replaceChildren(...labels.map((label) => h("li", null, swatch(head, label), label)));
}

/**
 * Draws lanes over a span of time.
 *
 * A lane is { name, note, picture, times, shares, runs }: a text beside the name and a small picture of the face, where
 * there are any; ascending seconds; a flat array with a share of each label for each time; runs of { start, end, label }
 * for the ribbon. Samples further apart than `gap` seconds are not joined.
 * `ticks` are [seconds, text].
 */
export function drawTimeline(canvas, { lanes, head, labels, span, gap, ticks }) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = timelineHeight(lanes.length);
  if (!width) return;
  canvas.style.setProperty("height", `${height}px`);
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
  const context = canvas.getContext("2d");
  const css = getComputedStyle(canvas);
  const colour = (name) => css.getPropertyValue(name).trim();
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `13px ${css.fontFamily}`;
  const x = (time) => (width * (time - span[0])) / (span[1] - span[0] || 1);
  const colours = labels.map((label) => labelColour(head, label));
  lanes.forEach((lane, i) => {
    const top = i * LANE;
    drawName(context, lane, top, colour);
    context.fillStyle = colour("--track");
    context.fillRect(0, top + NAME, width, AREA);
    context.fillRect(0, top + NAME + AREA + 2, width, RIBBON);
    drawAreas(context, lane, { colours, span, gap, width, top: top + NAME });
    for (const run of lane.runs ?? []) {
      const from = Math.max(0, x(run.start));
      context.fillStyle = labelColour(head, run.label);
      context.fillRect(from, top + NAME + AREA + 2, Math.max(1, Math.min(width, x(run.end)) - from), RIBBON);
    }
  });
  context.textBaseline = "alphabetic";
  context.fillStyle = colour("--quiet");
  context.font = `12px ${css.fontFamily}`;
  ticks.forEach(([time, text]) => {
    const at = x(time);
    const half = context.measureText(text).width / 2;
    context.textAlign = "center";
    context.fillText(text, Math.min(Math.max(at, half), width - half), height - 6);
    context.fillRect(Math.min(Math.max(at, 0), width - 1), height - AXIS - SPACE + 2, 1, 5);
  });
}

function drawName(context, { name, note, picture }, top, colour) {
  let left = 0;
  const middle = top + 2 + PICTURE / 2;
  if (picture) {
    context.save();
    context.beginPath();
    context.roundRect(0, top + 2, PICTURE, PICTURE, 5);
    context.clip();
    context.drawImage(picture, 0, top + 2, PICTURE, PICTURE);
    context.restore();
    left = PICTURE + 8;
  }
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillStyle = colour("--ink");
  context.fillText(name, left, middle);
  if (!note) return;
  left += context.measureText(name).width + 8;
  context.fillStyle = colour("--quiet");
  context.fillText(note, left, middle);
}

function drawAreas(context, lane, { colours, span, gap, width, top }) {
  const k = colours.length;
  const columns = resample(lane, k, span, gap, Math.max(1, Math.floor(width)));
  let from = 0;
  while (from < columns.length) {
    if (!columns[from]) {
      from += 1;
      continue;
    }
    let to = from;
    while (to + 1 < columns.length && columns[to + 1]) to += 1;
    const base = new Float32Array(to - from + 1);
    for (let e = 0; e < k; e += 1) {
      context.fillStyle = colours[e];
      context.beginPath();
      context.moveTo(from, top + AREA * (1 - base[0]));
      for (let c = from; c <= to; c += 1) context.lineTo(c, top + AREA * (1 - base[c - from]));
      context.lineTo(to + 1, top + AREA * (1 - base[to - from]));
      for (let c = from; c <= to; c += 1) base[c - from] = Math.min(1, base[c - from] + columns[c][e]);
      context.lineTo(to + 1, top + AREA * (1 - base[to - from]));
      for (let c = to; c >= from; c -= 1) context.lineTo(c, top + AREA * (1 - base[c - from]));
      context.closePath();
      context.fill();
    }
    from = to + 1;
  }
}

/**
 * One array of k shares per pixel column, null where the face was not observed: means where samples are dense, else
 * interpolated.
 */
export function resample({ times, shares }, k, span, gap, width) {
  const columns = new Array(width).fill(null);
  const step = (span[1] - span[0]) / width;
  if (!times.length || !k || !(step > 0)) return columns;
  let i = 0;
  for (let c = 0; c < width; c += 1) {
    const start = span[0] + c * step;
    const end = start + step;
    while (i < times.length && times[i] < start) i += 1;
    const sum = new Float32Array(k);
    let n = 0;
    for (let j = i; j < times.length && times[j] < end; j += 1, n += 1) {
      for (let e = 0; e < k; e += 1) sum[e] += shares[j * k + e];
    }
    if (n) {
      columns[c] = sum.map((value) => value / n);
    } else if (i > 0 && i < times.length && times[i] - times[i - 1] <= gap) {
      const part = (start + step / 2 - times[i - 1]) / (times[i] - times[i - 1]);
      columns[c] = sum.map((_, e) => shares[(i - 1) * k + e] * (1 - part) + shares[i * k + e] * part);
    } else if (i === times.length && start - times[i - 1] <= gap / 2) {
      columns[c] = sum.map((_, e) => shares[(i - 1) * k + e]);
    }
  }
  return columns;
}
