// What the models predict, by head: the server lists the heads, and faces have a prediction for each.

import { COLOURS, PLAIN } from "./palette.js";

/**
 * Name → { labels, ordered }, in the order of the results. The labels of an ordered head are a scale, such as ranges
 * of years; those of a nominal one, such as emotions, are not.
 */
let heads = {};

export const setHeads = (described) => (heads = described);

/** The names of the nominal heads, which change over time and get a timeline. */
export const nominalHeads = () => Object.keys(heads).filter((name) => !heads[name].ordered);

export const isOrdered = (head) => heads[head]?.ordered ?? false;

export const labelsOf = (head) => heads[head]?.labels ?? [];

/** The predictions of a face or track: [head, prediction], the one that is shown first at the start. */
export const predictionsOf = (face) => Object.entries(face.predictions ?? {});

/** The prediction that is shown first: [head, prediction], of null where there is none. */
export const primaryOf = (face) => predictionsOf(face)[0] ?? [null, null];

/** The label that is shown: the stable one of a video, or else the most probable one; null where there is none. */
export const shownLabel = (prediction) => prediction?.stable ?? prediction?.label ?? null;

/** The stable label of a video, null as long as there is none; of a head without one the most probable label. */
export const settledLabel = (prediction) =>
  (prediction && "stable" in prediction ? prediction.stable : prediction?.label) ?? null;

/** The distribution that is shown: the filtered one of a video, or else that of the picture. */
export const shownProbabilities = (prediction) => prediction?.smoothed ?? prediction?.probabilities ?? null;

const CYCLE = Object.values(COLOURS);

/** The colour of a label: an emotion has its own, other labels one by their place in their head. */
export function labelColour(head, label) {
  if (label === null || label === undefined || isOrdered(head)) return PLAIN;
  const place = labelsOf(head).indexOf(label);
  return COLOURS[label] ?? (place < 0 ? PLAIN : CYCLE[place % CYCLE.length]);
}
