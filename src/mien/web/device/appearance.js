// Colour descriptors of a face, its hair and the clothes below it. As mien.tracking.appearance.

import { sampleAt } from "./pixels.js";

/**
 * @typedef {import("./pixels.js").Rgb} Rgb
 * @typedef {{ cell: number, samples: number, parts: number[][], dark: number, weights: number[], half_distance: number,
 *   body: number[] }} Constants
 * @typedef {{ cells: Float32Array, visible: boolean[] }} Descriptor three channels per cell
 */

/** Channels of a cell. */
const CHANNELS = 3;

export class Appearance {
  /** @param {Constants} constants */
  constructor(constants) {
    this.constants = constants;
    const { cell, samples, parts } = constants;
    /** @type {number[][]} from the middle of the box, in sizes of the face */
    this.centres = parts.flatMap(([columns, first, end]) =>
      Array.from({ length: (end - first) * columns }, (_, i) => [
        cell * ((i % columns) - (columns - 1) / 2),
        cell * (first + Math.floor(i / columns) + 0.5),
      ]),
    );
    const step = Array.from({ length: samples }, (_, i) => cell * ((i + 0.5) / samples - 0.5));
    this.points = this.centres.map(([x, y]) => step.flatMap((down) => step.map((across) => [x + across, y + down])));
    this.radius = Math.max(...this.centres.flat().map(Math.abs));
  }

  /** @param {Rgb} image @param {number[][]} centres of the boxes @param {number[]} sizes @returns {Descriptor[]} */
  describe(image, centres, sizes) {
    return centres.map(([x, y], i) => {
      const colours = this.points.map((points) => {
        const sum = [0, 0, 0];
        for (const [u, v] of points) {
          const colour = sampleAt(image, x + sizes[i] * u - 0.5, y + sizes[i] * v - 0.5);
          for (let e = 0; e < 3; e += 1) sum[e] += colour[e] / points.length;
        }
        return sum;
      });
      const visible = this.#visible(image, centres, sizes, i);
      return { cells: this.#normalise(colours, visible), visible };
    });
  }

  /** Whether each cell of a face lies inside the picture and not on another person. @param {Rgb} image @param {number[][]} centres @param {number[]} sizes @param {number} i */
  #visible({ width, height }, centres, sizes, i) {
    const [cx, cy] = centres[i];
    const others = centres
      .map(([x, y], j) => ({ x, y, size: sizes[j], apart: Math.max(Math.abs(x - cx), Math.abs(y - cy)), j }))
      .filter(({ apart, size, j }) => j !== i && apart < this.radius * sizes[i] + size);
    const [wide, tall] = this.constants.body;
    return this.centres.map(([u, v]) => {
      const [x, y] = [cx + sizes[i] * u, cy + sizes[i] * v];
      if (!(x >= 0 && y >= 0 && x < width && y < height)) return false;
      return !others.some((one) => Math.abs(x - one.x) / one.size < wide && Math.abs(y - one.y) / one.size < tall);
    });
  }

  /** @param {number[][]} colours @param {boolean[]} visible */
  #normalise(colours, visible) {
    const bright = colours.map(([red, green, blue]) => (red + green + blue) / 3);
    const count = Math.max(visible.filter(Boolean).length, 1);
    const sum = (/** @type {(value: number) => number} */ of) =>
      bright.reduce((total, value, i) => (visible[i] ? total + of(value) : total), 0) / count;
    const mean = sum((value) => value);
    const deviation = Math.sqrt(sum((value) => (value - mean) ** 2));
    const cells = new Float32Array(CHANNELS * colours.length);
    colours.forEach(([red, green, blue], i) => {
      const ground = bright[i] + this.constants.dark;
      cells[CHANNELS * i] = (bright[i] - mean) / (deviation + 16);
      cells[CHANNELS * i + 1] = (red - green) / ground;
      cells[CHANNELS * i + 2] = ((red + green) / 2 - blue) / ground;
    });
    return cells;
  }

  /**
   * Distance of two descriptors, 0 to 1, over the cells visible in both, and the share of these.
   * @param {Float32Array} a @param {boolean[]} aVisible @param {Float32Array} b @param {boolean[]} bVisible
   */
  distance(a, aVisible, b, bVisible) {
    const { weights, half_distance: half } = this.constants;
    let [sum, total] = [0, 0];
    aVisible.forEach((there, i) => {
      if (!there || !bVisible[i]) return;
      let square = 0;
      for (let e = 0; e < CHANNELS; e += 1) square += weights[e] * (a[CHANNELS * i + e] - b[CHANNELS * i + e]) ** 2;
      sum += square / (square + half);
      total += 1;
    });
    return { distance: sum / Math.max(total, 1), share: total / aVisible.length };
  }
}
