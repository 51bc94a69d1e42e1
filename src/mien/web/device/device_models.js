// What the page analyses with on this device: its models and limits, and models of one's own that were added.

import { settings } from "./assets.js";
import { setHeads } from "./heads.js";

/** Gigabytes of memory from which on large photos are analysed whole, and the pixels otherwise. */
const ENOUGH = 2;
const FEW_PIXELS = 6_000_000;

/** The limits on this device, {} before they are known. */
export const deviceLimits = {};

let added = null; // of a model of one's own: { heads, columns, video_columns, card, name }

/** The models with their heads, the columns of tables and their cards; rejects where this page has none. */
export async function loadDeviceModels() {
  const { models, config, max_pixels: most } = await settings();
  const little = (navigator.deviceMemory ?? ENOUGH) < ENOUGH;
  Object.assign(deviceLimits, { faces: config.max_faces, pixels: little ? Math.min(most, FEW_PIXELS) : most });
  const answer = added ? withAdded(models) : models;
  setHeads(answer.heads);
  return answer;
}

/** The columns of the table of a clip. */
export async function videoColumns() {
  const { video_columns: columns } = await settings();
  return added ? [...columns, ...added.videoColumns] : columns;
}

/** Shows a model of one's own, with what is described of it, before the others. */
export function addModel(described) {
  added = described;
}

const withAdded = (models) => ({
  models: { ...models.models, models: { [added.name]: added.title, ...models.models.models } },
  heads: { ...added.heads, ...models.heads },
  columns: [...models.columns, ...added.columns],
  cards: { [added.name]: added.card, ...models.cards },
});
