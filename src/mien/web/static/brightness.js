// How bright the faces of a picture are.

/** Mean brightness (0–1) of a face below which it is dark. */
export const DARK = 0.16;

const SIDE = 320;

/**
 * Mean brightness (0–1) of every face of a drawable picture of width × height pixels; null where it cannot be read.
 */
export function brightnessOf(drawable, faces, width, height) {
  if (!faces.length) return [];
  const scale = Math.min(1, SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  try {
    context.drawImage(drawable, 0, 0, canvas.width, canvas.height);
    return faces.map(({ box }) => {
      const [x1, y1, x2, y2] = box.map((value) => value * scale);
      const left = Math.min(Math.max(0, Math.floor(x1)), canvas.width - 1);
      const top = Math.min(Math.max(0, Math.floor(y1)), canvas.height - 1);
      const across = Math.max(1, Math.min(Math.ceil(x2), canvas.width) - left);
      const down = Math.max(1, Math.min(Math.ceil(y2), canvas.height) - top);
      const { data } = context.getImageData(left, top, across, down);
      let sum = 0;
      for (let i = 0; i < data.length; i += 4) sum += 0.2126 * data[i] + 0.7152 * data[i + 1] + 0.0722 * data[i + 2];
      return sum / (data.length / 4) / 255;
    });
  } catch {
    return faces.map(() => null);
  }
}
