// Who is in front of the camera and who was in the last seconds: the distributions of a nominal head, one lane per face.

import { $ } from "./dom.js";
import { capitalize, labelText } from "./format.js";
import { settledLabel, shownProbabilities } from "./heads.js";
import { drawTimeline, showLegend } from "./timeline.js";

/** Seconds that are kept, and how many faces get a lane. */
const SECONDS = 30;
const LANES = 6;
/** Seconds after the last answer with a face from which on it is not in view, and between two pictures of a face. */
const AWAY = 1;
const PICTURE_EVERY = 3;

export class LiveHistory {
  #tracks = new Map(); // number → { times, shares, labels, picture, taken }
  #labels = [];

  constructor(head) {
    this.head = head;
  }

  /** Adds the faces of an answer, observed at `now` seconds; `pictureOf(face)` is a small picture, null without one. */
  add(result, now, pictureOf) {
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
      if (!track) this.#tracks.set(face.track, (track = { times: [], shares: [], labels: [], picture: null, taken: -Infinity }));
      if (now - track.taken > PICTURE_EVERY) [track.picture, track.taken] = [pictureOf(face) ?? track.picture, now];
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

  /** The small picture of a face; null without one. */
  pictureOf = (number) => this.#tracks.get(number)?.picture ?? null;

  /** Draws the lanes: those of the faces in view in order of their numbers, then those who left last. */
  draw() {
    if (!this.#labels.length) return;
    const now = performance.now() / 1000;
    const recent = [...this.#tracks].filter(([, track]) => track.times.at(-1) > now - SECONDS);
    const inView = ([, track]) => now - track.times.at(-1) < AWAY;
    const present = recent.filter(inView).sort((a, b) => a[0] - b[0]);
    const gone = recent.filter((one) => !inView(one)).sort((a, b) => b[1].times.at(-1) - a[1].times.at(-1));
    const shown = [...present, ...gone].slice(0, LANES);
    const lanes = shown.map(([number, track]) => ({
      name: `Face ${number}`,
      note: noteOf(track, now),
      picture: track.picture,
      times: track.times,
      shares: track.shares,
      runs: runsOf(track),
    }));
    const ticks = [30, 20, 10, 0].map((ago) => [now - ago, ago ? `${ago} s ago` : "now"]);
    const canvas = $("camera-timeline");
    drawTimeline(canvas, { lanes, head: this.head, labels: this.#labels, span: [now - SECONDS, now], gap: 2, ticks });
    const labels = lanes
      .map(({ name, note, runs }) => {
        const words = [...new Set(runs.map((run) => run.label))].join(", ") || "undecided";
        return `${name}: ${words}${note.startsWith("in view") ? ", in view" : ", gone"}`;
      })
      .join("; ");
    const description = `${capitalize(this.head)} of each face over the last ${SECONDS} seconds. ${labels}`;
    if (canvas.getAttribute("aria-label") !== description) canvas.setAttribute("aria-label", description);
  }
}

/** "in view, happy", or "left 12 s ago". */
function noteOf({ times, labels }, now) {
  const since = now - times.at(-1);
  if (since >= AWAY) return `left ${Math.round(since)} s ago`;
  const label = labels.at(-1);
  return label ? `in view, ${labelText(label)}` : "in view";
}

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
