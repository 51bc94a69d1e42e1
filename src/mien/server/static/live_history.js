// What the camera showed in the last seconds: the distributions of a nominal head, one lane per face, which scrolls.

import { $ } from "./dom.js";
import { capitalize } from "./format.js";
import { settledLabel, shownProbabilities } from "./heads.js";
import { drawTimeline, showLegend } from "./timeline.js";

/** Seconds that are kept, and how many faces get a lane. */
const SECONDS = 30;
const LANES = 4;

export class LiveHistory {
  #tracks = new Map(); // number → { times, shares, labels }
  #labels = [];

  constructor(head) {
    this.head = head;
  }

  /** Adds the faces of an answer, observed at `now` seconds. */
  add(result, now) {
    for (const face of result.faces) {
      const prediction = face.predictions?.[this.head];
      const shares = shownProbabilities(prediction);
      if (!shares) continue;
      if (!this.#labels.length) {
        this.#labels = Object.keys(shares);
        showLegend($("camera-legend"), this.head, this.#labels);
        $("camera-history").hidden = false;
      }
      let track = this.#tracks.get(face.track);
      if (!track) this.#tracks.set(face.track, (track = { times: [], shares: [], labels: [] }));
      track.times.push(now);
      for (const label of this.#labels) track.shares.push(shares[label] ?? 0);
      track.labels.push(settledLabel(prediction));
    }
    const k = this.#labels.length;
    for (const [number, track] of this.#tracks) {
      let old = 0;
      while (old < track.times.length && track.times[old] < now - SECONDS - 1) old += 1;
      if (old === track.times.length) this.#tracks.delete(number);
      else if (old > 50) {
        track.times.splice(0, old);
        track.shares.splice(0, old * k);
        track.labels.splice(0, old);
      }
    }
  }

  /** Draws the lanes of the faces that were in view longest, up to now. */
  draw() {
    if (!this.#labels.length) return;
    const now = performance.now() / 1000;
    const lanes = [...this.#tracks]
      .filter(([, track]) => track.times.at(-1) > now - SECONDS)
      .sort((a, b) => spanOf(b[1]) - spanOf(a[1]))
      .slice(0, LANES)
      .sort((a, b) => a[0] - b[0])
      .map(([number, track]) => ({
        name: `Face ${number}`,
        times: track.times,
        shares: track.shares,
        runs: runsOf(track),
      }));
    const ticks = [30, 20, 10, 0].map((ago) => [now - ago, ago ? `${ago} s ago` : "now"]);
    const canvas = $("camera-timeline");
    drawTimeline(canvas, { lanes, head: this.head, labels: this.#labels, span: [now - SECONDS, now], gap: 2, ticks });
    const labels = lanes
      .map((lane) => `${lane.name}: ${[...new Set(lane.runs.map((run) => run.label))].join(", ") || "undecided"}`)
      .join("; ");
    const description = `${capitalize(this.head)} of each face over the last ${SECONDS} seconds. ${labels}`;
    if (canvas.getAttribute("aria-label") !== description) canvas.setAttribute("aria-label", description);
  }
}

const spanOf = ({ times }) => times.at(-1) - times[0];

function runsOf({ times, labels }) {
  const runs = [];
  for (let i = 0; i < times.length; i += 1) {
    const run = runs.at(-1);
    if (!labels[i]) continue;
    if (run && run.label === labels[i] && times[i] - run.end < 2) run.end = times[i];
    else runs.push({ start: times[i], end: times[i], label: labels[i] });
  }
  return runs;
}
