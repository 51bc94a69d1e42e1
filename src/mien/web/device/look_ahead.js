// Smoothing of files: a frame's results follow from the frames before and after it. As mien.smoothing.look_ahead.

import { bestLabels } from "./segmentation.js";
import { Smoother } from "./smoother.js";
import { TIME_TOLERANCE } from "./time_tolerance.js";

/**
 * @typedef {import("./pipeline.js").Head} Head
 * @typedef {import("./head_state.js").Config} Config
 * @typedef {import("./smoother.js").TrackedFace} TrackedFace
 * @typedef {import("./smoother.js").Smoothed} Smoothed
 * @typedef {{ label: number, held: number, credit: number[] }} LabelState
 */

/** The frames of a track around the next one to be returned. */
class TrackWindow {
  /** @param {string[]} names of the nominal heads */
  constructor(names) {
    /** @type {number[]} */
    this.times = [];
    /** @type {number[]} */
    this.lengths = [];
    /** @type {number[]} */
    this.weights = [];
    this.position = 0;
    /** @type {Map<string, { rows: (number[] | null)[], state: LabelState }>} */
    this.heads = new Map(names.map((name) => [name, { rows: [], state: { label: -1, held: 0, credit: [] } }]));
  }

  /** @param {number} time @param {number} interval @param {Record<string, number[] | null>} rows */
  add(time, interval, rows) {
    this.times.push(time);
    this.lengths.push(interval);
    this.weights.push(interval);
    for (const [name, head] of this.heads) head.rows.push(rows[name] ?? null);
  }

  /** The length of the last frame. @param {number} seconds */
  closeFrame(seconds) {
    const last = this.weights.length - 1;
    this.weights[last] = (this.weights[last] + seconds) / 2;
    this.lengths[last] = seconds;
  }

  /** The results of the next frame to be returned. @param {number} halfWidth @param {import("./segmentation.js").LabelPrice} price */
  estimate(halfWidth, price) {
    const at = this.position;
    const lengths = this.lengths.slice(at);
    return Object.fromEntries(
      [...this.heads].map(([name, { rows, state }]) => {
        const [label] = bestLabels(rows.slice(at), lengths, price, state.label, state.held, state.credit);
        add(state, label, rows[at], this.lengths[at]);
        return [name, { filtered: this.#filtered(rows, halfWidth), label }];
      }),
    );
  }

  /** Counts the next frame as returned, and forgets those that no longer matter. @param {number} halfWidth */
  moveOn(halfWidth) {
    this.position += 1;
    const oldest = this.times[this.position - 1] - halfWidth;
    let gone = this.times.findIndex((time, i) => time > oldest || i >= this.position);
    if (gone < 0) gone = this.position;
    if (!gone) return;
    for (const values of [this.times, this.lengths, this.weights]) values.splice(0, gone);
    for (const { rows } of this.heads.values()) rows.splice(0, gone);
    this.position -= gone;
  }

  /** @param {(number[] | null)[]} rows @param {number} halfWidth @returns {number[] | null} */
  #filtered(rows, halfWidth) {
    const now = this.times[this.position];
    let total = 0;
    /** @type {number[]} */
    let sums = [];
    rows.forEach((row, i) => {
      const distance = Math.abs(this.times[i] - now);
      if (!row || !(distance < halfWidth || this.times[i] === now)) return;
      const weight = halfWidth ? this.weights[i] * (1 + Math.cos((Math.PI * distance) / halfWidth)) : 1;
      total += weight;
      sums = row.map((p, k) => (sums[k] ?? 0) + weight * p);
    });
    return total > 0 ? sums.map((sum) => sum / total) : null;
  }
}

/** The next frame, with its stable label. @param {LabelState} state @param {number} label @param {number[] | null} row @param {number} seconds */
function add(state, label, row, seconds) {
  state.held = label === state.label ? state.held + seconds : seconds;
  if (label !== state.label || !state.credit.length) state.credit = (row ?? state.credit).map(() => 0);
  state.label = label;
  if (!row || label < 0) return;
  state.credit = state.credit.map((credit, i) => Math.max(credit + seconds * (row[i] - row[label]), 0));
}

export class LookAheadSmoother {
  /** @param {Record<string, Head>} heads @param {Config} config @param {number} interval @param {number} maxInterval */
  constructor(heads, config, interval, maxInterval) {
    this.smoother = new Smoother(heads, config, interval, maxInterval);
    this.options = config.smoothing;
    this.price = { change: this.options.change_cost, least: this.options.min_label };
    this.nominal = Object.keys(heads).filter((name) => !heads[name].ordered);
    this.interval = Math.min(interval, maxInterval);
    this.maxInterval = maxInterval;
    /** @type {{ time: number, faces: TrackedFace[], ended: number[] }[]} */
    this.waiting = [];
    /** @type {Map<number, TrackWindow>} */
    this.windows = new Map();
    /** @type {number[]} */
    this.current = [];
    /** @type {number | null} */
    this.time = null;
  }

  /**
   * The faces of one frame, and the tracks that ended before it. @param {number} time @param {TrackedFace[]} faces
   * @param {Iterable<number>} ended @returns {Smoothed[][]} the results of the frames that need not wait any longer
   */
  update(time, faces, ended) {
    if (this.time !== null) {
      const passed = Math.min(time - this.time, this.maxInterval);
      for (const track of this.current) this.windows.get(track)?.closeFrame(passed);
      if (passed > 0) this.interval = passed;
    }
    for (const { track, rows } of faces) {
      let window = this.windows.get(track);
      if (!window) this.windows.set(track, (window = new TrackWindow(this.nominal)));
      window.add(time, this.interval, rows);
    }
    this.current = faces.map(({ track }) => track);
    this.time = time;
    this.waiting.push({ time, faces, ended: [...ended] });
    const ready = [];
    while (this.waiting.length && time - this.waiting[0].time >= this.options.look_ahead - TIME_TOLERANCE) ready.push(this.release());
    return ready;
  }

  /** The results of the frame that has waited longest. @returns {Smoothed[]} */
  release() {
    const frame = this.waiting.shift();
    if (!frame) throw new Error("no frame waits");
    const { time, faces, ended } = frame;
    const halfWidth = this.options.half_width;
    const windows = faces.map(({ track }) => /** @type {TrackWindow} */ (this.windows.get(track)));
    const estimates = windows.map((window) => window.estimate(halfWidth, this.price));
    for (const window of windows) window.moveOn(halfWidth);
    const smoothed = this.smoother.update(time, faces, estimates);
    this.smoother.end(ended);
    for (const track of ended) this.windows.delete(track);
    return smoothed;
  }

  /** All tracks by number; the video is over. */
  finish() {
    return this.smoother.finish();
  }
}
