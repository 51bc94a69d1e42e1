// Episodes of one track: stretches of one stable label, collected frame by frame. As mien.smoothing.episodes.

import { TIME_TOLERANCE } from "./time_tolerance.js";

/** @typedef {{ label: number, start: number, end: number, peak: number, peakTime: number, weight: number, total: number }} Stretch */

export class EpisodeLog {
  /** @param {number} shortest seconds of an episode @param {number} bridge longest gap within one, seconds */
  constructor(shortest, bridge) {
    this.shortest = shortest - TIME_TOLERANCE;
    this.bridge = bridge + TIME_TOLERANCE;
    /** @type {Stretch[]} */
    this.stretches = [];
    this.fixed = 0; // number of stretches that cannot change any more
    this.open = false;
  }

  /** A frame with the face. @param {number} label of the stable label, -1 for none @param {number} time @param {number} probability smoothed */
  addFrame(label, time, probability) {
    let top = this.open ? (this.stretches.at(-1) ?? null) : null;
    if (top === null || top.label !== label || time - top.end > this.bridge) {
      this.open = label >= 0;
      if (!this.open) return;
      top = this.#begin(label, time, probability);
    }
    top.end = Math.max(top.end, time);
    if (probability > top.peak) [top.peak, top.peakTime] = [probability, time];
  }

  /** The length of the last frame with the face. @param {number} probability @param {number} end @param {number} seconds */
  closeFrame(probability, end, seconds) {
    const top = this.stretches.at(-1);
    if (!this.open || !top) return;
    top.end = end;
    top.weight += seconds;
    top.total += seconds * probability;
  }

  /** Those that are long enough, in order of time. */
  episodes() {
    return this.stretches
      .filter((one) => this.#isLong(one))
      .map((one) => ({ ...one, mean: one.weight ? one.total / one.weight : one.peak }));
  }

  /** @param {Stretch} stretch */
  #isLong = (stretch) => stretch.end - stretch.start >= this.shortest;

  /** @param {number} label @param {number} time @param {number} probability */
  #begin(label, time, probability) {
    const { stretches } = this;
    for (let i = stretches.length - 1; i >= 0; i -= 1) {
      const stretch = stretches[i];
      if (time - stretch.end > this.bridge) break;
      if (stretch.label === label) {
        stretches.splice(i + 1);
        return stretch;
      }
      if (this.#isLong(stretch)) break;
    }
    /** @type {Stretch[]} */
    let tail = [];
    for (const stretch of stretches.slice(this.fixed)) {
      if (this.#isLong(stretch)) tail = [...tail.filter(this.#isLong), stretch];
      else if (time - stretch.end <= this.bridge) tail.push(stretch);
    }
    stretches.splice(this.fixed, stretches.length, ...tail);
    for (let i = this.fixed; i < stretches.length; i += 1) if (this.#isLong(stretches[i])) this.fixed = i;
    const stretch = { label, start: time, end: time, peak: probability, peakTime: time, weight: 0, total: 0 };
    stretches.push(stretch);
    return stretch;
  }
}
