// Frames → analysed frames: detect or propagate, track, predict, smooth. As mien.pipeline.video; one per clip or camera.

import { Detector, overlapOf } from "./detector.js";
import { labelSet } from "./label_sets.js";
import { LookAheadSmoother } from "./look_ahead.js";
import { rounded } from "./pipeline.js";
import { SceneCutDetector } from "./scene_cuts.js";
import { Smoother } from "./smoother.js";
import { Tracker } from "./tracker.js";

/**
 * @typedef {import("./pixels.js").Rgb} Rgb
 * @typedef {import("./pipeline.js").Pipeline} Pipeline
 * @typedef {import("./pipeline.js").Head} Head
 * @typedef {import("./detector.js").Candidate} Candidate
 * @typedef {import("./smoother.js").Smoothed} Smoothed
 * @typedef {import("./smoother.js").TrackedFace} TrackedFace
 * @typedef {{ tracking: { detect_every: number, max_gap: number, min_track: number }, min_gap_frames: number, interval: number,
 *   live_min_face: number, near: import("./detector.js").Near,
 *   propagation: { same_face: number, cover: number }, tracker: import("./tracker.js").Constants,
 *   appearance: import("./appearance.js").Constants, cuts: import("./scene_cuts.js").Constants,
 *   schemas: { frame: string, report: string }, digits: Record<string, number> } & import("./head_state.js").Config} VideoConfig
 * @typedef {{ width: number, height: number, index: number, time: number, cut: boolean, detected: boolean, faces: TrackedFace[] }} Tracked
 */

const INTERVAL_TOLERANCE = 1e-6;

export class VideoPipeline {
  /** @param {Pipeline} pipeline @param {{ live?: boolean, interval?: number, detectEvery?: number }} options `interval`: seconds between frames */
  constructor(pipeline, { live = false, interval, detectEvery } = {}) {
    const config = pipeline.config.video;
    const step = interval ?? config.interval;
    this.pipeline = pipeline;
    this.config = config;
    const { forward, points, constants } = pipeline.detector;
    this.detector = live
      ? new Detector({ ...constants, min_face: config.live_min_face }, forward, points)
      : pipeline.detector;
    this.detectEvery = detectEvery ?? config.tracking.detect_every;
    this.cuts = new SceneCutDetector(config.cuts);
    const gap = Math.max(config.tracking.max_gap, config.min_gap_frames * step);
    this.tracker = new Tracker(config.tracker, config.appearance, gap);
    /** @type {Record<string, Head>} */
    this.heads = {};
    for (const card of Object.values(pipeline.config.models))
      for (const head of card.heads) if (head.shown !== null && !head.auxiliary) this.heads[head.shown] = head;
    const longest = Math.max(1, config.min_gap_frames * step);
    this.smoother = new (live ? Smoother : LookAheadSmoother)(this.heads, config, step, longest);
    /** @type {Tracked[]} */
    this.waiting = [];
    /** @type {Map<string, Map<number, number>>} model → track → time of its last prediction */
    this.lastPrediction = new Map();
    /** @type {Set<number>} */
    this.live = new Set();
    this.position = 0;
    this.coverage = { frames: 0, without_face: 0, first: 0, last: 0, step: 0, width: 0, height: 0 };
  }

  /** The next frame; returns those whose results are final. @param {Rgb} image @param {number} index @param {number} time */
  async step(image, index, time) {
    const tracked = await this.#track(image, index, time);
    const ended = tracked.ended;
    const models = Object.keys(this.pipeline.config.models);
    for (const name of models.sort((a, b) => Math.sign(this.#interval(a)) - Math.sign(this.#interval(b))))
      await this.#predict(name, image, tracked);
    this.waiting.push(tracked);
    if (this.smoother instanceof LookAheadSmoother)
      return this.smoother.update(time, tracked.faces, ended).map((smoothed) => this.#finished(smoothed));
    const smoothed = this.smoother.update(time, tracked.faces);
    this.smoother.end(ended);
    return [this.#finished(smoothed)];
  }

  /** The frames that still wait, and the report: no other frame follows. */
  finish() {
    const frames = [];
    if (this.smoother instanceof LookAheadSmoother)
      while (this.waiting.length) frames.push(this.#finished(this.smoother.release()));
    const least = this.config.tracking.min_track;
    const { frames: count, without_face: without, first, last, step, width, height } = this.coverage;
    const described = Object.entries(this.heads).map(([name, { labels, ordered }]) => [name, { labels, ordered }]);
    const tracks = this.smoother.finish().filter(({ seen }) => seen >= least);
    return {
      frames,
      summary: {
        width,
        height,
        coverage: {
          frames: count,
          without_face: without,
          lost: 0,
          dropped: 0,
          seconds: rounded(last - first + step, 3),
          problems: /** @type {string[]} */ ([]),
        },
        heads: Object.fromEntries(described),
      },
      tracks: tracks.map((track) => this.#trackObject(track)),
    };
  }

  /** Detects or propagates the faces of a frame, and assigns them to tracks. @param {Rgb} image @param {number} index @param {number} time */
  async #track(image, index, time) {
    const cut = this.cuts.update(image);
    if (cut) this.tracker.endTracks();
    const detects = cut || this.position % this.detectEvery === 0;
    const most = this.pipeline.config.max_faces;
    const expected = this.tracker.predict(time);
    let faces = [];
    if (!detects) faces = await this.detector.refine(image, expected.map(({ box }) => box), this.config.near);
    else {
      faces = (await this.detector.detect(image)).slice(0, most);
      if (!cut) faces = await this.#recoverMissed(image, faces, expected.map(({ box }) => box));
    }
    const tracks = this.tracker.update(faces.map(({ box }) => box.map(Math.fround)), time, image);
    const live = this.tracker.liveTracks(time);
    const ended = [...this.live].filter((track) => !live.has(track));
    this.live = live;
    this.position += 1;
    const { coverage } = this;
    if (!coverage.frames) [coverage.first, coverage.width, coverage.height] = [time, image.width, image.height];
    else coverage.step = Math.max(time - coverage.last, 0);
    coverage.frames += 1;
    coverage.without_face += faces.length ? 0 : 1;
    coverage.last = time;
    const tracked = faces.map((face, i) => ({ ...face, track: tracks[i], rows: {}, measures: null }));
    return { width: image.width, height: image.height, index, time, cut, detected: detects, faces: tracked, ended };
  }

  /** Adds faces that the detector missed where a track expects one. @param {Rgb} image @param {Candidate[]} faces @param {number[][]} boxes */
  async #recoverMissed(image, faces, boxes) {
    const missed = boxes.filter((box) => !this.#isAny(box, faces));
    if (!missed.length) return faces;
    const recovered = (await this.detector.refine(image, missed, this.config.near)).filter(
      ({ score, box }) => score >= this.config.near.recovery_score && !this.#isAny(box, faces),
    );
    return recovered.length ? [...faces, ...recovered].sort((a, b) => b.score - a.score) : faces;
  }

  /** Whether a box is the same face as one of these. @param {number[]} box @param {Candidate[]} faces */
  #isAny(box, faces) {
    const { same_face: same, cover } = this.config.propagation;
    return faces.some((face) => overlapOf(box, face.box) > same || overlapOf(box, face.box, true) > cover);
  }

  /** Seconds between two predictions of a model for the same face. @param {string} name */
  #interval(name) {
    return Math.min(...this.pipeline.config.models[name].heads.map((head) => head.interval));
  }

  /** The predictions of one model for the faces that are due. @param {string} name @param {Rgb} image @param {Tracked & { ended: number[] }} tracked */
  async #predict(name, image, { faces, time, ended }) {
    const interval = this.#interval(name);
    let due = faces;
    if (interval > 0) {
      const times = this.lastPrediction.get(name) ?? new Map();
      this.lastPrediction.set(name, times);
      due = faces.filter(({ track }) => {
        const last = times.get(track);
        if (last !== undefined && time - last < interval - INTERVAL_TOLERANCE && time >= last) return false;
        times.set(track, time);
        return true;
      });
      for (const track of ended) times.delete(track);
    }
    const { heads, measures } = await this.pipeline.predict(name, image, due);
    // the view of a face: from the first model that runs on all faces, or else from the first that runs
    if (faces.every((face) => face.measures === null)) due.forEach((face, i) => (face.measures = measures[i]));
    for (const [head, { rows }] of Object.entries(heads))
      rows.forEach((row, i) => {
        // Python holds probabilities in single precision, and makes their sum 1 again
        const values = Array.from(row, Math.fround);
        const sum = values.reduce((total, value) => total + value, 0);
        due[i].rows[head] = values.map((value) => value / sum);
      });
  }

  /** The frame that has waited longest, as it is written. @param {Smoothed[]} smoothed */
  #finished(smoothed) {
    const frame = /** @type {Tracked} */ (this.waiting.shift());
    const { digits } = this.config;
    return {
      schema: this.config.schemas.frame,
      frame: frame.index,
      time: rounded(frame.time, digits.face_time),
      detected: frame.detected,
      ...(frame.cut ? { cut: true } : {}),
      width: frame.width,
      height: frame.height,
      faces: frame.faces.map((face, i) => this.#faceObject(face, smoothed[i])),
    };
  }

  /** @param {TrackedFace} face @param {Smoothed} smoothed */
  #faceObject(face, { nominal, pooled }) {
    const { face_smoothed: fine, face_vote: coarse } = this.config.digits;
    /** @type {Record<string, any>} */
    const predictions = {};
    for (const [name, head] of Object.entries(this.heads)) {
      const row = head.ordered ? pooled[name] : face.rows[name];
      const written = row ? this.pipeline.prediction(head, row) : {};
      if (head.ordered) {
        if (row) predictions[name] = written;
        continue;
      }
      const { filtered, label, vote } = nominal[name];
      predictions[name] = {
        ...written,
        stable: label >= 0 ? head.labels[label] : null,
        ...(filtered ? { smoothed: byLabel(head.labels, filtered, fine) } : {}),
        ...(vote.label === null ? {} : { vote: voteObject(vote, coarse) }),
      };
    }
    return { track: face.track, ...this.pipeline.seen(face, face.measures ?? {}), predictions, ...this.#views(predictions) };
  }

  /** @param {import("./smoother.js").Track} track */
  #trackObject({ id, start, end, frames, seen, predictions }) {
    const d = this.config.digits;
    /** @type {Record<string, any>} */
    const written = {};
    /** @type {{ track: number, head: string, label: string, start: number, end: number, peak: number, peak_time: number, mean: number }[]} */
    const episodes = [];
    for (const [name, head] of Object.entries(this.heads)) {
      const one = predictions[name];
      if (!one) continue;
      const { label, expected } = this.pipeline.prediction(head, one.probabilities);
      const set = labelSet(head, one.probabilities);
      written[name] = {
        label,
        ...(expected === undefined ? {} : { expected }),
        probabilities: byLabel(head.labels, one.probabilities, d.track_probabilities),
        ...set,
      };
      if (head.ordered || !one.vote || !one.episodes) continue;
      const { vote } = one;
      if (one.shares?.length) written[name].shares = byLabel(head.labels, one.shares, d.track_shares);
      written[name].vote = { ...voteObject(vote, d.track_vote), n: vote.n, decided: vote.label !== null && vote.low > 0.5 };
      written[name].episodes = one.episodes.length;
      for (const episode of one.episodes)
        episodes.push({
          track: id,
          head: name,
          label: head.labels[episode.label],
          start: rounded(episode.start, d.episode_start),
          end: rounded(episode.end, d.episode_end),
          peak: rounded(episode.peak, d.episode_peak),
          peak_time: rounded(episode.peakTime, d.episode_peak_time),
          mean: rounded(episode.mean, d.episode_mean),
        });
    }
    episodes.sort((a, b) => a.start - b.start || (a.head < b.head ? -1 : 1));
    return {
      track: id,
      start: rounded(start, d.track_start),
      end: rounded(end, d.track_end),
      frames,
      seen: rounded(seen, d.track_seen),
      predictions: written,
      ...this.#views(written),
      ...(Object.values(this.heads).some(({ ordered }) => !ordered) ? { episodes } : {}),
    };
  }

  /** The shipped heads' labels stand in the face and the track, too. @param {Record<string, any>} predictions */
  #views(predictions) {
    /** @type {Record<string, any>} */
    const views = {};
    for (const [key, [head, field]] of Object.entries(this.pipeline.config.views)) {
      const value = predictions[head]?.[field];
      if (value !== undefined) views[key] = value;
    }
    return views;
  }
}

/** @param {string[]} labels @param {ArrayLike<number>} values @param {number} digits */
const byLabel = (labels, values, digits) =>
  Object.fromEntries(labels.map((label, i) => [label, rounded(values[i], digits)]));

/** @param {import("./voting.js").Vote} vote @param {number} digits */
const voteObject = ({ label, share, low, high }, digits) => ({
  label,
  share: rounded(share, digits),
  low: rounded(low, digits),
  high: rounded(high, digits),
});
