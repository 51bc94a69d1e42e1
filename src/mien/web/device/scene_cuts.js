// Hard cuts between scenes, from tiny thumbnails of neighbouring frames. As mien.tracking.scene_cuts.

/**
 * @typedef {import("./pixels.js").Rgb} Rgb
 * @typedef {{ width: number, height: number, samples: number, block: number, reach: number, covered: number, other: number,
 *   unlike: number, other_colours: number, brighter: number, drop: number, smooth: number, blank: number, still: number,
 *   memory: number, settle: number, luma: number[], bins: number, dark: number }} Constants
 * @typedef {{ gray: Float32Array, colours: Float64Array }} Look
 */

export class SceneCutDetector {
  /** @param {Constants} constants */
  constructor(constants) {
    this.c = constants;
    /** @type {Look[]} */
    this.past = [];
    this.structure = 1;
    this.sinceCut = constants.settle;
  }

  /** Whether a new scene starts with this frame. @param {Rgb} image */
  update(image) {
    const { c } = this;
    const small = this.#thumbnail(image);
    const gray = Float32Array.from({ length: c.width * c.height }, (_, i) =>
      c.luma.reduce((sum, weight, e) => sum + weight * small[3 * i + e], 0),
    );
    if (deviation(gray) < c.blank) return false;
    const now = { gray, colours: this.#histogram(small) };
    const structure = this.past.length ? this.#similarity(this.past[0].gray, gray) : 1;
    const limit = this.structure - c.drop;
    const cut =
      this.past.length > 0 &&
      this.sinceCut >= c.settle &&
      this.#isOther(this.past[0], now, structure, limit) &&
      this.past.slice(1).every((one) => this.#isOther(one, now, this.#similarity(one.gray, gray), limit));
    this.sinceCut = cut ? 0 : Math.min(this.sinceCut + 1, c.settle);
    this.past = [now, ...this.past.slice(0, c.memory - 1)];
    this.structure = structure;
    return cut;
  }

  /** @param {Look} before @param {Look} now @param {number} structure @param {number} limit */
  #isOther(before, now, structure, limit) {
    const { c } = this;
    if (structure >= Math.min(c.unlike, limit)) return false;
    if (structure < c.other) return true;
    if (Math.abs(mean(now.gray) - mean(before.gray)) > c.brighter) return false;
    return before.colours.reduce((sum, value, i) => sum + Math.min(value, now.colours[i]), 0) < c.other_colours;
  }

  /** How well the blocks of one gray thumbnail match another, all moved by one displacement. @param {Float32Array} before @param {Float32Array} now */
  #similarity(before, now) {
    const { width, height, block, reach, covered, smooth, still } = this.c;
    const apart = before.reduce((sum, value, i) => sum + Math.abs(value - now[i]), 0) / before.length;
    if (apart < still * deviation(now)) return 1;
    const mirror = (/** @type {number} */ at, /** @type {number} */ length) =>
      at < 0 ? -at : at >= length ? 2 * length - 2 - at : at;
    const patch = (/** @type {Float32Array} */ gray, /** @type {number} */ top, /** @type {number} */ left) => {
      const values = new Float32Array(block * block);
      for (let y = 0; y < block; y += 1) {
        const row = mirror(top + y, height) * width;
        for (let x = 0; x < block; x += 1) values[y * block + x] = gray[row + mirror(left + x, width)];
      }
      const middle = mean(values);
      return values.map((value) => value - middle);
    };
    const norm = (/** @type {Float32Array} */ values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    const blocks = [];
    for (let top = 0; top < height; top += block)
      for (let left = 0; left < width; left += block) {
        const pixels = patch(now, top, left);
        const contrast = norm(pixels);
        blocks.push({ top, left, pixels, contrast, weight: contrast / (contrast + smooth * block) + 1e-6 });
      }
    const wanted = (1 - covered) * blocks.reduce((sum, { weight }) => sum + weight, 0);
    let best = -Infinity;
    for (let dy = -reach; dy <= reach; dy += 1)
      for (let dx = -reach; dx <= reach; dx += 1) {
        const matches = blocks
          .map(({ top, left, pixels, contrast, weight }) => {
            const place = patch(before, top + dy, left + dx);
            const product = place.reduce((sum, value, i) => sum + value * pixels[i], 0);
            return { weight, correlation: product / Math.max(norm(place) * contrast, 1e-3) };
          })
          .sort((a, b) => b.correlation - a.correlation);
        let [rest, sum] = [wanted, 0];
        for (const { weight, correlation } of matches) {
          const used = Math.min(Math.max(rest, 0), weight);
          sum += used * correlation;
          rest -= weight;
        }
        best = Math.max(best, sum);
      }
    return best / wanted;
  }

  /** Means of samples, RGB. @param {Rgb} image */
  #thumbnail(image) {
    const { width, height, samples } = this.c;
    const place = (/** @type {number} */ i, /** @type {number} */ length, /** @type {number} */ whole) =>
      Math.floor(((i + 0.5) * length) / (whole * samples));
    const columns = Array.from({ length: width * samples }, (_, i) => 3 * place(i, image.width, width));
    const sums = new Float32Array(3 * width * height);
    for (let v = 0; v < height * samples; v += 1) {
      const row = 3 * image.width * place(v, image.height, height);
      const to = 3 * width * Math.floor(v / samples);
      columns.forEach((column, u) => {
        const at = to + 3 * Math.floor(u / samples);
        for (let e = 0; e < 3; e += 1) sums[at + e] += image.data[row + column + e];
      });
    }
    return sums.map((value) => value / samples ** 2);
  }

  /** Shares of the colours, without their brightness. @param {Float32Array} small */
  #histogram(small) {
    const { bins, dark } = this.c;
    const histogram = new Float64Array(bins ** 2);
    for (let i = 0; i < small.length; i += 3) {
      const [red, green, blue] = [small[i], small[i + 1], small[i + 2]];
      const whole = red + green + blue + dark;
      const [row, column] = [(2 * (red - blue)) / whole, (2.4 * (2 * green - red - blue)) / whole].map((value) => {
        const position = Math.min(Math.max(((value + 1) / 2) * (bins - 1), 0), bins - 1.001);
        return { low: Math.floor(position), part: position - Math.floor(position) };
      });
      for (const down of [0, 1])
        for (const across of [0, 1])
          histogram[(row.low + down) * bins + column.low + across] +=
            (down ? row.part : 1 - row.part) * (across ? column.part : 1 - column.part);
    }
    const sum = histogram.reduce((total, value) => total + value, 0);
    return histogram.map((value) => value / sum);
  }
}

/** @param {Float32Array} values */
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** @param {Float32Array} values */
function deviation(values) {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / values.length);
}
