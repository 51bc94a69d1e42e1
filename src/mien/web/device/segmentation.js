// The stable labels of a track whose later frames are known: the best sequence of labels. As mien.smoothing.segmentation.

import { TIME_TOLERANCE } from "./time_tolerance.js";

/**
 * @typedef {{ change: number, least: number }} LabelPrice what each change costs, and seconds that a label stands at least
 * @typedef {number[] | null} Row probabilities of a frame, null where it has none
 */

/**
 * Index of the best label of each frame. As best_labels there.
 * @param {Row[]} rows @param {number[]} lengths seconds of each frame @param {LabelPrice} price
 * @param {number} before label of the frame before the first, -1 without one @param {number} held seconds for which it has stood
 * @param {number[]} credit per label, what a change to it costs less @returns {number[]}
 */
export function bestLabels(rows, lengths, price, before, held, credit) {
  const k = rows.find((row) => row !== null)?.length ?? 0;
  if (!k) return rows.map(() => before);
  if (before >= 0) {
    const gain = rows.reduce((sum, row, i) => sum + (row ? lengths[i] * (Math.max(...row) - row[before]) : 0), 0);
    if (gain <= price.change - (credit.length ? Math.max(...credit) : 0)) return rows.map(() => before);
  }
  return search(rows, lengths, price, before, held, credit.length ? credit : new Array(k).fill(0));
}

/** @param {Row[]} rows @param {number[]} lengths @param {LabelPrice} price @param {number} before @param {number} held @param {number[]} credit */
function search(rows, lengths, price, before, held, credit) {
  const [k, n, least] = [credit.length, rows.length, price.least - TIME_TOLERANCE];
  const times = [0];
  const sums = [new Array(k).fill(0)];
  rows.forEach((row, i) => {
    times.push(times[i] + lengths[i]);
    sums.push(row ? sums[i].map((sum, label) => sum + lengths[i] * row[label]) : sums[i]);
  });
  const labels = credit.map((_, label) => label);
  const first = before < 0 ? labels : [before];
  const whole = [new Array(k).fill(-Infinity)];
  /** @type {([number, number] | null)[][]} the first frame with the label, and the label before it; null for the same label */
  const how = [new Array(k).fill(null)];
  if (before >= 0 && held >= least) whole[0][before] = 0;
  const leaders = [leadersOf(whole[0])];
  let start = 0;
  for (let i = 1; i <= n; i += 1) {
    const now = whole[i - 1].map((value, label) => value + sums[i][label] - sums[i - 1][label]);
    /** @type {([number, number] | null)[]} */
    const came = new Array(k).fill(null);
    if (held + times[i] >= least) for (const label of first) now[label] = Math.max(now[label], sums[i][label]);
    for (; start < i && times[i] - times[start] >= least; start += 1) {
      const { best, leader, second, other } = leaders[start];
      for (const label of labels) {
        const [top, source] = label === leader ? [second, other] : [best, leader];
        if (top === -Infinity) continue;
        const cost = start === 0 ? Math.max(price.change - credit[label], 0) : price.change;
        const value = top - cost + sums[i][label] - sums[start][label];
        if (value > now[label]) [now[label], came[label]] = [value, [start, source]];
      }
    }
    whole.push(now);
    how.push(came);
    leaders.push(leadersOf(now));
  }
  // the first label may also stand to the end, however short that is
  let [most, last, alone] = [-Infinity, first[0], true];
  for (const label of first) if (sums[n][label] > most) [most, last] = [sums[n][label], label];
  for (const label of labels) if (whole[n][label] > most) [most, last, alone] = [whole[n][label], label, false];
  if (alone) return new Array(n).fill(last);
  /** @type {number[]} */
  const out = [];
  for (let i = n; i > 0; ) {
    const came = how[i][last];
    if (!came) {
      out.push(last);
      i -= 1;
      continue;
    }
    const [from, source] = came;
    for (; i > from; i -= 1) out.push(last);
    last = source;
  }
  return out.reverse();
}

/** The greatest value with its label, and the next one. @param {number[]} values */
function leadersOf(values) {
  const leader = values.indexOf(Math.max(...values));
  const rest = values.map((value, i) => (i === leader ? -Infinity : value));
  const second = Math.max(...rest);
  const other = values.findIndex((value, i) => i !== leader && value === second);
  return { best: values[leader], leader, second, other: other < 0 ? leader : other };
}
