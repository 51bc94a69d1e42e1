// Pictures as files: decoded by the browser, shrunk to what the server takes, cropped and drawn small.

/** Quality of JPEGs that are made here, and how often a file is made smaller until it fits. */
const QUALITY = 0.92;
const TRIES = 4;

/** The decoded picture, upright; null where this browser cannot decode it. */
export async function decode(blob) {
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    return null;
  }
}

/** A canvas of at most `width` × `height` pixels and its context. */
export function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  return [canvas, context];
}

/** A copy of a drawable of `width` × `height` pixels whose longer side has at most `side` pixels. */
export function shrunkCopy(drawable, width, height, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  const [canvas, context] = canvasOf(width * scale, height * scale);
  context.drawImage(drawable, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/**
 * What is sent of a picture: { blob, width, height }. The file itself where it keeps to the limits, or else a JPEG with
 * as many pixels as are allowed; null where no JPEG of it is small enough.
 */
export async function fitToLimits(file, bitmap, { pixels = Infinity, bytes = Infinity }) {
  const { width, height } = bitmap;
  if (width * height <= pixels && file.size <= bytes) return { blob: file, width, height };
  let scale = Math.min(1, Math.sqrt(pixels / (width * height)));
  for (let i = 0; i < TRIES; i += 1, scale *= 0.7) {
    // rounded down, because the limit is one of whole pixels
    const [across, down] = [Math.max(1, Math.floor(width * scale)), Math.max(1, Math.floor(height * scale))];
    const [canvas, context] = canvasOf(across, down);
    context.drawImage(bitmap, 0, 0, across, down);
    const blob = await jpegOf(canvas);
    [canvas.width, canvas.height] = [1, 1]; // the memory is free at once
    if (blob && blob.size <= bytes) return { blob, width: across, height: down };
  }
  return null;
}

const jpegOf = (canvas) => new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));

/** An answer about a shrunk picture in the pixels of the original one. */
export function scaledResult(result, width, height) {
  const [x, y] = [width / result.width, height / result.height];
  if (x === 1 && y === 1) return result;
  const digits = (value) => Math.round(100 * value) / 100;
  const faces = result.faces.map((face) => ({
    ...face,
    box: face.box.map((value, i) => digits(value * (i % 2 ? y : x))),
    ...(face.landmarks ? { landmarks: face.landmarks.map((point) => [digits(point[0] * x), digits(point[1] * y)]) } : {}),
  }));
  return { ...result, width, height, faces };
}

/**
 * The face of a box as a small square picture; null where there is nothing of it. The box is in pixels of a picture of
 * width × height, of which the drawable may be a smaller copy of `across` pixels.
 */
export function faceCrop(drawable, box, width, height, across = drawable.width, side = 112) {
  const scale = across / width;
  const [x1, y1, x2, y2] = box;
  const size = Math.min(1.3 * Math.max(x2 - x1, y2 - y1), width, height);
  if (!(size >= 2)) return null;
  const left = Math.min(Math.max((x1 + x2 - size) / 2, 0), width - size);
  const top = Math.min(Math.max((y1 + y2 - size) / 2, 0), height - size);
  const [canvas, context] = canvasOf(side, side);
  context.drawImage(drawable, left * scale, top * scale, size * scale, size * scale, 0, 0, side, side);
  return canvas;
}
