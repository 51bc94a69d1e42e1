// Predictions over the frames of a video: filtered, stable label, vote, and a summary of each track. As mien.smoothing.smoother.

import { NominalState, OrderedState, decay } from "./head_state.js";

/**
 * @typedef {import("./pipeline.js").Head} Head
 * @typedef {import("./head_state.js").Config} Config
 * @typedef {import("./head_state.js").Estimate} Estimate
 * @typedef {{ track: number, box: number[], score: number, points: number[][], rows: Record<string, number[] | null>,
 *   measures: Record<string, number> | null }} TrackedFace `rows`: head → probabilities of this frame, null where it has none;
 *   `measures`: how its crop is seen, null where no model has looked
 * @typedef {{ filtered: number[] | null, label: number, vote: import("./voting.js").Vote }} Nominal
 * @typedef {{ nominal: Record<string, Nominal>, pooled: Record<string, number[] | null> }} Smoothed
 * @typedef {{ probabilities: number[], shares?: number[], vote?: import("./voting.js").Vote,
 *   episodes?: (import("./episodes.js").Stretch & { mean: number })[] }} Summary
 * @typedef {{ id: number, start: number, end: number, frames: number, seen: number, predictions: Record<string, Summary> }} Track
 */

class TrackState {
  /** @param {number} id @param {number} time @param {Record<string, Head>} heads @param {Config} config */
  constructor(id, time, heads, config) {
    this.id = id;
    this.start = time;
    this.stop = time;
    this.frames = 0;
    this.seen = 0;
    /** @type {Record<string, NominalState>} */
    this.nominal = {};
    /** @type {Record<string, OrderedState>} */
    this.ordered = {};
    for (const [name, head] of Object.entries(heads)) {
      if (head.ordered) this.ordered[name] = new OrderedState(head, config);
      else this.nominal[name] = new NominalState(head, config, time);
    }
  }

  /** @param {number} seconds */
  closeFrame(seconds) {
    this.seen += seconds;
    this.stop += seconds;
    for (const state of Object.values(this.nominal)) state.closeFrame(seconds, this.stop);
  }

  /** @param {string[]} names @returns {Track} */
  summary(names) {
    /** @type {Record<string, Summary>} */
    const predictions = {};
    for (const name of names) {
      const one = this.nominal[name]?.summary(this.seen) ?? this.ordered[name]?.summary();
      if (one) predictions[name] = one;
    }
    return { id: this.id, start: this.start, end: this.stop, frames: this.frames, seen: this.seen, predictions };
  }
}

export class Smoother {
  /** @param {Record<string, Head>} heads @param {Config} config @param {number} interval @param {number} maxInterval */
  constructor(heads, config, interval, maxInterval) {
    this.heads = heads;
    this.config = config;
    this.maxInterval = maxInterval;
    /** @type {Map<number, TrackState>} */
    this.live = new Map();
    /** @type {Map<number, Track>} */
    this.ended = new Map();
    /** @type {TrackState[]} */
    this.current = [];
    /** @type {number | null} */
    this.time = null;
    this.interval = Math.min(interval, maxInterval);
    /** @type {number | null} */
    this.previous = null;
  }

  /**
   * The faces of one frame, in order of time. @param {number} time @param {TrackedFace[]} faces
   * @param {Record<string, Estimate>[] | null} estimates per face, head → where later frames determine it as well
   * @returns {Smoothed[]} per face
   */
  update(time, faces, estimates = null) {
    this.#advance(time);
    const seconds = this.interval;
    const kept = decay(seconds, this.config.smoothing.time_constant);
    const { large, min_weight: least } = this.config.views;
    this.current = faces.map(({ track, box, score, rows }, i) => {
      let live = this.live.get(track);
      if (!live) this.live.set(track, (live = new TrackState(track, time, this.heads, this.config)));
      live.frames += 1;
      live.stop = time;
      for (const [name, state] of Object.entries(live.nominal))
        state.addFrame(time, seconds, kept, rows[name] ?? null, estimates?.[i][name] ?? null);
      const weight = Math.max(score * Math.min(box[2] - box[0], box[3] - box[1], large), least);
      for (const [name, state] of Object.entries(live.ordered)) {
        const row = rows[name];
        if (row) state.addFrame(row, weight);
      }
      return live;
    });
    return this.current.map(({ nominal, ordered }) => ({
      nominal: Object.fromEntries(
        Object.entries(nominal).map(([name, state]) => {
          const { filtered, label } = state;
          return [name, { filtered, label, vote: state.vote(time) }];
        }),
      ),
      pooled: Object.fromEntries(Object.entries(ordered).map(([name, { pooled }]) => [name, pooled])),
    }));
  }

  /** Ends these tracks: only their summary is kept. @param {Iterable<number>} ids */
  end(ids) {
    for (const id of ids) {
      const live = this.live.get(id);
      if (!live) continue;
      this.live.delete(id);
      if (this.current.includes(live)) {
        this.current = this.current.filter((one) => one !== live);
        live.closeFrame(this.#length);
      }
      this.ended.set(id, live.summary(Object.keys(this.heads)));
    }
  }

  /** All tracks by number; the video is over. @returns {Track[]} */
  finish() {
    this.end([...this.live.keys()]);
    return [...this.ended.values()].sort((a, b) => a.id - b.id);
  }

  /** A lost frame doubles one interval, so the shorter of the last two is a frame's usual length. */
  get #length() {
    return this.previous === null ? this.interval : Math.min(this.interval, this.previous);
  }

  /** @param {number} time */
  #advance(time) {
    if (this.time !== null) {
      const passed = Math.min(time - this.time, this.maxInterval);
      for (const live of this.current) live.closeFrame(passed);
      if (passed > 0) {
        this.previous = this.previous === null ? passed : this.interval;
        this.interval = passed;
      }
    }
    this.time = time;
  }
}
