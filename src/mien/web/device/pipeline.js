// A picture → the faces in it with their predictions, as Python and the service return them.

import { alignFaces } from "./align.js";
import { Detector } from "./detector.js";
import { labelSet } from "./label_sets.js";
import { faceFlags, headPose, pixelMeasures } from "./view.js";

/**
 * @typedef {import("./pixels.js").Rgb} Rgb
 * @typedef {import("./detector.js").Candidate} Candidate
 * @typedef {{ removed: number, joined: string, share: number, temperature: number, kept: string[] }} Readout
 * @typedef {{ name: string, labels: string[], ordered: boolean, interval: number, auxiliary: boolean, frequencies: number[],
 *   readout: Readout, shown: string | null, ranges: number[][] | null, set_limits: number[] | null }} Head `shown` is its name
 *   in results, null where it is not in them; `set_limits` the greatest scores in its sets of labels, null for none; `interval` is the time between two predictions for a face of a video, seconds
 * @typedef {{ size: number, channels: string, measures: string[], mean: number[], std: number[],
 *   frame: import("./align.js").Frame, heads: Head[] }} Card
 * @typedef {Record<string, number>} Digits
 * @typedef {{ detector: { name: string, constants: import("./detector.js").Constants }, models: Record<string, Card>,
 *   views: Record<string, [string, string]>, digits: Digits, max_faces: number, view: import("./view.js").View,
 *   video: import("./video_pipeline.js").VideoConfig }} Config
 * @typedef {(model: string, data: Uint8Array | Float32Array, dims: number[]) => Promise<Record<string, import("./detector.js").Tensor>>} Run
 */

const MIN_PROBABILITY = 1e-12;

export class Pipeline {
  /** @param {Config} config @param {Run} run a network by name: "detector", "landmarks", or that of a model */
  constructor(config, run) {
    this.config = config;
    this.run = run;
    const { name, constants } = config.detector;
    this.detectorName = name;
    const outputs = constants.strides.map((stride) => `stride${stride}`);
    this.detector = new Detector(
      constants,
      async (images, dims) => {
        const found = await run("detector", images, dims);
        return outputs.map((output) => found[output]);
      },
      async (crops, dims) => (await run("landmarks", crops, dims)).points,
    );
  }

  /** @param {Rgb} image */
  async analyse(image) {
    const found = await this.detector.detect(image);
    const faces = found.slice(0, this.config.max_faces);
    const predictions = faces.map(() => /** @type {Record<string, object>} */ ({}));
    /** @type {Record<string, number>[]} */
    let measures = faces.map(() => ({}));
    for (const [k, name] of Object.keys(this.config.models).entries()) {
      const predicted = await this.predict(name, image, faces);
      if (k === 0) measures = predicted.measures;
      for (const [shown, { head, rows }] of Object.entries(predicted.heads))
        rows.forEach((row, i) => (predictions[i][shown] = this.prediction(head, row)));
    }
    const leftOut = found.length - faces.length;
    return {
      width: image.width,
      height: image.height,
      faces: faces.map((face, i) => ({
        ...this.seen(face, measures[i]),
        predictions: predictions[i],
        ...this.#views(predictions[i]),
      })),
      ...(leftOut ? { left_out: leftOut } : {}),
    };
  }

  /** Box, score and points as they are written, with pose, measures and flags. @param {Candidate} face @param {Record<string, number>} measures */
  seen({ box, score, points }, measures) {
    const { view, digits } = this.config;
    const pose = headPose(points, view);
    const numbers = Object.entries({ ...pose, ...measures });
    return {
      box: box.map((value) => rounded(value, digits.box)),
      score: rounded(score, digits.score),
      landmarks: points.map((point) => point.map((value) => rounded(value, digits.landmarks))),
      ...(numbers.length
        ? { view: Object.fromEntries(numbers.map(([name, value]) => [name, rounded(value, digits[name])])) }
        : {}),
      flags: faceFlags(box, pose, measures, view),
    };
  }

  /**
   * What a model predicts: head in results → its probabilities, per face; and how its crops are seen.
   * @param {string} name of the model @param {Rgb} image @param {Candidate[]} faces
   * @returns {Promise<{ heads: Record<string, { head: Head, rows: Float64Array[] }>, measures: Record<string, number>[] }>}
   */
  async predict(name, image, faces) {
    const card = this.config.models[name];
    if (!faces.length) return { heads: {}, measures: [] };
    const crops = alignFaces(image, faces, card.size, card.frame, this.detectorName, card.channels === "gray");
    const dims = [faces.length, card.mean.length, card.size, card.size];
    const outputs = await this.run(name, this.#input(crops, card), dims);
    const measures = crops.map((crop, i) => {
      const computed = card.measures.map((one) => [one, outputs[one].data[i]]);
      return { ...pixelMeasures(crop, this.config.view), ...Object.fromEntries(computed) };
    });
    const logitsOf = (/** @type {Head} */ one, /** @type {number} */ i) =>
      outputs[one.name].data.subarray(i * one.labels.length, (i + 1) * one.labels.length);
    const heads = card.heads.flatMap((head) => {
      if (head.shown === null) return [];
      const joined = card.heads.find((other) => other.name === head.readout.joined) ?? null;
      const rows = faces.map((_, i) =>
        readOut(head, logitsOf(head, i), joined && { logits: logitsOf(joined, i), labels: joined.labels }),
      );
      return [[head.shown, { head, rows }]];
    });
    return { heads: Object.fromEntries(heads), measures };
  }

  /** What a network takes: the aligned crops, normalised, channels first; of gray ones all channels are the same. @param {Rgb[]} crops @param {Card} card */
  #input(crops, card) {
    const { size, mean, std } = card;
    const plane = size * size;
    const input = new Float32Array(crops.length * mean.length * plane);
    crops.forEach((crop, n) => {
      mean.forEach((shift, c) => {
        const start = (n * mean.length + c) * plane;
        for (let i = 0; i < plane; i += 1) {
          input[start + i] = (Math.fround(crop.data[3 * i + c] / 255) - shift) / std[c];
        }
      });
    });
    return input;
  }

  /** A distribution as it is written. @param {Head} head @param {ArrayLike<number>} values */
  prediction(head, values) {
    const probabilities = Float64Array.from(values);
    const { digits } = this.config;
    const best = probabilities.indexOf(Math.max(...probabilities));
    const middles = head.ranges?.map(([low, high]) => (low + high + 1) / 2);
    const expected = middles?.reduce((sum, middle, i) => sum + middle * probabilities[i], 0);
    return {
      label: head.labels[best],
      ...(expected === undefined ? {} : { expected: rounded(expected, digits.expected) }),
      confidence: rounded(probabilities[best], digits.confidence),
      entropy: rounded(entropy(probabilities), digits.entropy),
      probabilities: Object.fromEntries(
        head.labels.map((label, i) => [label, rounded(probabilities[i], digits.probability)]),
      ),
      ...labelSet(head, probabilities),
    };
  }

  /** The shipped heads' labels stand in the face, too. @param {Record<string, any>} predictions */
  #views(predictions) {
    return Object.fromEntries(
      Object.entries(this.config.views).map(([key, [head, field]]) => [key, predictions[head]?.[field] ?? null]),
    );
  }
}

/**
 * Probabilities of a head under its prior. As mien.models.readout.
 * @param {Head} head @param {Float32Array} logits @param {{ logits: Float32Array, labels: string[] } | null} other of the joined head
 */
export function readOut({ labels, frequencies, readout }, logits, other) {
  const { removed, share, temperature, kept } = readout;
  const scores = logSoftmax(Array.from(logits));
  const moved = labels.map((_, i) => i).filter((i) => !kept.includes(labels[i]));
  if (other && share) {
    const common = moved.filter((i) => other.labels.includes(labels[i]));
    const theirs = logSoftmax(Array.from(other.logits));
    replace(scores, common, (i) => (1 - share) * scores[i] + share * theirs[other.labels.indexOf(labels[i])]);
  }
  if (removed) replace(scores, moved, (i) => scores[i] - removed * Math.log(frequencies[i]));
  return Float64Array.from(logSoftmax(scores.map((value) => value / temperature)), Math.exp);
}

/** Some log-probabilities by others up to a constant, so that their sum stays. @param {number[]} scores @param {number[]} which @param {(i: number) => number} value */
function replace(scores, which, value) {
  const values = which.map(value);
  const shift = logSum(which.map((i) => scores[i])) - logSum(values);
  which.forEach((i, k) => (scores[i] = values[k] + shift));
}

/** @param {number[]} values */
function logSum(values) {
  const top = Math.max(...values);
  return top + Math.log(values.reduce((sum, value) => sum + Math.exp(value - top), 0));
}

/** @param {number[]} values */
function logSoftmax(values) {
  const sum = logSum(values);
  return values.map((value) => value - sum);
}

/** 0 (one label certain) to 1 (all equally likely). @param {Float64Array} probabilities */
export function entropy(probabilities) {
  if (probabilities.length < 2) return 0;
  let sum = 0;
  for (const value of probabilities) {
    const p = Math.min(Math.max(value, MIN_PROBABILITY), 1);
    sum -= p * Math.log(p);
  }
  return Math.min(Math.max(sum / Math.log(probabilities.length), 0), 1);
}

/** @param {number} value @param {number} digits */
export const rounded = (value, digits) => Number(value.toFixed(digits));
