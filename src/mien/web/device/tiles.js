// The parts of copies of a picture that the detector's network gets. As mien.detect.single_shot.

import { crop, resize, shrink, round } from "./pixels.js";

/**
 * @typedef {import("./pixels.js").Rgb} Rgb
 * @typedef {import("./pixels.js").Matrix} Matrix
 * @typedef {{ pixels: Rgb, matrix: Matrix, heights: [number, number], rows: [number, number] }} Tile `matrix` leads from
 *   pixels of the tile to those of the picture; faces of these heights, and centres in these rows, count
 * @typedef {import("./detector.js").Constants} Constants
 */

/** @type {[number, number]} */
const ANY = [-Infinity, Infinity];

/**
 * The scaled picture, and smaller copies for larger faces. @param {Rgb} image @param {number} scale
 * @param {Constants} constants @returns {Tile[]}
 */
export function splitTiles(image, scale, constants) {
  const { coarsest, coarse_face: coarseFace, rough_pixels: roughPixels } = constants;
  const block = round(1 / scale);
  const whole = block >= 2 && scale === 1 / block && Math.min(image.width, image.height) >= block;
  const longest = Math.max(round(Math.max(image.height, image.width) * scale), 1);
  let copy = whole ? blocks(image, block) : withLongest(image, longest, roughPixels);
  /** @type {[number, number]} */
  let pixel = whole ? [block, block] : [image.width / copy.width, image.height / copy.height];
  let least = 0;
  const tiles = [];
  for (;;) {
    const last = Math.max(copy.width, copy.height) <= coarsest / 0.7;
    tiles.push(...strips(copy, pixel, least, last, constants));
    if (last) return tiles;
    [copy, pixel] = coarser(copy, pixel, constants);
    least = coarseFace;
  }
}

/**
 * The next smaller copy, and the sides of its pixels in the picture: of whole blocks where it can. @param {Rgb} copy
 * @param {[number, number]} pixel @param {Constants} constants @returns {[Rgb, [number, number]]}
 */
function coarser(copy, [x, y], { coarsest, step, rough_pixels: roughPixels }) {
  const { width, height } = copy;
  const longest = Math.max(width, height);
  const block = round(longest / Math.max(coarsest, longest / step));
  if (block < 2 || Math.min(width, height) < block) {
    const smaller = withLongest(copy, Math.max(coarsest, round(longest / step)), roughPixels);
    return [smaller, [(x * width) / smaller.width, (y * height) / smaller.height]];
  }
  return [blocks(copy, block), [x * block, y * block]];
}

/** Means of blocks of pixels; what is left at the right and at the bottom is cut off. @param {Rgb} image @param {number} block @returns {Rgb} */
function blocks(image, block) {
  const [across, down] = [Math.floor(image.width / block), Math.floor(image.height / block)];
  return shrink(crop(image, 0, 0, across * block, down * block), across, down);
}

/** A copy as one tile, or as overlapping strips where it is large. @param {Rgb} copy @param {[number, number]} pixel its sides in the picture @param {number} least @param {boolean} whole @param {Constants} constants @returns {Tile[]} */
function strips(copy, [x, y], least, whole, constants) {
  const { pixels_at_once: most, strip_overlap: overlap, multiple } = constants;
  const { width, height } = copy;
  if (whole || height * width <= most)
    return [{ pixels: pad(copy, constants), matrix: [x, 0, 0, 0, y, 0], heights: [least, Infinity], rows: ANY }];
  const step = Math.floor(Math.max(Math.floor(most / width) - overlap, overlap) / multiple) * multiple;
  /** @type {Tile[]} */
  const tiles = [];
  for (let top = 0; top < Math.max(height - overlap, 1); top += step) {
    const bottom = Math.min(top + step + overlap, height);
    tiles.push({
      pixels: pad(crop(copy, 0, top, width, bottom - top), constants),
      matrix: [x, 0, 0, 0, y, y * top],
      heights: [least, overlap],
      rows: [top === 0 ? -Infinity : overlap / 2, bottom === height ? Infinity : bottom - top - overlap / 2],
    });
  }
  return tiles;
}

/** For faces larger than the picture: a small copy with a margin all around. @param {Rgb} image @param {Constants} constants @returns {Tile} */
export function paddedTile(image, constants) {
  const { padded_side: side, padded_margin: margin, padding } = constants;
  const copy = withLongest(image, side, constants.rough_pixels);
  const [width, height] = [copy.width + 2 * margin, copy.height + 2 * margin];
  const data = new Uint8Array(3 * width * height).fill(padding);
  for (let v = 0; v < copy.height; v += 1)
    data.set(copy.data.subarray(3 * v * copy.width, 3 * (v + 1) * copy.width), 3 * ((v + margin) * width + margin));
  const [x, y] = [image.width / copy.width, image.height / copy.height];
  return {
    pixels: pad({ data, width, height }, constants),
    matrix: [x, 0, -x * margin, 0, y, -y * margin],
    heights: [0, Infinity],
    rows: ANY,
  };
}

/** The square around a box, gray beyond the picture. @param {Rgb} image @param {number[]} box @param {number} pixelsSide @param {number} reach @param {Constants} constants @returns {Tile} */
export function boxTile(image, box, pixelsSide, reach, { padding }) {
  const side = Math.max(Math.max(box[2] - box[0], box[3] - box[1]) * reach, 4);
  const scale = pixelsSide / side;
  const within = (/** @type {number} */ value, /** @type {number} */ low, /** @type {number} */ high) =>
    Math.min(Math.max(value, low), high);
  const along = [0, 1].map((axis) => {
    const limit = axis ? image.height : image.width;
    const start = (box[axis] + box[axis + 2]) / 2 - side / 2;
    const low = Math.floor(within(start, 0, limit - 1));
    const high = within(Math.ceil(start + side), low + 1, limit);
    const size = within(round((high - low) * scale), 1, pixelsSide);
    const place = within(round((low - start) * scale), 0, pixelsSide - size);
    return { low, length: high - low, size, place, step: (high - low) / size };
  });
  const [across, down] = along;
  const small = resize(crop(image, across.low, down.low, across.length, down.length), across.size, down.size);
  const data = new Uint8Array(3 * pixelsSide * pixelsSide).fill(padding);
  for (let v = 0; v < down.size; v += 1) {
    const row = small.data.subarray(3 * v * across.size, 3 * (v + 1) * across.size);
    data.set(row, 3 * ((v + down.place) * pixelsSide + across.place));
  }
  const [x, y] = along.map(({ low, step, place }) => low - step * place);
  const pixels = { data, width: pixelsSide, height: pixelsSide };
  return { pixels, matrix: [across.step, 0, x, 0, down.step, y], heights: [0, Infinity], rows: ANY };
}

/** A small copy turned counter-clockwise by quarters. @param {Rgb} image @param {number} quarters @param {Constants} constants @returns {Tile} */
export function turnedTile(image, quarters, constants) {
  const copy = withLongest(image, constants.turned_side, constants.rough_pixels);
  const { width, height } = copy;
  const [kx, ky] = [image.width / width, image.height / height];
  const matrix = back(width, height, quarters).map((value, i) => value * (i < 3 ? kx : ky));
  return { pixels: pad(turned(copy, quarters), constants), matrix, heights: [0, Infinity], rows: ANY };
}

/** The middle of the crop around a face, turned counter-clockwise by quarters. @param {Tile} tile of `boxTile` @param {number} quarters @param {Constants} constants @returns {Tile} */
export function quarterTile({ pixels, matrix: [a, , x, , d, y] }, quarters, { quarter_side: side }) {
  const margin = Math.floor((pixels.width - side) / 2);
  const [p, q, r, s, t, u] = back(side, side, quarters);
  /** @type {Matrix} */
  const matrix = [a * p, a * q, a * (r + margin) + x, d * s, d * t, d * (u + margin) + y];
  return { pixels: turned(crop(pixels, margin, margin, side, side), quarters), matrix, heights: [0, Infinity], rows: ANY };
}

/** From a picture that was turned by quarters to the picture of this size. @param {number} width @param {number} height @param {number} quarters @returns {Matrix} */
function back(width, height, quarters) {
  if (quarters === 1) return [0, -1, width, 1, 0, 0];
  if (quarters === 2) return [-1, 0, width, 0, -1, height];
  return [0, 1, 0, -1, 0, height];
}

/** @param {Rgb} image @param {number} quarters @returns {Rgb} */
function turned(image, quarters) {
  let { data, width, height } = image;
  for (let n = 0; n < quarters; n += 1) {
    const out = new Uint8Array(data.length);
    // counter-clockwise: the last column becomes the first row
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const [from, to] = [3 * (y * width + x), 3 * ((width - 1 - x) * height + y)];
        out[to] = data[from];
        out[to + 1] = data[from + 1];
        out[to + 2] = data[from + 2];
      }
    }
    [data, width, height] = [out, height, width];
  }
  return { data, width, height };
}

/** @param {Rgb} image @param {number} longest @param {number} roughPixels pixels above which it is shrunk roughly */
function withLongest(image, longest, roughPixels) {
  const scale = longest / Math.max(image.height, image.width);
  const [width, height] = [Math.max(round(image.width * scale), 1), Math.max(round(image.height * scale), 1)];
  return resize(image, width, height, image.width * image.height > roughPixels);
}

/** With a margin right and below, so that both sides are multiples. @param {Rgb} image @param {Constants} constants @returns {Rgb} */
function pad(image, { multiple, padding }) {
  const up = (/** @type {number} */ side) => Math.ceil(side / multiple) * multiple;
  const [width, height] = [up(image.width), up(image.height)];
  if (width === image.width && height === image.height) return image;
  const data = new Uint8Array(3 * width * height).fill(padding);
  for (let y = 0; y < image.height; y += 1)
    data.set(image.data.subarray(3 * y * image.width, 3 * (y + 1) * image.width), 3 * y * width);
  return { data, width, height };
}
