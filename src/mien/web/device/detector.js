// Mien's own detector: grid, distances, suppression, and the second network for the five points. As mien.detect.mien.

import { crop, inverse, mirrored, round, sample, shrink } from "./pixels.js";

/**
 * @typedef {import("./pixels.js").Rgb} Rgb
 * @typedef {import("./pixels.js").Matrix} Matrix
 * @typedef {number[]} Box xyxy pixels.
 * @typedef {number[][]} Points five xy.
 * @typedef {{ box: Box, score: number, points: Points }} Candidate
 * @typedef {{ data: Float32Array, dims: readonly number[] }} Tensor
 * @typedef {{ strides: number[], multiple: number, padding: number, max_candidates: number, max_log_distance: number,
 *   coarse_side: number, coarse_face: number, overlap: number, vote: number, confidence: number, max_pixels: number,
 *   min_face: number, crop_side: number, crop_reach: number }} Constants from the Python modules
 */

// Python holds boxes and points in single precision: the last digit decides which 32nd of a pixel a crop is sampled at
const single = Math.fround;
/** Order of the five points in a mirrored picture. */
const MIRROR = [1, 0, 2, 4, 3];

export class Detector {
  /**
   * @param {Constants} constants
   * @param {(images: Uint8Array, dims: number[]) => Promise<Tensor[]>} forward the network, one output per stride
   * @param {(crops: Uint8Array, dims: number[]) => Promise<Tensor>} points the network of the five points
   */
  constructor(constants, forward, points) {
    this.constants = constants;
    this.forward = forward;
    this.points = points;
  }

  /** The faces, best score first, with their boxes clamped to the picture. @param {Rgb} image @returns {Promise<Candidate[]>} */
  async detect(image) {
    const { max_pixels: most, min_face: least } = this.constants;
    const scale = Math.min(1, Math.sqrt(most / (image.width * image.height)));
    const width = Math.max(1, round(image.width * scale));
    const height = Math.max(1, round(image.height * scale));
    const [sx, sy] = [image.width / width, image.height / height];
    const found = (await this.#look(shrink(image, width, height))).map(({ box, score, points }) => ({
      box: box.map((value, i) => single(value * (i % 2 ? sy : sx))),
      score,
      points: points.map(([x, y]) => [single(x * sx), single(y * sy)]),
    }));
    const refined = await this.#refine(image, found);
    return found
      .map((face, i) => ({ ...face, points: refined[i], whole: face.box, box: clamped(face.box, image) }))
      .filter(({ box, whole }) => box[2] > box[0] && box[3] > box[1] && shorterSide(whole) >= least)
      .sort((a, b) => b.score - a.score)
      .map(({ box, score, points }) => ({ box, score, points }));
  }

  /** At the picture's own scale, and large faces in a small copy as well. @param {Rgb} image */
  async #look(image) {
    const { coarse_side: side, coarse_face: least } = this.constants;
    let found = await this.#candidates(image);
    const scale = side / Math.max(image.height, image.width);
    if (scale > 0 && scale <= 0.7) {
      const [width, height] = [Math.max(round(image.width * scale), 1), Math.max(round(image.height * scale), 1)];
      const large = (await this.#candidates(shrink(image, width, height))).filter(({ box }) => box[3] - box[1] >= least);
      const scaled = large.map(({ box, score, points }) => ({
        box: box.map((value) => single(value * single(1 / scale))),
        score,
        points: points.map((point) => point.map((value) => single(value * single(1 / scale)))),
      }));
      found = [...found, ...scaled].sort((a, b) => b.score - a.score);
    }
    return suppress(found, this.constants.overlap, this.constants.vote);
  }

  /** @param {Rgb} image @returns {Promise<Candidate[]>} */
  async #candidates(image) {
    const { multiple, padding } = this.constants;
    const padded = pad(image, multiple, padding);
    const outputs = await this.forward(padded.data, [1, padded.height, padded.width, 3]);
    return decode(outputs, this.constants);
  }

  /** Better points, from an upright crop of each face and of its mirror image. @param {Rgb} image @param {Candidate[]} faces */
  async #refine(image, faces) {
    if (!faces.length) return [];
    const { crop_side: side, crop_reach: reach } = this.constants;
    const matrices = faces.map((face) => cropMatrix(face, side, reach));
    const crops = faceCrops(image, matrices, side);
    const dims = [faces.length, side, side, 3];
    const straight = (await this.points(joined(crops), dims)).data;
    const turned = (await this.points(joined(crops.map(mirrored)), dims)).data;
    return matrices.map((matrix, n) => {
      const back = inverse(matrix);
      return MIRROR.map((other, i) => {
        const u = single(single(straight[10 * n + 2 * i] - turned[10 * n + 2 * other]) / 2);
        const v = single(single(straight[10 * n + 2 * i + 1] + turned[10 * n + 2 * other + 1]) / 2);
        const [x, y] = [(u + 0.5) * side, (v + 0.5) * side];
        return [single(back[0] * x + back[1] * y + back[2]), single(back[3] * x + back[4] * y + back[5])];
      });
    });
  }
}

/** @param {Box} box */
const shorterSide = (box) => Math.min(box[2] - box[0], box[3] - box[1]);

/** @param {Box} box @param {Rgb} image */
const clamped = (box, { width, height }) =>
  box.map((value, i) => Math.min(Math.max(value, 0), i % 2 ? height : width));

/** With a margin right and below, so that both sides are multiples. @param {Rgb} image @param {number} multiple @param {number} value @returns {Rgb} */
function pad(image, multiple, value) {
  const up = (/** @type {number} */ side) => Math.ceil(side / multiple) * multiple;
  const [width, height] = [up(image.width), up(image.height)];
  if (width === image.width && height === image.height) return image;
  const data = new Uint8Array(3 * width * height).fill(value);
  for (let y = 0; y < image.height; y += 1)
    data.set(image.data.subarray(3 * y * image.width, 3 * (y + 1) * image.width), 3 * y * width);
  return { data, width, height };
}

/**
 * Every cell whose score reaches the threshold, best first.
 * @param {Tensor[]} outputs per stride (1, 15, rows, columns) @param {Constants} constants @returns {Candidate[]}
 */
function decode(outputs, { strides, confidence, max_log_distance: longest, max_candidates: most }) {
  const least = Math.log(confidence) - Math.log1p(-confidence);
  /** @type {{ logit: number, at: number, stride: number, x: number, y: number, data: Float32Array, plane: number }[]} */
  const cells = [];
  outputs.forEach(({ data, dims }, k) => {
    const [rows, columns] = [dims[2], dims[3]];
    const plane = rows * columns;
    for (let at = 0; at < plane; at += 1) {
      if (data[at] < least) continue;
      const [x, y] = [at % columns, Math.floor(at / columns)];
      cells.push({ logit: data[at], at, stride: strides[k], x, y, data, plane });
    }
  });
  cells.sort((a, b) => b.logit - a.logit);
  return cells.slice(0, most).map(({ logit, at, stride, x, y, data, plane }) => {
    const value = (/** @type {number} */ channel) => data[channel * plane + at];
    const distance = (/** @type {number} */ channel) => Math.exp(Math.min(value(channel), longest)) * stride;
    const [cx, cy] = [(x + 0.5) * stride, (y + 0.5) * stride];
    const box = [cx - distance(1), cy - distance(2), cx + distance(3), cy + distance(4)];
    const [mx, my] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
    const [width, height] = [box[2] - box[0], box[3] - box[1]];
    const points = MIRROR.map((_, i) => [mx + value(5 + 2 * i) * width, my + value(6 + 2 * i) * height]);
    return {
      box: box.map(single),
      score: single(1 / (1 + Math.exp(-logit))),
      points: points.map((point) => point.map(single)),
    };
  });
}

/** Intersection over union. @param {Box} a @param {Box} b */
function overlapOf(a, b) {
  const wide = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const tall = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const area = (/** @type {Box} */ box) => Math.max((box[2] - box[0]) * (box[3] - box[1]), 1e-9);
  return (wide * tall) / (area(a) + area(b) - wide * tall);
}

/**
 * Greedy suppression; each box that is kept becomes the mean of those it stands for.
 * @param {Candidate[]} candidates best first @param {number} overlap @param {number} vote @returns {Candidate[]}
 */
export function suppress(candidates, overlap, vote) {
  /** @type {number[]} */
  const kept = [];
  candidates.forEach(({ box }, i) => {
    if (kept.every((k) => overlapOf(candidates[k].box, box) <= overlap)) kept.push(i);
  });
  const shared = kept.map((k) => candidates.map(({ box }) => overlapOf(candidates[k].box, box)));
  const best = candidates.map((_, j) => Math.max(...shared.map((row) => row[j])));
  return kept.map((k, row) => {
    const weights = candidates.map(({ score }, j) => {
      if (j === k) return shared[row][j] >= best[j] ? score : 0;
      return shared[row][j] >= vote && shared[row][j] >= best[j] ? shared[row][j] * score : 0;
    });
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const mean = (/** @type {(candidate: Candidate) => number} */ value) =>
      candidates.reduce((total, candidate, j) => (weights[j] ? total + weights[j] * value(candidate) : total), 0) / sum;
    return {
      box: [0, 1, 2, 3].map((i) => single(mean(({ box }) => box[i]))),
      score: candidates[k].score,
      points: MIRROR.map((_, i) => [0, 1].map((axis) => single(mean(({ points }) => points[i][axis])))),
    };
  });
}

/** From picture to crop: upright, the box's centre in the middle. @param {Candidate} face @param {number} side @param {number} reach @returns {Matrix} */
function cropMatrix({ box, points }, side, reach) {
  const downX = (points[3][0] + points[4][0]) / 2 - (points[0][0] + points[1][0]) / 2;
  const downY = (points[3][1] + points[4][1]) / 2 - (points[0][1] + points[1][1]) / 2;
  const angle = Math.atan2(-downX, downY);
  const scale = side / (reach * Math.max(box[2] - box[0], box[3] - box[1], 1));
  const [cos, sin] = [Math.cos(angle) * scale, Math.sin(angle) * scale];
  const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  return [cos, sin, side / 2 - (cos * x + sin * y), -sin, cos, side / 2 - (-sin * x + cos * y)];
}

/** Large faces are halved before they are sampled. @param {Rgb} image @param {Matrix[]} matrices @param {number} side */
function faceCrops(image, matrices, side) {
  const halvings = [image];
  return matrices.map((matrix) => {
    const scale = Math.hypot(matrix[0], matrix[1]);
    let level = 0;
    while (scale * 2 ** (level + 1) <= 1 && Math.min(halvings[level].width, halvings[level].height) >= 2) {
      level += 1;
      if (level < halvings.length) continue;
      const above = halvings[level - 1];
      const [width, height] = [Math.floor(above.width / 2), Math.floor(above.height / 2)];
      halvings.push(shrink(crop(above, 0, 0, 2 * width, 2 * height), width, height));
    }
    const by = 2 ** level;
    const [a, b, x, c, d, y] = matrix;
    return sample(halvings[level], inverse([a * by, b * by, x, c * by, d * by, y]), side);
  });
}

/** @param {Rgb[]} images */
function joined(images) {
  const length = images[0].data.length;
  const all = new Uint8Array(images.length * length);
  images.forEach(({ data }, i) => all.set(data, i * length));
  return all;
}
