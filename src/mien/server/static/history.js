// What the camera saw in the last seconds: the emotions of each face as a lane that scrolls.

import { $ } from "./dom.js";
import { drawLanes, legend } from "./lanes.js";

/** Seconds that are kept, and how many faces get a lane. */
const PAST = 30;
const LANES = 4;

export class History {
  #faces = new Map(); // track → { times, shares, stable }
  #labels = [];

  /** The faces of an answer, seen at `now` seconds. */
  add(result, now) {
    for (const face of result.faces) {
      const shares = face.smoothed ?? face.emotions;
      if (!shares) continue;
      if (!this.#labels.length) {
        this.#labels = Object.keys(shares);
        legend($("camera-legend"), this.#labels);
        $("camera-history").hidden = false;
      }
      let seen = this.#faces.get(face.track);
      if (!seen) this.#faces.set(face.track, (seen = { times: [], shares: [], stable: [] }));
      seen.times.push(now);
      for (const label of this.#labels) seen.shares.push(shares[label] ?? 0);
      seen.stable.push(face.stable_emotion ?? null);
    }
    const k = this.#labels.length;
    for (const [track, seen] of this.#faces) {
      let old = 0;
      while (old < seen.times.length && seen.times[old] < now - PAST - 1) old += 1;
      if (old === seen.times.length) this.#faces.delete(track);
      else if (old > 50) {
        seen.times.splice(0, old);
        seen.shares.splice(0, old * k);
        seen.stable.splice(0, old);
      }
    }
  }

  /** Draws the lanes of the faces that were in view longest, up to now. */
  draw() {
    if (!this.#labels.length) return;
    const now = performance.now() / 1000;
    const lanes = [...this.#faces]
      .filter(([, seen]) => seen.times.at(-1) > now - PAST)
      .sort((a, b) => lasted(b[1]) - lasted(a[1]))
      .slice(0, LANES)
      .sort((a, b) => a[0] - b[0])
      .map(([track, seen]) => ({ name: `Face ${track}`, times: seen.times, shares: seen.shares, runs: runsOf(seen) }));
    const ticks = [30, 20, 10, 0].map((ago) => [now - ago, ago ? `${ago} s ago` : "now"]);
    const canvas = $("camera-timeline");
    drawLanes(canvas, { lanes, labels: this.#labels, span: [now - PAST, now], gap: 2, ticks });
    const told = lanes
      .map((lane) => `${lane.name}: ${[...new Set(lane.runs.map((run) => run.label))].join(", ") || "undecided"}`)
      .join("; ");
    const about = `Emotions of each face over the last 30 seconds. ${told}`;
    if (canvas.getAttribute("aria-label") !== about) canvas.setAttribute("aria-label", about);
  }
}

const lasted = ({ times }) => times.at(-1) - times[0];

function runsOf({ times, stable }) {
  const runs = [];
  for (let i = 0; i < times.length; i += 1) {
    const run = runs.at(-1);
    if (!stable[i]) continue;
    if (run && run.label === stable[i] && times[i] - run.end < 2) run.end = times[i];
    else runs.push({ start: times[i], end: times[i], label: stable[i] });
  }
  return runs;
}
