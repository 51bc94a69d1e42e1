// Photos analysed where the page analyses now: on this device, or by the server.

import * as device from "./device_photos.js";
import { decided, isDecided, place } from "./place.js";
import * as server from "./server_photos.js";

const now = async ({ onWait }) => {
  if (!isDecided()) onWait("Waiting for the server.");
  await decided;
  return place() === "device" ? device : server;
};

/**
 * The faces of a photo, in its own pixels: { result, shrunk }, the latter the number of pixels where it was made smaller,
 * or else 0. `bitmap` is the decoded photo, null where this browser cannot decode it; `onWait` gets lines for people.
 */
export const analysePhoto = async (file, bitmap, options) => (await now(options)).analysePhoto(file, bitmap, options);

/** The photo as a JPEG that any browser can show, null without one. */
export const renditionOf = async (file, options) => (await now(options)).renditionOf(file, options);
