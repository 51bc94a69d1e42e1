// Faces → square crops in which every face lies where the network expects it: the frame of its card. As mien.predict.align.

import { onGrid, warp } from "./pixels.js";

/**
 * @typedef {import("./pixels.js").Rgb} Rgb
 * @typedef {import("./pixels.js").Matrix} Matrix
 * @typedef {import("./detector.js").Candidate} Candidate
 * @typedef {{ landmarks: number[][], boxes: Record<string, number[]>, box_weight: number, roll_kept: number }} Frame
 * @typedef {{ re: number, im: number }} Complex
 */

const MIN_SPREAD = 0.5;
const MIN_CORRELATION = 0.5;
const FALLBACK = "default";
/** Radians of a face's roll that stay in its crop at most. */
const MAX_KEPT_ROLL = (6 * Math.PI) / 180;

/**
 * @param {Rgb} image @param {Candidate[]} faces @param {number} side pixels of a crop @param {Frame} frame
 * @param {string} detector @param {boolean} asGray crops are luma, in all three channels @returns {Rgb[]}
 */
export function alignFaces(image, faces, side, frame, detector, asGray = false) {
  return faces.map((face) => warp(image, cropTransform(image, face, side, frame, detector), side, asGray));
}

/** @param {Rgb} image @param {Candidate} face @param {number} side @param {Frame} frame @param {string} detector @returns {Matrix} */
export function cropTransform(image, face, side, frame, detector) {
  const target = frame.landmarks.map(([x, y]) => [x * side, y * side]);
  const box = face.box.map(onGrid);
  const points = face.points.map((point) => point.map(onGrid));
  const goalOf = (/** @type {number[]} */ fractions) => fractions.map((value) => value * side);
  if (!usable(points, target)) {
    const fractions = frame.boxes[detector] ?? frame.boxes[FALLBACK];
    if (!fractions) throw new Error("the model's card does not hold where this detector's boxes lie in a crop");
    return boxTransform(box, goalOf(fractions));
  }
  const byPoints = similarity(points, target);
  // a box that the picture's border cuts does not show where the face is
  const whole = box[0] > 0 && box[1] > 0 && box[2] < image.width && box[3] < image.height;
  const blended =
    frame.box_weight && frame.boxes[detector] && whole
      ? blend(byPoints, boxTransform(box, goalOf(frame.boxes[detector])), frame.box_weight, side)
      : byPoints;
  return frame.roll_kept ? keepRoll(blended, frame.roll_kept, side) : blended;
}

/** Rotated less about the middle of the crop, by a share of the rotation. @param {Matrix} matrix @param {number} share @param {number} side @returns {Matrix} */
function keepRoll([re, , x, im, , y], share, side) {
  const angle = -Math.min(Math.max(share * Math.atan2(im, re), -MAX_KEPT_ROLL), MAX_KEPT_ROLL);
  const [cos, sin, middle] = [Math.cos(angle), Math.sin(angle), side / 2];
  const [dx, dy] = [x - middle, y - middle];
  const a = { re: re * cos - im * sin, im: re * sin + im * cos };
  return matrixOf(a, { re: middle + dx * cos - dy * sin, im: middle + dx * sin + dy * cos });
}

/** @param {number[][]} points @returns {{ centred: Complex[], mean: Complex }} */
function centred(points) {
  const mean = { re: 0, im: 0 };
  for (const [x, y] of points) {
    mean.re += x / points.length;
    mean.im += y / points.length;
  }
  return { mean, centred: points.map(([x, y]) => ({ re: x - mean.re, im: y - mean.im })) };
}

/** Whether points do not coincide, and are arranged like those of an unmirrored face. @param {number[][]} points @param {number[][]} target */
function usable(points, target) {
  if (!points.flat().every(Number.isFinite)) return false;
  const [z, w] = [centred(points).centred, centred(target).centred];
  const meanOf = (/** @type {Complex[]} */ values) =>
    values.reduce((sum, { re, im }) => sum + re * re + im * im, 0) / values.length;
  const spread = Math.sqrt(meanOf(z));
  const { re, im } = correlation(z, w);
  const covariance = Math.hypot(re, im) / z.length / Math.sqrt(meanOf(w));
  return spread > MIN_SPREAD && covariance > MIN_CORRELATION * spread;
}

/** Sum of conj(z) w. @param {Complex[]} z @param {Complex[]} w @returns {Complex} */
function correlation(z, w) {
  const sum = { re: 0, im: 0 };
  z.forEach((one, i) => {
    sum.re += one.re * w[i].re + one.im * w[i].im;
    sum.im += one.re * w[i].im - one.im * w[i].re;
  });
  return sum;
}

/** Least-squares similarity transform from points to points. @param {number[][]} source @param {number[][]} target @returns {Matrix} */
export function similarity(source, target) {
  const [from, to] = [centred(source), centred(target)];
  const spread = from.centred.reduce((sum, { re, im }) => sum + re * re + im * im, 0);
  const sum = correlation(from.centred, to.centred);
  const a = { re: sum.re / spread, im: sum.im / spread };
  return matrixOf(a, {
    re: to.mean.re - (a.re * from.mean.re - a.im * from.mean.im),
    im: to.mean.im - (a.re * from.mean.im + a.im * from.mean.re),
  });
}

/** Multiplication by a, and a shift. @param {Complex} a @param {Complex} shift @returns {Matrix} */
const matrixOf = (a, shift) => [a.re, -a.im, shift.re, a.im, a.re, shift.im];

/** Moves a box's centre and mean side to those of the goal. @param {number[]} box @param {number[]} goal @returns {Matrix} */
function boxTransform(box, goal) {
  const side = (/** @type {number[]} */ [x1, y1, x2, y2], /** @type {number} */ least) =>
    Math.max(x2 - x1, least) * Math.max(y2 - y1, least);
  const scale = Math.sqrt(side(goal, 0) / side(box, 1));
  const centre = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  return [scale, 0, (goal[0] + goal[2]) / 2 - scale * centre[0], 0, scale, (goal[1] + goal[3]) / 2 - scale * centre[1]];
}

/** The landmarks' rotation, and scale and centre between the landmarks' and the box's. @param {Matrix} byPoints @param {Matrix} byBox @param {number} weight @param {number} side @returns {Matrix} */
function blend(byPoints, byBox, weight, side) {
  const middle = side / 2;
  const a = { re: byPoints[0], im: byPoints[3] };
  const size = Math.hypot(a.re, a.im);
  const [dx, dy] = [middle - byPoints[2], middle - byPoints[5]];
  // the point of the picture that each moves to the middle of the crop
  const centre = [(dx * a.re + dy * a.im) / size ** 2, (dy * a.re - dx * a.im) / size ** 2];
  const boxCentre = [(middle - byBox[2]) / byBox[0], (middle - byBox[5]) / byBox[0]];
  const factor = size ** (1 - weight) * byBox[0] ** weight;
  const b = { re: (a.re / size) * factor, im: (a.im / size) * factor };
  const [x, y] = [0, 1].map((i) => (1 - weight) * centre[i] + weight * boxCentre[i]);
  return matrixOf(b, { re: middle - (b.re * x - b.im * y), im: middle - (b.re * y + b.im * x) });
}
