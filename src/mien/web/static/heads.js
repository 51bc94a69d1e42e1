// What the models predict, by head: the server lists the heads, and faces have a prediction for each.

import { labelText, percent } from "./format.js";
import { PLAIN } from "./palette.js";

/**
 * Name → { labels, ordered, colours, coverage }, in the order of the results. The labels of an ordered head are a scale, such as
 * ranges of years; those of a nominal one, such as emotions, are not.
 */
let heads = {};

export const setHeads = (described) => (heads = described);

/** The names of the nominal heads, which change over time and get a timeline. */
export const nominalHeads = () => Object.keys(heads).filter((name) => !heads[name].ordered);

export const isOrdered = (head) => heads[head]?.ordered ?? false;

/** The predictions of a face or track: [head, prediction], in the order of the heads; the first one is shown first. */
export function predictionsOf({ predictions = {} }) {
  const order = new Set([...Object.keys(heads), ...Object.keys(predictions)]);
  return [...order].filter((head) => head in predictions).map((head) => [head, predictions[head]]);
}

/** The prediction that is shown first: [head, prediction], of null where there is none. */
export const primaryOf = (face) => predictionsOf(face)[0] ?? [null, null];

/** The label that is shown: the stable one of a video, or else the most probable one; null where there is none. */
export const shownLabel = (prediction) => prediction?.stable ?? prediction?.label ?? null;

/** The stable label of a video, null as long as there is none; of a head without one the most probable label. */
export const settledLabel = (prediction) =>
  (prediction && "stable" in prediction ? prediction.stable : prediction?.label) ?? null;

/** The distribution that is shown: the filtered one of a video, or else that of the picture. */
export const shownProbabilities = (prediction) => prediction?.smoothed ?? prediction?.probabilities ?? null;

/** "90 %: happy or neutral", the set of labels of a prediction with its coverage; null where the head has none. */
export function labelSetText(head, { set, low, high }) {
  if (!set?.length || !heads[head]?.coverage) return null;
  const others = set.slice(0, -1).map(labelText).join(", ");
  const labels = [others, labelText(set.at(-1))].filter(Boolean).join(" or ");
  return `${percent(heads[head].coverage)}: ${low === undefined ? labels : labelText(`${low}-${high}`)}`;
}

/** The colour of a label: that of the annotated pictures and timelines. */
export const labelColour = (head, label) => heads[head]?.colours[label] ?? PLAIN;
