// Pixels of pictures: averaged smaller, sampled along a transform, turned to gray. They are what mien.geometry computes.

/**
 * @typedef {{ data: Uint8Array, width: number, height: number }} Rgb RGB, row by row.
 * @typedef {number[]} Matrix [a, b, x, c, d, y]: (u, v) → (a u + b v + x, c u + d v + y).
 */

/** Half to even, as OpenCV and NumPy round. @param {number} value */
export function round(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Steps of a coordinate per pixel. */
const GRID = 64;

/** A coordinate rounded to 64ths of a pixel, as on_grid of mien.geometry. @param {number} value */
export const onGrid = (value) => round(value * GRID) / GRID;

/** @param {number} value */
const toByte = (value) => Math.min(255, Math.max(0, round(value)));

/**
 * RGB of a canvas's RGBA; transparency lies on white, which the canvas must have had as its ground.
 * @param {Uint8ClampedArray} rgba @param {number} width @param {number} height @returns {Rgb}
 */
export function rgbOf(rgba, width, height) {
  const data = new Uint8Array(3 * width * height);
  for (let i = 0, j = 0; j < data.length; i += 4, j += 3) {
    data[j] = rgba[i];
    data[j + 1] = rgba[i + 1];
    data[j + 2] = rgba[i + 2];
  }
  return { data, width, height };
}

/**
 * A smaller copy, in which each pixel is the mean of the area that it covers, with OpenCV's roundings.
 * @param {Rgb} image @param {number} width @param {number} height @returns {Rgb}
 */
export function shrink(image, width, height) {
  if (width === image.width && height === image.height) return image;
  const [across, down] = [image.width / width, image.height / height];
  if (Number.isInteger(across) && Number.isInteger(down)) return shrinkByBlocks(image, width, height, across, down);
  const [columns, lines] = [areaWeights(image.width, width), areaWeights(image.height, height)];
  const data = new Uint8Array(3 * width * height);
  const row = new Float32Array(3 * width);
  const sum = new Float32Array(3 * width);
  for (let y = 0, to = 0; y < height; y += 1, to += row.length) {
    const { from, weights } = lines[y];
    sum.fill(0);
    weights.forEach((weight, k) => {
      sumColumns(image, from + k, columns, row);
      for (let i = 0; i < row.length; i += 1) sum[i] += Math.fround(weight * row[i]);
    });
    for (let i = 0; i < row.length; i += 1) data[to + i] = toByte(sum[i]);
  }
  return { data, width, height };
}

/** Of another size: averaged where it shrinks, interpolated where it grows. @param {Rgb} image @param {number} width @param {number} height @returns {Rgb} */
export function resize(image, width, height) {
  const smaller = shrink(image, Math.min(width, image.width), Math.min(height, image.height));
  return smaller.width === width && smaller.height === height ? smaller : enlarge(smaller, width, height);
}

/** Bilinear, with the integers that OpenCV computes with. @param {Rgb} image @param {number} width @param {number} height @returns {Rgb} */
function enlarge(image, width, height) {
  const taps = (/** @type {number} */ from, /** @type {number} */ to, /** @type {boolean} */ across) =>
    Array.from({ length: to }, (_, i) => {
      const place = Math.fround((i + 0.5) * (from / to) - 0.5);
      const floor = Math.floor(place);
      const [at, next] = [floor, floor + 1].map((value) => Math.min(Math.max(value, 0), from - 1));
      // at the upper and lower edge OpenCV weights one line twice, at the others it takes the pixel whole
      const part = across && (floor < 0 || floor >= from - 1) ? 0 : Math.fround(place - floor);
      return { at, next, near: round((1 - part) * 2048), far: round(part * 2048) };
    });
  const [columns, lines] = [taps(image.width, width, true), taps(image.height, height, false)];
  const line = (/** @type {number} */ y) => {
    const out = new Int32Array(3 * width);
    columns.forEach(({ at, next, near, far }, x) => {
      const [i, j] = [3 * (y * image.width + at), 3 * (y * image.width + next)];
      for (let e = 0; e < 3; e += 1) out[3 * x + e] = image.data[i + e] * near + image.data[j + e] * far;
    });
    return out;
  };
  const data = new Uint8Array(3 * width * height);
  lines.forEach(({ at, next, near, far }, y) => {
    const [above, below] = [line(at), line(next)];
    for (let i = 0; i < above.length; i += 1) {
      const sum = ((near * (above[i] >> 4)) >> 16) + ((far * (below[i] >> 4)) >> 16) + 2;
      data[3 * width * y + i] = Math.min(255, Math.max(0, sum >> 2));
    }
  });
  return { data, width, height };
}

/** @param {Rgb} image @param {number} y @param {{ from: number, weights: Float32Array }[]} columns @param {Float32Array} out */
function sumColumns({ data, width }, y, columns, out) {
  for (let x = 0, to = 0; x < columns.length; x += 1, to += 3) {
    const { from, weights } = columns[x];
    let [r, g, b] = [0, 0, 0];
    for (let k = 0, at = 3 * (y * width + from); k < weights.length; k += 1, at += 3) {
      r = Math.fround(r + Math.fround(weights[k] * data[at]));
      g = Math.fround(g + Math.fround(weights[k] * data[at + 1]));
      b = Math.fround(b + Math.fround(weights[k] * data[at + 2]));
    }
    [out[to], out[to + 1], out[to + 2]] = [r, g, b];
  }
}

/** @param {Rgb} image @param {number} width @param {number} height @param {number} across @param {number} down @returns {Rgb} */
function shrinkByBlocks(image, width, height, across, down) {
  const data = new Uint8Array(3 * width * height);
  const share = Math.fround(1 / (across * down));
  // OpenCV halves with integers, which round half up
  const halves = across === 2 && down === 2;
  for (let y = 0, to = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, to += 3) {
      for (let e = 0; e < 3; e += 1) {
        let sum = 0;
        for (let v = 0; v < down; v += 1) {
          const start = 3 * ((y * down + v) * image.width + x * across) + e;
          for (let u = 0; u < across; u += 1) sum += image.data[start + 3 * u];
        }
        data[to + e] = halves ? (sum + 2) >> 2 : toByte(Math.fround(sum * share));
      }
    }
  }
  return { data, width, height };
}

/**
 * For each of `to` pixels, the first of `from` pixels that it covers, and the shares of those that it covers.
 * @param {number} from @param {number} to
 */
function areaWeights(from, to) {
  const scale = from / to;
  const all = [];
  for (let i = 0; i < to; i += 1) {
    const start = i * scale;
    const end = start + scale;
    const cell = Math.min(scale, from - start);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(start), last);
    let begin = first;
    const weights = [];
    if (first - start > 1e-3) {
      begin = first - 1;
      weights.push((first - start) / cell);
    }
    for (let k = first; k < last; k += 1) weights.push(1 / cell);
    if (end - last > 1e-3) weights.push(Math.min(end - last, 1, cell) / cell);
    all.push({ from: begin, weights: Float32Array.from(weights) });
  }
  return all;
}

/** Bits of OpenCV's fixed-point coordinates, of the part of a pixel that it samples at, and of its weights. */
const COORDINATE = 10;
const PART = 5;
const WEIGHT = 15;

/**
 * A square of `side` pixels, each sampled bilinearly at its centre; beyond the picture its edge is repeated. The numbers
 * are OpenCV's: samples lie at 32nds of a pixel.
 * @param {Rgb} image @param {Matrix} matrix from square to image, both in pixels with (0, 0) the outer corner of the first
 * @param {number} side @returns {Rgb}
 */
export function sample(image, matrix, side) {
  const [a, b, x, c, d, y] = matrix;
  const { data, width, height } = image;
  const out = new Uint8Array(3 * side * side);
  const [left, top] = [x + (a + b) / 2 - 0.5, y + (c + d) / 2 - 0.5];
  const unit = 1 << COORDINATE;
  const half = 1 << (COORDINATE - PART - 1);
  const parts = 1 << PART;
  const clampX = (/** @type {number} */ value) => Math.min(Math.max(value, 0), width - 1);
  const clampY = (/** @type {number} */ value) => Math.min(Math.max(value, 0), height - 1);
  for (let v = 0, to = 0; v < side; v += 1) {
    const [startX, startY] = [round((b * v + left) * unit) + half, round((d * v + top) * unit) + half];
    for (let u = 0; u < side; u += 1, to += 3) {
      const sx = (startX + round(a * u * unit)) >> (COORDINATE - PART);
      const sy = (startY + round(c * u * unit)) >> (COORDINATE - PART);
      const [fx, fy, p, q] = [sx >> PART, sy >> PART, sx & (parts - 1), sy & (parts - 1)];
      const [x0, x1, y0, y1] = [clampX(fx), clampX(fx + 1), clampY(fy) * width, clampY(fy + 1) * width];
      const [i, j, k, l] = [3 * (y0 + x0), 3 * (y0 + x1), 3 * (y1 + x0), 3 * (y1 + x1)];
      const weights = [(parts - p) * (parts - q), p * (parts - q), (parts - p) * q, p * q];
      for (let e = 0; e < 3; e += 1) {
        const sum =
          weights[0] * data[i + e] + weights[1] * data[j + e] + weights[2] * data[k + e] + weights[3] * data[l + e];
        out[to + e] = (sum * (1 << (WEIGHT - 2 * PART)) + (1 << (WEIGHT - 1))) >> WEIGHT;
      }
    }
  }
  return { data: out, width: side, height: side };
}

/**
 * A bilinear sample at a point, with (0, 0) the middle of the first pixel; rounded as OpenCV's remap does it.
 * @param {Rgb} image @param {number} x @param {number} y @returns {[number, number, number]}
 */
export function sampleAt({ data, width, height }, x, y) {
  const parts = 1 << PART;
  const [sx, sy] = [round(Math.fround(x) * parts), round(Math.fround(y) * parts)];
  const [fx, fy, p, q] = [Math.floor(sx / parts), Math.floor(sy / parts), sx & (parts - 1), sy & (parts - 1)];
  const [x0, x1] = [fx, fx + 1].map((value) => Math.min(Math.max(value, 0), width - 1));
  const [y0, y1] = [fy, fy + 1].map((value) => Math.min(Math.max(value, 0), height - 1) * width);
  const [i, j, k, l] = [3 * (y0 + x0), 3 * (y0 + x1), 3 * (y1 + x0), 3 * (y1 + x1)];
  const at = (/** @type {number} */ e) =>
    ((parts - p) * (parts - q) * data[i + e] +
      p * (parts - q) * data[j + e] +
      (parts - p) * q * data[k + e] +
      p * q * data[l + e] +
      (1 << (2 * PART - 1))) >>
    (2 * PART);
  return [at(0), at(1), at(2)];
}

/** The inverse of a transform. @param {Matrix} matrix @returns {Matrix} */
export function inverse([a, b, x, c, d, y]) {
  const det = a * d - b * c;
  const [ia, ib, ic, id] = [d / det, -b / det, -c / det, a / det];
  return [ia, ib, -(ia * x + ib * y), ic, id, -(ic * x + id * y)];
}

/**
 * A square of an image by bilinear samples; where the transform shrinks, blocks of pixels are averaged first.
 * @param {Rgb} image @param {Matrix} matrix similarity transform from image to square @param {number} side @returns {Rgb}
 */
export function warp(image, matrix, side) {
  const back = inverse(matrix);
  const step = Math.hypot(back[0], back[3]);
  const block = Math.max(round(step / 1.2), 1);
  const margin = step + block;
  const corners = [0, side].flatMap((u) => [0, side].map((v) => [u, v]));
  const xs = corners.map(([u, v]) => back[0] * u + back[1] * v + back[2]);
  const ys = corners.map(([u, v]) => back[3] * u + back[4] * v + back[5]);
  const span = (/** @type {number[]} */ values, /** @type {number} */ limit) => {
    const low = Math.min(Math.max(Math.floor(Math.min(...values) - margin), 0), limit - 1);
    const high = Math.min(Math.max(Math.ceil(Math.max(...values) + margin), low + 1), limit);
    const cells = Math.max(Math.floor((high - low) / block), 1);
    return { low, cells, length: Math.min(high, low + cells * block) - low };
  };
  const [h, v] = [span(xs, image.width), span(ys, image.height)];
  const region = crop(image, h.low, v.low, h.length, v.length);
  back[2] -= h.low;
  back[5] -= v.low;
  if (block === 1) return sample(region, back, side);
  const [kx, ky] = [h.cells / h.length, v.cells / v.length];
  for (let i = 0; i < 3; i += 1) {
    back[i] *= kx;
    back[3 + i] *= ky;
  }
  return sample(shrink(region, h.cells, v.cells), back, side);
}

/** @param {Rgb} image @param {number} left @param {number} top @param {number} width @param {number} height @returns {Rgb} */
export function crop(image, left, top, width, height) {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y += 1) {
    const from = 3 * ((top + y) * image.width + left);
    data.set(image.data.subarray(from, from + 3 * width), 3 * y * width);
  }
  return { data, width, height };
}

/** Luma of ITU-R BT.601, one byte per pixel. @param {Rgb} image */
export function gray({ data, width, height }) {
  const out = new Uint8Array(width * height);
  for (let i = 0, j = 0; i < out.length; i += 1, j += 3)
    out[i] = (9798 * data[j] + 19235 * data[j + 1] + 3735 * data[j + 2] + 16384) >> 15;
  return out;
}

/** Mirrored left to right. @param {Rgb} image @returns {Rgb} */
export function mirrored({ data, width, height }) {
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const [from, to] = [3 * (y * width + x), 3 * (y * width + width - 1 - x)];
      out[to] = data[from];
      out[to + 1] = data[from + 1];
      out[to + 2] = data[from + 2];
    }
  }
  return { data: out, width, height };
}
