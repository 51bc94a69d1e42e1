// A small picture of every face of a clip, taken from the video where the face is largest.

import { faceCrop } from "./picture.js";

/** Milliseconds that a position of the video may take to be shown. */
const PATIENCE = 4_000;

/** The time and box at which each of these tracks is largest: [{ track, time, box }], in order of time. */
export function largestViews(rows, tracks) {
  const views = new Map();
  for (const { time, faces } of rows) {
    for (const { track, box } of faces) {
      const size = (box[2] - box[0]) * (box[3] - box[1]);
      if (tracks.includes(track) && size > (views.get(track)?.size ?? 0)) views.set(track, { track, time, box, size });
    }
  }
  return [...views.values()].sort((a, b) => a.time - b.time);
}

/** Calls `onFace(track, canvas)` for each view of a video that the browser can play; `width` × `height` are its pixels. */
export async function takeFaces(url, views, width, height, signal, onFace) {
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  video.src = url;
  try {
    await event(video, "loadeddata", signal);
    for (const { track, time, box } of views) {
      const shown = event(video, "seeked", signal);
      video.currentTime = time + 0.001;
      await shown;
      const picture = faceCrop(video, box, width, height, video.videoWidth);
      if (picture) onFace(track, picture);
    }
  } catch {
    // a video that cannot be played has no pictures
  } finally {
    video.removeAttribute("src");
    video.load();
  }
}

const event = (video, name, signal) =>
  new Promise((resolve, reject) => {
    const timeout = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]);
    const stop = () => reject(timeout.reason);
    if (timeout.aborted) stop();
    timeout.addEventListener("abort", stop, { once: true });
    video.addEventListener("error", () => reject(new Error("the video cannot be played")), { once: true });
    video.addEventListener(name, () => resolve(), { once: true });
  });
