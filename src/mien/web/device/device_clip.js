// A clip analysed on this device, frame by frame; the result is that of the server.

import { openClip } from "./clip_frames.js";
import { csvText } from "./csv.js";
import { videoColumns } from "./device_models.js";
import { openVideo } from "./networks.js";

/** Pixels of a frame above which it is analysed smaller. */
const PIXELS = 1920 * 1088;
const NO_FRAME = "no frame of the clip can be read: the file is damaged, or was cut off";

/** { summary, tracks, rows } of a clip; `onProgress(share, frames)` is called along the way. */
export async function analyseClip(file, { signal, onProgress }) {
  const clip = await openClip(file, signal);
  const video = await openVideo({ live: false, interval: clip.interval });
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const rows = [];
  try {
    for await (const { index, time, width, height, draw } of clip.frames()) {
      signal.throwIfAborted();
      const scale = Math.min(1, Math.sqrt(PIXELS / (width * height)));
      const [across, down] = [Math.floor(width * scale), Math.floor(height * scale)];
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
      draw(context);
      if (scale < 1) context.drawImage(canvas, 0, 0, width, height, 0, 0, across, down);
      const { data } = context.getImageData(0, 0, across, down);
      rows.push(...(await video.step(data.buffer, across, down, index, time)));
      onProgress(clip.seconds ? Math.min(time / clip.seconds, 1) : null, index + 1);
    }
    const { frames, summary, tracks } = await video.finish();
    if (!summary.coverage.frames) throw new Error(NO_FRAME);
    rows.push(...frames);
    for (const row of rows) {
      delete row.width;
      delete row.height;
    }
    return { summary, tracks, rows };
  } finally {
    video.close();
  }
}

/** The table of a clip as CSV: a row per face and frame, and one of a frame without a face. */
export async function clipCsv({ rows }, source) {
  const columns = await videoColumns();
  const frame = (row) => ({ source, frame: row.frame, time: row.time, detected: row.detected, cut: row.cut ?? false });
  const table = rows.flatMap((row) =>
    (row.faces.length ? row.faces : [{}]).map((face) =>
      columns.map(({ name, path }) =>
        path.length ? path.reduce((value, key) => value?.[key], face) : frame(row)[name],
      ),
    ),
  );
  return csvText(columns, table);
}
