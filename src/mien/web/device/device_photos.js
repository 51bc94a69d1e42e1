// Photos analysed on this device: decoded by the browser, the rest is the pipeline's.

import { hasServer } from "./api.js";
import { deviceLimits } from "./device_models.js";
import { start, analyse } from "./networks.js";
import { scaledResult } from "./picture.js";

const EMPTY = "The file is empty.";
const UNREADABLE = `This browser cannot decode the file: it is damaged, too large, or of a format such as HEIC. ${
  hasServer ? "Choose “On the server”, which reads HEIC too, or save it as JPEG." : "Save it as JPEG."
}`;

/** As of analysis.js. */
export async function analysePhoto(file, bitmap, { signal, onWait }) {
  if (!bitmap) throw new Error(file.size ? UNREADABLE : EMPTY);
  onWait("Waiting for the networks");
  await start();
  signal.throwIfAborted();
  onWait("");
  const scale = Math.min(1, Math.sqrt((deviceLimits.pixels ?? Infinity) / (bitmap.width * bitmap.height)));
  const [width, height] = [Math.floor(bitmap.width * scale), Math.floor(bitmap.height * scale)];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const result = scaledResult(await analyse(data.buffer, width, height), bitmap.width, bitmap.height);
  return { result, shrunk: scale < 1 ? width * height : 0 };
}

/** As of analysis.js: nothing here decodes what the browser cannot. */
export const renditionOf = async () => null;
