// Pixels of pictures: averaged smaller, sampled along a transform, turned to gray. They are what mien.geometry
// and mien.resampling compute.

/**
 * @typedef {{ data: Uint8Array, width: number, height: number }} Rgb RGB, row by row.
 * @typedef {number[]} Matrix [a, b, x, c, d, y]: (u, v) → (a u + b v + x, c u + d v + y).
 */

/** Half to even, as NumPy and Python round. @param {number} value */
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

/** Weights of red, green and blue in luma (ITU-R BT.601). */
const LUMA = [0.299, 0.587, 0.114].map(Math.fround);

/** Luma in single precision, as luma of mien.resampling: its last bit decides how half a level is rounded. @param {Rgb} image */
function luma({ data, width, height }) {
  const out = new Float32Array(width * height);
  for (let i = 0, j = 0; i < out.length; i += 1, j += 3) {
    const red = Math.fround(data[j] * LUMA[0]);
    out[i] = Math.fround(red + data[j + 1] * LUMA[1]) + data[j + 2] * LUMA[2];
  }
  return out;
}

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

/** Pixels up to which a picture is resized with exact weights; larger ones are resized with Pillow's integers. */
const EXACT = 192 * 192;
/** Factor of shrinking below which areas of pixels reach over two pixels at most. */
const NARROW = 1.45;

/**
 * @typedef {{ from: number, weights: Float64Array }[]} Shares for each new pixel, the first old one and the shares of those
 *   from there on
 * @typedef {(distance: number) => number} Filter share at a distance in new pixels, 0 from 1 on
 */

/** @type {Filter} */
const triangle = (distance) => Math.max(0, 1 - Math.abs(distance));

/** The filter's numbers are in single precision, as in Pillow. @type {Filter} */
function hamming(distance) {
  if (distance === 0) return 1;
  if (Math.abs(distance) >= 1) return 0;
  const angle = distance * Math.PI;
  return (Math.sin(angle) / angle) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(angle));
}

/**
 * A smaller copy, in which each pixel is the mean of the area that it covers: as shrink of mien.resampling.
 * @param {Rgb} image @param {number} width @param {number} height @param {boolean} rough whole blocks of pixels first:
 *   faster, and a little less sharp @returns {Rgb}
 */
export function shrink(image, width, height, rough = false) {
  if (width === image.width && height === image.height) return image;
  const [across, down] = [image.width / width, image.height / height];
  if (Number.isInteger(across) && Number.isInteger(down)) return shrinkByBlocks(image, across, down);
  if (image.width * image.height <= EXACT) return resizeExactly(image, width, height, areaShares);
  const filter = Math.min(across, down) < NARROW ? triangle : hamming;
  const [columns, rows] = rough ? [Math.floor(across), Math.floor(down)] : [1, 1];
  const blocks = columns > 1 || rows > 1 ? shrinkByBlocks(image, columns, rows) : image;
  // in single precision, as in Pillow
  const [x, y] = [Math.fround(image.width / columns), Math.fround(image.height / rows)];
  return resizeByIntegers(
    blocks,
    filterShares(x, width, filter, blocks.width),
    filterShares(y, height, filter, blocks.height),
  );
}

/** Of another size: averaged where it shrinks, interpolated where it grows. @param {Rgb} image @param {number} width @param {number} height @param {boolean} rough as for shrink @returns {Rgb} */
export function resize(image, width, height, rough = false) {
  const smaller = shrink(image, Math.min(width, image.width), Math.min(height, image.height), rough);
  if (smaller.width === width && smaller.height === height) return smaller;
  if (width * height <= EXACT) return resizeExactly(smaller, width, height, linearShares);
  return resizeByIntegers(
    smaller,
    filterShares(smaller.width, width, triangle),
    filterShares(smaller.height, height, triangle),
  );
}

/** The mean of blocks of pixels, those at the far edges perhaps smaller, with the integers that Pillow computes with. @param {Rgb} image @param {number} across @param {number} down @returns {Rgb} */
function shrinkByBlocks(image, across, down) {
  const [width, height] = [Math.ceil(image.width / across), Math.ceil(image.height / down)];
  const data = new Uint8Array(3 * width * height);
  const sums = new Float64Array(3 * width);
  for (let y = 0, to = 0; y < height; y += 1) {
    const lines = Math.min(down, image.height - y * down);
    sums.fill(0);
    for (let v = 0, at = 3 * y * down * image.width; v < lines; v += 1) {
      for (let x = 0, left = image.width; left > 0; x += 3, left -= across) {
        for (let u = Math.min(across, left); u > 0; u -= 1, at += 3) {
          sums[x] += image.data[at];
          sums[x + 1] += image.data[at + 1];
          sums[x + 2] += image.data[at + 2];
        }
      }
    }
    for (let x = 0; x < width; x += 1) {
      const count = lines * Math.min(across, image.width - x * across);
      const factor = Math.floor(Math.fround(2 ** 24 / count));
      const half = Math.floor(count / 2);
      for (let e = 0; e < 3; e += 1, to += 1) data[to] = Math.floor(((sums[3 * x + e] + half) * factor) / 2 ** 24);
    }
  }
  return { data, width, height };
}

/** Shares of a filter that is stretched over the old pixels, as Pillow computes them. @param {number} from may end within a pixel @param {number} to @param {Filter} filter @param {number} count of old pixels @returns {Shares} */
function filterShares(from, to, filter, count = from) {
  const scale = from / to;
  const reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach + 0.5), count);
    const weights = new Float64Array(end - first);
    for (let k = 0; k < weights.length; k += 1) weights[k] = filter((k + first - centre + 0.5) * (1 / reach));
    return { from: first, weights: normalised(weights) };
  });
}

/** @param {Float64Array} weights */
function normalised(weights) {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Bits after the point of Pillow's shares. */
const SHARE_BITS = 22;

/** Columns first, then rows, each rounded to bytes, with shares in integers: as Pillow. @param {Rgb} image @param {Shares} across @param {Shares} down @returns {Rgb} */
function resizeByIntegers(image, across, down) {
  const [width, height] = [across.length, down.length];
  const integers = (/** @type {Shares} */ shares) =>
    shares.map(({ from: first, weights }) => ({
      from: first,
      weights: Int32Array.from(weights, (weight) => Math.trunc(weight * (1 << SHARE_BITS) + (weight < 0 ? -0.5 : 0.5))),
    }));
  const half = 1 << (SHARE_BITS - 1);
  const byte = (/** @type {number} */ sum) => Math.min(255, Math.max(0, sum >> SHARE_BITS));
  let { data } = image;
  if (width !== image.width) {
    const columns = integers(across);
    const narrow = new Uint8Array(3 * width * image.height);
    for (let y = 0, to = 0; y < image.height; y += 1) {
      for (let x = 0; x < width; x += 1, to += 3) {
        const { from, weights } = columns[x];
        let [r, g, b] = [half, half, half];
        for (let k = 0, at = 3 * (y * image.width + from); k < weights.length; k += 1, at += 3) {
          r += weights[k] * data[at];
          g += weights[k] * data[at + 1];
          b += weights[k] * data[at + 2];
        }
        narrow[to] = byte(r);
        narrow[to + 1] = byte(g);
        narrow[to + 2] = byte(b);
      }
    }
    data = narrow;
  }
  if (height === image.height) return { data, width, height };
  const row = 3 * width;
  const out = new Uint8Array(row * height);
  const sums = new Int32Array(row);
  integers(down).forEach(({ from, weights }, y) => {
    sums.fill(half);
    weights.forEach((weight, k) => {
      for (let i = 0, at = row * (from + k); i < row; i += 1, at += 1) sums[i] += weight * data[at];
    });
    for (let i = 0; i < row; i += 1) out[row * y + i] = byte(sums[i]);
  });
  return { data: out, width, height };
}

/** Rows first, then columns, in single precision and rounded once. @param {Rgb} image @param {number} width @param {number} height @param {(from: number, to: number) => Shares} shares @returns {Rgb} */
function resizeExactly(image, width, height, shares) {
  const before = 3 * image.width;
  const columns = shares(image.width, width);
  const data = new Uint8Array(3 * width * height);
  const line = new Float32Array(before);
  shares(image.height, height).forEach(({ from, weights }, y) => {
    line.fill(0);
    weights.forEach((weight, k) => {
      const share = Math.fround(weight);
      for (let i = 0, at = before * (from + k); i < before; i += 1, at += 1) line[i] += share * image.data[at];
    });
    columns.forEach(({ from: first, weights: across }, x) => {
      for (let e = 0; e < 3; e += 1) {
        let sum = 0;
        for (let k = 0, at = 3 * first + e; k < across.length; k += 1, at += 3)
          sum = Math.fround(sum + Math.fround(across[k]) * line[at]);
        data[3 * (y * width + x) + e] = toByte(sum);
      }
    });
  });
  return { data, width, height };
}

/** The share of each old pixel in the area of a new one. @param {number} from @param {number} to @returns {Shares} */
function areaShares(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, i) => {
    const [low, high] = [i * scale, (i + 1) * scale];
    const first = Math.floor(low);
    const weights = new Float64Array(Math.min(Math.ceil(high), from) - first);
    for (let k = 0; k < weights.length; k += 1)
      weights[k] = Math.max(Math.min(high, first + k + 1) - Math.max(low, first + k), 0);
    return { from: first, weights: normalised(weights) };
  });
}

/** The shares of the two nearest old pixels; the edge is repeated. @param {number} from @param {number} to @returns {Shares} */
function linearShares(from, to) {
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * (from / to) - 0.5;
    const first = Math.floor(centre);
    const part = centre - first;
    if (first < 0 || first >= from - 1) return { from: Math.max(first, 0), weights: Float64Array.of(1) };
    return { from: first, weights: Float64Array.of(1 - part, part) };
  });
}

/** Positions of samples per pixel. */
const PARTS = 32;

/**
 * A square of `side` pixels, each sampled bilinearly at its centre; beyond the picture its edge is repeated.
 * @param {Rgb} image @param {Matrix} matrix from square to image, both in pixels with (0, 0) the outer corner of the first
 * @param {number} side @param {boolean} asGray the luma of the samples, in all three channels @returns {Rgb}
 */
export function sample(image, matrix, side, asGray = false) {
  const [a, b, x, c, d, y] = matrix;
  const { width, height } = image;
  const source = { data: asGray ? luma(image) : image.data, width, height };
  const out = new Uint8Array(3 * side * side);
  const colour = new Float32Array(asGray ? 1 : 3);
  const [left, top] = [x + (a + b) / 2 - 0.5, y + (c + d) / 2 - 0.5];
  for (let v = 0, to = 0; v < side; v += 1) {
    for (let u = 0; u < side; u += 1, to += 3) {
      bilinear(source, a * u + left + b * v, c * u + top + d * v, colour);
      for (let e = 0; e < 3; e += 1) out[to + e] = toByte(colour[asGray ? 0 : e]);
    }
  }
  return { data: out, width: side, height: side };
}

/**
 * A bilinear sample at a point in single precision, with (0, 0) the middle of the first pixel; not rounded.
 * @param {Rgb} image @param {number} x @param {number} y
 */
export function sampleAt(image, x, y) {
  const colour = new Float32Array(3);
  bilinear(image, Math.fround(x), Math.fround(y), colour);
  return colour;
}

/**
 * A bilinear sample at a position that is rounded to 32nds of a pixel; (0, 0) is the middle of the first one.
 * @param {{ data: Uint8Array | Float32Array, width: number, height: number }} image @param {number} x @param {number} y
 * @param {Float32Array} colour for the result, one number per channel
 */
function bilinear({ data, width, height }, x, y, colour) {
  const sx = round(x * PARTS);
  const sy = round(y * PARTS);
  const fx = Math.floor(sx / PARTS);
  const fy = Math.floor(sy / PARTS);
  const across = (sx - fx * PARTS) / PARTS;
  const down = (sy - fy * PARTS) / PARTS;
  const channels = colour.length;
  const x0 = channels * Math.min(Math.max(fx, 0), width - 1);
  const x1 = channels * Math.min(Math.max(fx + 1, 0), width - 1);
  const y0 = channels * width * Math.min(Math.max(fy, 0), height - 1);
  const y1 = channels * width * Math.min(Math.max(fy + 1, 0), height - 1);
  for (let e = 0; e < channels; e += 1) {
    const above = between(data[y0 + x0 + e], data[y0 + x1 + e], across);
    const below = between(data[y1 + x0 + e], data[y1 + x1 + e], across);
    colour[e] = between(above, below, down);
  }
}

/** In single precision. @param {number} one @param {number} other @param {number} part */
const between = (one, other, part) => Math.fround(Math.fround(Math.fround(other - one) * part) + one);

/** The inverse of a transform. @param {Matrix} matrix @returns {Matrix} */
export function inverse([a, b, x, c, d, y]) {
  const det = a * d - b * c;
  const [ia, ib, ic, id] = [d / det, -b / det, -c / det, a / det];
  return [ia, ib, -(ia * x + ib * y), ic, id, -(ic * x + id * y)];
}

/**
 * A square of an image by bilinear samples; where the transform shrinks, blocks of pixels are averaged first.
 * @param {Rgb} image @param {Matrix} matrix similarity transform from image to square @param {number} side
 * @param {boolean} asGray the luma of the samples, in all three channels @returns {Rgb}
 */
export function warp(image, matrix, side, asGray = false) {
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
  if (block === 1) return sample(region, back, side, asGray);
  const [kx, ky] = [h.cells / h.length, v.cells / v.length];
  for (let i = 0; i < 3; i += 1) {
    back[i] *= kx;
    back[3 + i] *= ky;
  }
  return sample(shrink(region, h.cells, v.cells), back, side, asGray);
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
export const gray = (image) => Uint8Array.from(luma(image), toByte);

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
