// Sets of labels that hold the right one with a stated coverage, as mien.models.label_sets.

/** @typedef {import("./pipeline.js").Head} Head */

/**
 * The keys of a prediction: the labels of the set, and its ends where they are ranges; none where the head has no sets.
 * @param {Pick<Head, "labels" | "ordered" | "ranges" | "set_limits">} head @param {ArrayLike<number>} probabilities
 * @returns {{ set?: string[], low?: number, high?: number }}
 */
export function labelSet({ labels, ordered, ranges, set_limits: limits }, probabilities) {
  if (!limits) return {};
  const scores = ordered ? orderedScores(probabilities) : Array.from(probabilities, (value) => 1 - value);
  const inside = scores.map((score, i) => score <= limits[i]);
  inside[mostProbable(probabilities)] = true;
  const first = inside.indexOf(true);
  const last = inside.lastIndexOf(true);
  const set = labels.filter((_, i) => (ordered ? i >= first && i <= last : inside[i]));
  return ranges ? { set, low: ranges[first][0], high: ranges[last][1] } : { set };
}

/** Probability that lies further in than each label, from the most probable one to the more probable neighbour. @param {ArrayLike<number>} p */
function orderedScores(p) {
  const scores = Array.from(p, () => 0);
  let low = mostProbable(p);
  let high = low;
  let gathered = p[low];
  for (let k = 1; k < p.length; k += 1) {
    const left = low > 0 ? p[low - 1] : -1;
    const right = high + 1 < p.length ? p[high + 1] : -1;
    const label = left >= right ? low - 1 : high + 1;
    scores[label] = gathered;
    gathered += Math.max(left, right);
    if (left >= right) low = label;
    else high = label;
  }
  return scores;
}

/** @param {ArrayLike<number>} values */
function mostProbable(values) {
  const all = Array.from(values);
  return all.indexOf(Math.max(...all));
}
