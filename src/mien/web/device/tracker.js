// Detections of successive frames are assigned to tracks, so that the same face keeps its number. As mien.tracking.tracker.

import { assign } from "./assignment.js";
import { Appearance } from "./appearance.js";
import { advance, correct } from "./motion.js";

/**
 * @typedef {import("./pixels.js").Rgb} Rgb
 * @typedef {import("./motion.js").Motion} Motion
 * @typedef {import("./motion.js").Spread} Spread
 * @typedef {import("./motion.js").MotionModel} MotionModel
 * @typedef {{ recent: number, centre: MotionModel, size: MotionModel, border_noise: number, tail: number, new: number,
 *   absent: number, absent_seconds: number, max_appearance: number, neutral_distance: number, descriptor_seconds: number,
 *   aspect_seconds: number }} Constants
 * @typedef {{ id: number, lastSeen: number, centre: Motion[], centreSpread: Spread, size: Motion[], sizeSpread: Spread,
 *   aspect: number, cells: Float32Array, views: number[] }} Track
 * @typedef {{ centre: number[], size: number, aspect: number, noise: number }} Measured
 */

export class Tracker {
  /** @param {Constants} constants @param {import("./appearance.js").Constants} appearance @param {number} maxGap seconds */
  constructor(constants, appearance, maxGap) {
    this.constants = constants;
    this.appearance = new Appearance(appearance);
    this.maxGap = maxGap;
    /** @type {Track[]} */
    this.tracks = [];
    /** @type {number | null} */
    this.time = null;
    this.next = 1;
  }

  /** Where the tracks with a face not long ago are expected, the most recently seen first. @param {number} time @returns {{ id: number, box: number[] }[]} */
  predict(time) {
    const { recent } = this.constants;
    return this.#advanced(this.#monotonic(time))
      .filter(({ lastSeen }) => this.time === null || this.time - lastSeen <= recent)
      .sort((a, b) => b.lastSeen - a.lastSeen || a.id - b.id)
      .map((track) => ({ id: track.id, box: boxOf(track) }));
  }

  /** The number of each face's track. @param {number[][]} boxes @param {number} time @param {Rgb} image @returns {number[]} */
  update(boxes, time, image) {
    const now = this.#monotonic(time);
    const tracks = this.#advanced(now);
    // the order of the faces must not matter
    const order = boxes.map((_, i) => i).sort((a, b) => compare(boxes[a], boxes[b]));
    const measured = order.map((i) => this.#measure(boxes[i], image));
    const descriptors = this.appearance.describe(
      image,
      measured.map(({ centre }) => centre),
      measured.map(({ size }) => Math.exp(size)),
    );
    const pairs = assign(tracks.map((track) => measured.map((one, i) => this.#cost(track, one, descriptors[i]))));
    /** @type {number[]} */
    const ids = new Array(boxes.length).fill(0);
    for (const [row, column] of pairs) {
      ids[column] = tracks[row].id;
      tracks[row] = this.#corrected(tracks[row], measured[column], now, descriptors[column]);
    }
    measured.forEach((one, i) => {
      if (ids[i]) return;
      ids[i] = this.next;
      this.next += 1;
      tracks.push(this.#newTrack(ids[i], one, now, descriptors[i]));
    });
    [this.tracks, this.time] = [tracks, now];
    /** @type {number[]} */
    const out = new Array(boxes.length);
    order.forEach((i, k) => (out[i] = ids[k]));
    return out;
  }

  /** End every track, as at a scene cut; numbers continue. */
  endTracks() {
    this.tracks = [];
  }

  /** The tracks that can still continue. @param {number} time @returns {Set<number>} */
  liveTracks(time) {
    return new Set(this.#alive(this.#monotonic(time)).map(({ id }) => id));
  }

  /** @param {number} time */
  #monotonic(time) {
    if (this.time === null || time >= this.time || this.time - time > this.maxGap) return time;
    return this.time;
  }

  /** @param {number} now */
  #alive(now) {
    if (this.time !== null && now < this.time) return [];
    return this.tracks.filter(({ lastSeen }) => now - lastSeen <= this.maxGap);
  }

  /** @param {number} now @returns {Track[]} */
  #advanced(now) {
    const seconds = this.time === null ? 0 : now - this.time;
    return this.#alive(now).map((track) => {
      const unit = Math.exp(track.size[0][0]);
      const centre = advance(track.centre, track.centreSpread, seconds, this.constants.centre, unit);
      const size = advance(track.size, track.sizeSpread, seconds, this.constants.size, 1);
      return { ...track, centre: centre.means, centreSpread: centre.spread, size: size.means, sizeSpread: size.spread };
    });
  }

  /** @param {number[]} box @param {Rgb} image @returns {Measured} */
  #measure([x1, y1, x2, y2], { width, height }) {
    const [across, down] = [Math.max(x2 - x1, 1), Math.max(y2 - y1, 1)];
    const atBorder = x1 <= 0 || y1 <= 0 || x2 >= width || y2 >= height;
    return {
      centre: [(x1 + x2) / 2, (y1 + y2) / 2],
      size: (Math.log(across) + Math.log(down)) / 2,
      aspect: Math.log(down / across),
      noise: atBorder ? this.constants.border_noise : 1,
    };
  }

  /** Minus the evidence, in nats, that a face belongs to a track. @param {Track} track @param {Measured} measured @param {import("./appearance.js").Descriptor} descriptor */
  #cost(track, measured, descriptor) {
    const c = this.constants;
    const unit = Math.exp(track.size[0][0]);
    const centre = track.centreSpread[0] / unit ** 2 + (c.centre.noise * measured.noise) ** 2;
    const size = track.sizeSpread[0] + (c.size.noise * measured.noise) ** 2;
    const [dx, dy] = [track.centre[0][0] - measured.centre[0], track.centre[1][0] - measured.centre[1]];
    const distance = (dx * dx + dy * dy) / unit ** 2 / centre + (track.size[0][0] - measured.size) ** 2 / size;
    let cost = ((c.tail + 3) / 2) * Math.log1p(distance / c.tail) + Math.log(centre) + Math.log(size) / 2 - c.new;
    if (this.time !== null) cost -= c.absent * Math.expm1((track.lastSeen - this.time) / c.absent_seconds);
    if (!(cost < c.max_appearance)) return cost;
    const known = track.views.map((views) => views > 0);
    const { distance: apart, share } = this.appearance.distance(track.cells, known, descriptor.cells, descriptor.visible);
    return cost - c.max_appearance * share * Math.min(Math.max(2 - (2 * apart) / c.neutral_distance, -1), 1);
  }

  /** A track updated by one face. @param {Track} track @param {Measured} measured @param {number} time @param {import("./appearance.js").Descriptor} descriptor @returns {Track} */
  #corrected(track, measured, time, descriptor) {
    const c = this.constants;
    const gap = time - track.lastSeen;
    const unit = Math.exp(track.size[0][0]);
    const centre = correct(
      track.centre,
      track.centreSpread,
      measured.centre,
      (c.centre.noise * measured.noise * unit) ** 2,
    );
    const size = correct(track.size, track.sizeSpread, [measured.size], (c.size.noise * measured.noise) ** 2);
    const gain = -Math.expm1(-gap / c.aspect_seconds) / measured.noise;
    const recent = -Math.expm1(-gap / c.descriptor_seconds);
    const cells = Float32Array.from(track.cells);
    const channels = cells.length / track.views.length;
    track.views.forEach((views, i) => {
      if (!descriptor.visible[i]) return;
      // a plain mean of the first views, then an exponential one
      const share = Math.max(recent, 1 / (views + 1));
      for (let e = channels * i; e < channels * (i + 1); e += 1) cells[e] += share * (descriptor.cells[e] - cells[e]);
    });
    return {
      id: track.id,
      lastSeen: time,
      centre: centre.means,
      centreSpread: centre.spread,
      size: size.means,
      sizeSpread: size.spread,
      aspect: track.aspect + gain * (measured.aspect - track.aspect),
      cells,
      views: track.views.map((views, i) => views + (descriptor.visible[i] ? 1 : 0)),
    };
  }

  /** @param {number} id @param {Measured} measured @param {number} time @param {import("./appearance.js").Descriptor} descriptor @returns {Track} */
  #newTrack(id, measured, time, { cells, visible }) {
    const { centre, size } = this.constants;
    const unit = Math.exp(measured.size);
    return {
      id,
      lastSeen: time,
      centre: [
        [measured.centre[0], 0],
        [measured.centre[1], 0],
      ],
      centreSpread: [(centre.noise * measured.noise * unit) ** 2, 0, (centre.speed * unit) ** 2],
      size: [[measured.size, 0]],
      sizeSpread: [(size.noise * measured.noise) ** 2, 0, size.speed ** 2],
      aspect: measured.aspect,
      cells,
      views: visible.map(Number),
    };
  }
}

/** @param {Track} track */
function boxOf({ centre, size, aspect }) {
  const [across, down] = [Math.exp(size[0][0] - aspect / 2) / 2, Math.exp(size[0][0] + aspect / 2) / 2];
  const [x, y] = [centre[0][0], centre[1][0]];
  return [x - across, y - down, x + across, y + down].map(Math.fround);
}

/** By left edge, then top, right, bottom. @param {number[]} a @param {number[]} b */
function compare(a, b) {
  for (let i = 0; i < 4; i += 1) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
}
