// Mien's own detector: grid, distances, suppression, and the second network for the five points. As mien.detect.mien.

import { crop, inverse, mirrored, onGrid, round, sample, shrink } from "./pixels.js";
import { boxTile, paddedTile, quarterTile, splitTiles, turnedTile } from "./tiles.js";

/**
 * @typedef {import("./pixels.js").Rgb} Rgb
 * @typedef {import("./pixels.js").Matrix} Matrix
 * @typedef {number[]} Box xyxy pixels.
 * @typedef {number[][]} Points five xy.
 * @typedef {{ box: Box, score: number, points: Points }} Candidate
 * @typedef {{ data: Float32Array, dims: readonly number[] }} Tensor
 * @typedef {{ strides: number[], multiple: number, padding: number, max_candidates: number, max_log_distance: number,
 *   pixels_at_once: number, rough_pixels: number, coarsest: number, step: number, coarse_face: number, strip_overlap: number, padded_side: number,
 *   padded_margin: number, turned_side: number, overlap: number, vote: number, confidence: number, large_confidence: number,
 *   sure_confidence: number, second_confidence: number, smallest: number, reliable: number, max_scale: number, min_face: number | null,
 *   smallest_face: number, smallest_face_side: number, min_visible: number, tolerance: number, crop_side: number,
 *   crop_reach: number, doubtful: [number, number], plausible_confidence: number, confirm_side: number, confirm_reach: number,
 *   confirm_least: number, quarter_side: number, quarter_face: number, upright_score: number, quarter_score: number,
 *   quarter_gain: number, quarter_limit: number, same_face: number, body_width: number, body_depth: number, hat_height: number, body_ratio: number, inside_share: number,
 *   inside_ratio: number }} Constants from the Python modules
 * @typedef {{ confidence: number, crop_side: number, crop_reach: number, same_face: number, duplicate: number, recovery_score: number }} Near
 *   what `refine` goes by
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
    const c = this.constants;
    const least = smallestFace(image, c);
    const first = suppress(await this.#run(splitTiles(image, scaleFor(least, c), c), c.doubtful[0]), c.overlap, c.vote);
    const counting = first.filter(({ box }) => counts(box, image, c.min_face ?? 0, c));
    let found = (await this.#confirm(image, counting)).filter(({ score }) => score >= c.confidence);
    if (!first.length || first[0].score < c.sure_confidence) {
      // faces larger than the picture, and turned ones; boxes of different turns are not averaged
      const tiles = [paddedTile(image, c), ...[1, 2, 3].map((quarters) => turnedTile(image, quarters, c))];
      const again = suppress(await this.#run(tiles, Math.max(c.second_confidence, c.confidence)), c.overlap, 1);
      if (again.length) found = suppress([...found, ...again].sort(byScore), c.overlap, 1);
    }
    found = found.filter((face) => !isImplausible(face, found, c));
    return this.#faces(image, found, c.min_face ?? 0);
  }

  /**
   * The faces where some are expected, each with the number of the box that led to it, best score first.
   * @param {Rgb} image @param {Box[]} boxes @param {Near} near @returns {Promise<(Candidate & { origin: number })[]>}
   */
  async refine(image, boxes, near) {
    const c = this.constants;
    const { width, height } = image;
    /** @type {(Candidate & { origin: number })[]} */
    const found = [];
    for (const [origin, box] of boxes.entries()) {
      const inView = box[2] > box[0] && box[3] > box[1] && box[2] > 0 && box[3] > 0 && box[0] < width && box[1] < height;
      if (!inView) continue;
      const tile = boxTile(image, box, near.crop_side, near.crop_reach, c);
      const candidates = suppress(await this.#run([tile], near.confidence, 0), c.overlap, c.vote);
      /** @type {Candidate | null} */
      let best = null;
      let most = 0;
      for (const candidate of candidates) {
        const overlap = overlapOf(box, candidate.box);
        if (overlap < near.same_face || overlap * candidate.score <= most) continue;
        [best, most] = [candidate, overlap * candidate.score];
      }
      if (best) found.push({ ...best, origin });
    }
    /** @type {(Candidate & { origin: number })[]} */
    const kept = [];
    for (const face of found.sort(byScore))
      if (!kept.some(({ box }) => overlapOf(box, face.box) > near.duplicate)) kept.push(face);
    return this.#faces(image, kept, 0);
  }

  /**
   * With the points of the second network, without those that are too small or outside, clamped, best first.
   * @template {Candidate} Face @param {Rgb} image @param {Face[]} found @param {number} least @returns {Promise<Face[]>}
   */
  async #faces(image, found, least) {
    const refined = await this.#refine(image, found);
    return found
      .map((face, i) => ({ ...face, points: refined[i] }))
      .filter(({ box }) => counts(box, image, least, this.constants))
      .sort(byScore)
      .map((face) => ({ ...face, box: clamped(face.box, image) }));
  }

  /** What the network finds in tiles, in pixels of the picture, best score first. @param {import("./tiles.js").Tile[]} tiles @param {number} threshold @param {number} large least score of large faces */
  async #run(tiles, threshold, large = this.constants.large_confidence) {
    const constants = { ...this.constants, large_confidence: large };
    /** @type {Candidate[]} */
    const found = [];
    for (const { pixels, matrix, heights, rows } of tiles) {
      const outputs = await this.forward(pixels.data, [1, pixels.height, pixels.width, 3]);
      for (const candidate of decode(outputs, constants, threshold)) {
        const { box } = candidate;
        const [tall, row] = [box[3] - box[1], (box[1] + box[3]) / 2];
        if (tall >= heights[0] && tall <= heights[1] && row >= rows[0] && row < rows[1]) found.push(moved(candidate, matrix));
      }
    }
    return found.sort(byScore);
  }

  /** A second pass for doubtful faces, each in a crop; the score is the geometric mean of both. @param {Rgb} image @param {Candidate[]} faces */
  async #confirm(image, faces) {
    const { doubtful, confirm_side: side, confirm_reach: reach, confirm_least: least, quarter_limit: limit } = this.constants;
    /** @type {Candidate[]} */
    const confirmed = [];
    let isTurned = false;
    for (const face of faces) {
      if (face.score < doubtful[0] || face.score >= doubtful[1]) {
        confirmed.push(face);
        continue;
      }
      const tile = boxTile(image, face.box, side, reach, this.constants);
      const again = (await this.#faceIn(tile, face.box, least))?.score ?? 0;
      const turned = await this.#turnedFace(tile, face.box, again);
      isTurned ||= turned !== null;
      confirmed.push(
        turned
          ? { ...turned, score: Math.min(single(Math.sqrt(face.score * turned.score)), single(limit)) }
          : { ...face, score: single(Math.sqrt(face.score * again)) },
      );
    }
    confirmed.sort(byScore);
    // boxes of a turned face that stood apart may meet where it lies upright
    return isTurned ? suppress(confirmed, this.constants.overlap, 1) : confirmed;
  }

  /** The best face of a crop that is the one in this box. @param {import("./tiles.js").Tile} tile @param {Box} box @param {number} least score @returns {Promise<Candidate | null>} */
  async #faceIn({ pixels, matrix }, box, least) {
    const outputs = await this.forward(pixels.data, [1, pixels.height, pixels.width, 3]);
    const found = decode(outputs, { ...this.constants, large_confidence: 0 }, least).map((each) => moved(each, matrix));
    return found.find((each) => overlapOf(box, each.box) >= this.constants.same_face) ?? null;
  }

  /** The doubtful face, if it is clearer in its crop rotated by quarter turns. @param {import("./tiles.js").Tile} tile @param {Box} box @param {number} upright its score there @returns {Promise<Candidate | null>} */
  async #turnedFace(tile, box, upright) {
    const { quarter_face: smallest, upright_score: sure, quarter_score: least, quarter_gain: gain } = this.constants;
    if (upright >= sure || Math.max(box[2] - box[0], box[3] - box[1]) < smallest) return null;
    /** @type {Candidate | null} */
    let best = null;
    for (const quarters of [1, 2, 3]) {
      const face = await this.#faceIn(quarterTile(tile, quarters, this.constants), box, least);
      if (face && (!best || face.score > best.score)) best = face;
    }
    return best && best.score > upright + gain ? best : null;
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

const byScore = (/** @type {Candidate} */ a, /** @type {Candidate} */ b) => b.score - a.score;

/** One over a whole number where it can be: means of whole blocks are cheap. @param {number} least @param {Constants} constants */
function scaleFor(least, { smallest, reliable, max_scale: largest }) {
  if (least < smallest) return Math.min(smallest / least, largest);
  const block = Math.ceil(least / reliable);
  return block * smallest <= least ? 1 / block : Math.min(1, reliable / least);
}

/** Height in pixels of the smallest face to detect. @param {Rgb} image @param {Constants} constants */
function smallestFace(image, { min_face: least, smallest_face: smallest, smallest_face_side: side }) {
  if (least !== null) return least;
  return Math.max(smallest, round((Math.max(image.width, image.height) * smallest) / side));
}

/** A candidate of a tile in the picture; a turn by quarters maps corners to corners. @param {Candidate} candidate @param {import("./pixels.js").Matrix} matrix @returns {Candidate} */
function moved({ box, score, points }, matrix) {
  const [a, b, x, c, d, y] = matrix.map(single);
  const place = (/** @type {number[]} */ [u, v]) => [single(a * u + b * v + x), single(c * u + d * v + y)];
  const [first, second] = [place([box[0], box[1]]), place([box[2], box[3]])];
  return {
    box: [0, 1].map((i) => Math.min(first[i], second[i])).concat([0, 1].map((i) => Math.max(first[i], second[i]))),
    score,
    points: points.map(place),
  };
}

/** Whether a box is large enough, and enough of it lies inside the picture. @param {Box} box @param {Rgb} image @param {number} least @param {Constants} constants */
function counts(box, image, least, { min_visible: visible, tolerance }) {
  const [wide, tall] = [box[2] - box[0], box[3] - box[1]];
  const inside = clamped(box, image);
  const [seenWide, seenTall] = [inside[2] - inside[0], inside[3] - inside[1]];
  if (seenWide <= 1e-3 || seenTall <= 1e-3 || seenWide * seenTall < visible * wide * tall) return false;
  return Math.max(wide, tall) >= tolerance * least;
}

/** @param {Box} box @param {Rgb} image */
const clamped = (box, { width, height }) =>
  box.map((value, i) => Math.min(Math.max(value, 0), i % 2 ? height : width));

/**
 * Every cell whose score reaches the threshold, best first.
 * @param {Tensor[]} outputs per stride (1, 15, rows, columns) @param {Constants} constants @param {number} threshold
 * @returns {Candidate[]}
 */
function decode(outputs, { strides, max_log_distance: longest, max_candidates: most, large_confidence: large }, threshold) {
  /** @type {{ logit: number, at: number, stride: number, x: number, y: number, data: Float32Array, plane: number }[]} */
  const cells = [];
  outputs.forEach(({ data, dims }, k) => {
    // true faces of the coarsest stride, the large ones, score higher
    const value = k === strides.length - 1 ? Math.max(threshold, large) : threshold;
    const least = Math.log(value) - Math.log1p(-value);
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

/** Intersection over union, or over the smaller box's area. @param {Box} a @param {Box} b @param {boolean} overSmaller */
export function overlapOf(a, b, overSmaller = false) {
  const wide = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const tall = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const area = (/** @type {Box} */ box) => Math.max((box[2] - box[0]) * (box[3] - box[1]), 1e-9);
  return (wide * tall) / (overSmaller ? Math.min(area(a), area(b)) : area(a) + area(b) - wide * tall);
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
  if (vote >= 1) return kept.map((k) => candidates[k]);
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

/** Whether a doubtful face is inside a more certain one, or on its body or hat and far too small there. @param {Candidate} face @param {Candidate[]} all @param {Constants} constants */
function isImplausible({ box: ownBox, score }, all, constants) {
  const { plausible_confidence: sure, body_width: width, body_depth: depth } = constants;
  const { hat_height: hat, body_ratio: bodyRatio, inside_share: share, inside_ratio: insideRatio } = constants;
  if (score >= sure) return false;
  return all.some((surer) => {
    if (surer.score < sure) return false;
    // both as the surer face, were it upright, would see them
    let [box, face] = [ownBox, surer.box];
    for (let n = quartersOf(surer); n > 0; n -= 1) [box, face] = [box, face].map(([x1, y1, x2, y2]) => [y1, -x2, y2, -x1]);
    const [wide, tall] = [box[2] - box[0], box[3] - box[1]];
    const faceTall = face[3] - face[1];
    const inside =
      Math.max(0, Math.min(box[2], face[2]) - Math.max(box[0], face[0])) *
      Math.max(0, Math.min(box[3], face[3]) - Math.max(box[1], face[1]));
    if (inside > share * Math.max(wide * tall, 1e-9) && tall < insideRatio * faceTall) return true;
    const beside = Math.abs((box[0] + box[2]) / 2 - (face[0] + face[2]) / 2);
    const below = (box[1] + box[3]) / 2 - face[3];
    const above = face[1] - (box[1] + box[3]) / 2;
    const onBody = beside < (width / 2) * (face[2] - face[0]) && below >= 0 && below < depth * faceTall;
    const onHat = beside < (face[2] - face[0]) / 2 && above >= 0 && above < hat * faceTall;
    return (onBody || onHat) && tall < bodyRatio * faceTall;
  });
}

/** Clockwise quarters by which a face is turned, 0 to 3. @param {Candidate} face */
const quartersOf = (face) => (Math.round(rollAngle(face) / (Math.PI / 2)) + 4) % 4;

/** Radians by which a face is turned clockwise. @param {Candidate} face */
function rollAngle({ points }) {
  const at = points.map((point) => point.map(onGrid));
  const downX = (at[3][0] + at[4][0]) / 2 - (at[0][0] + at[1][0]) / 2;
  const downY = (at[3][1] + at[4][1]) / 2 - (at[0][1] + at[1][1]) / 2;
  return Math.atan2(-downX, downY);
}

/** From picture to crop: upright, the box's centre in the middle. @param {Candidate} face @param {number} side @param {number} reach @returns {Matrix} */
function cropMatrix(face, side, reach) {
  const box = face.box.map(onGrid);
  const angle = rollAngle(face);
  const scale = side / (reach * Math.max(box[2] - box[0], box[3] - box[1], 1));
  const [cos, sin] = [Math.cos(angle) * scale, Math.sin(angle) * scale];
  const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  return [cos, sin, side / 2 - (cos * x + sin * y), -sin, cos, side / 2 - (-sin * x + cos * y)];
}

/** Of large faces blocks of pixels are averaged before they are sampled. @param {Rgb} image @param {Matrix[]} matrices @param {number} side */
function faceCrops(image, matrices, side) {
  const least = Math.min(image.width, image.height);
  return matrices.map((matrix) => {
    const scale = Math.hypot(matrix[0], matrix[1]);
    let block = 1;
    while (scale * block * 2 <= 1 && least >= block * 2) block *= 2;
    const back = inverse(matrix);
    if (block === 1) return sample(image, back, side);
    // only the blocks that the crop needs, and one more around them for the samples between two
    const [left, right] = blocksOf(back[0], back[1], back[2], side, block, image.width);
    const [top, bottom] = blocksOf(back[3], back[4], back[5], side, block, image.height);
    const [width, height] = [right - left, bottom - top];
    const part = shrink(crop(image, left * block, top * block, width * block, height * block), width, height);
    const [a, b, x, c, d, y] = back.map((value) => value / block);
    return sample(part, [a, b, x - left, c, d, y - top], side);
  });
}

/** First block along an axis of those that a crop needs, and the one after the last. @param {number} a @param {number} b @param {number} shift @param {number} side @param {number} block @param {number} length of the picture */
function blocksOf(a, b, shift, side, block, length) {
  const count = Math.floor(length / block);
  const corners = [shift, shift + a * side, shift + b * side, shift + (a + b) * side];
  const low = Math.min(Math.max(Math.floor(Math.min(...corners) / block) - 1, 0), count - 1);
  return [low, Math.min(Math.max(Math.ceil(Math.max(...corners) / block) + 1, low + 1), count)];
}

/** @param {Rgb[]} images */
function joined(images) {
  const length = images[0].data.length;
  const all = new Uint8Array(images.length * length);
  images.forEach(({ data }, i) => all.set(data, i * length));
  return all;
}
