// The page without a server: what the page asks about limits and models is answered from files beside it.

import { settings } from "./assets.js";
import { setHeads } from "./heads.js";

/** The limits of the page. */
export const limits = {};

export async function loadLimits() {
  const { config, max_pixels: pixels } = await settings();
  Object.assign(limits, { faces: config.max_faces, pixels });
  document.dispatchEvent(new CustomEvent("limits"));
}

/** The models of the page, with their heads, the columns of tables and their cards. */
export async function loadModels() {
  const { models } = await settings();
  setHeads(models.heads);
  return models;
}
