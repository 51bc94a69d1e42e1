// How a face is seen: pose from five landmarks, brightness and sharpness of its crop, flags. As mien.results.view.

import { gray } from "./pixels.js";

/**
 * @typedef {import("./pixels.js").Rgb} Rgb
 * @typedef {{ turned_yaw: number, turned_pitch: number, small: number, dark: number, blurred: number, covered: number,
 *   unlike: number }} Limits
 * @typedef {{ pose_fit: number[][], margin: number, limits: Limits }} View
 * @typedef {Record<string, number>} Numbers
 */

/**
 * Yaw, pitch and roll in degrees; null where the landmarks coincide.
 * @param {number[][]} points @param {View} view @returns {Numbers | null}
 */
export function headPose(points, { pose_fit: fit }) {
  if (!points.flat().every(Number.isFinite)) return null;
  const axis = (/** @type {number} */ i) => fit.map((row) => row.reduce((sum, f, p) => sum + f * points[p][i], 0));
  const [x, y] = [axis(0), axis(1)];
  const dot = (/** @type {number[]} */ u, /** @type {number[]} */ v) => u.reduce((sum, value, i) => sum + value * v[i], 0);
  const [a, b, c] = [dot(x, x), dot(x, y), dot(y, y)];
  const root = Math.sqrt(Math.max(a * c - b * b, 0));
  const length = root * Math.sqrt(a + c + 2 * root);
  if (!(length > 0)) return null;
  const rightX = ((c + root) * x[0] - b * y[0]) / length;
  const rightY = ((a + root) * y[0] - b * x[0]) / length;
  const frontX = ((c + root) * x[2] - b * y[2]) / length;
  const frontY = ((a + root) * y[2] - b * x[2]) / length;
  const roll = Math.atan2(rightY, rightX);
  const side = Math.cos(roll) * frontX + Math.sin(roll) * frontY;
  const pitch = Math.asin(Math.min(Math.max(Math.sin(roll) * frontX - Math.cos(roll) * frontY, -1), 1));
  const yaw = Math.atan2(side, Math.hypot(rightX, rightY) * Math.cos(pitch));
  const degrees = (/** @type {number} */ angle) => (angle * 180) / Math.PI;
  return { yaw: degrees(yaw), pitch: degrees(pitch), roll: degrees(roll) };
}

/** Brightness and sharpness of a crop. @param {Rgb} crop @param {View} view @returns {Numbers} */
export function pixelMeasures(crop, view) {
  const [pixels, side] = [gray(crop), crop.width];
  const margin = Math.floor(side / view.margin);
  const middle = [];
  const detail = [];
  for (let y = margin; y < side - margin; y += 1) {
    for (let x = margin; x < side - margin; x += 1) {
      const i = y * side + x;
      middle.push(pixels[i]);
      detail.push(pixels[i - side] + pixels[i + side] + pixels[i - 1] + pixels[i + 1] - 4 * pixels[i]);
    }
  }
  const light = meanAndDeviation(middle);
  return { brightness: light.mean, sharpness: meanAndDeviation(detail).deviation / (light.deviation + 1) };
}

/** @param {number[]} values */
function meanAndDeviation(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(square) };
}

/** Flags that are known. @param {number[]} box @param {Numbers | null} pose @param {Numbers} measures @param {View} view */
export function faceFlags(box, pose, measures, { limits }) {
  /** @type {Record<string, number | undefined>} */
  const excess = {
    turned: pose
      ? Math.max(Math.abs(pose.yaw) / limits.turned_yaw, Math.abs(pose.pitch) / limits.turned_pitch) - 1
      : undefined,
    small: limits.small - Math.min(box[2] - box[0], box[3] - box[1]),
    dark: limits.dark - measures.brightness,
    blurred: limits.blurred - measures.sharpness,
    covered: measures.covered - limits.covered,
    unlike: measures.unlike - limits.unlike,
  };
  const known = Object.entries(excess).filter(([, value]) => value !== undefined && !Number.isNaN(value));
  return Object.fromEntries(known.map(([name, value]) => [name, Number(value) > 0]));
}
