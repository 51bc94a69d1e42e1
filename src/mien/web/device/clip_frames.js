// The frames of a clip with their true times: decoded by WebCodecs where the browser has it, or by a video that seeks.

import { moduleAddress } from "./assets.js";

/** Milliseconds that a position of the video may take to be shown. */
const PATIENCE = 10_000;
/** Packets from which the rate is taken. */
const SOME = 100;
/** Seconds by which a seek goes into a frame: browsers round times. */
const INTO = 0.001;

/** A clip that is open: { seconds, interval, frames() }; each frame has index, time, width, height and draw(context). */
export async function openClip(file, signal) {
  const reader = await import(moduleAddress("mediabunny.min.mjs"));
  const input = new reader.Input({ source: new reader.BlobSource(file), formats: reader.ALL_FORMATS });
  const track = await input.getPrimaryVideoTrack().catch(() => null);
  if (!track) throw new Error(UNREADABLE);
  const [first, end, { averagePacketRate: rate }] = await Promise.all([
    track.getFirstTimestamp(),
    track.computeDuration(),
    track.computePacketStats(SOME),
  ]);
  const decodes = typeof VideoDecoder === "function" && (await track.canDecode());
  return {
    seconds: Math.max(end - first, 0),
    interval: rate > 0 ? 1 / rate : undefined,
    frames: () => (decodes ? decoded(reader, track, first, signal) : sought(reader, track, file, first, signal)),
  };
}

const UNREADABLE =
  "this browser cannot read the clip: its format is unknown here. Save it as MP4 or WebM, and try again";

async function* decoded(reader, track, first, signal) {
  let index = 0;
  for await (const sample of new reader.VideoSampleSink(track).samples()) {
    try {
      signal.throwIfAborted();
      const { displayWidth: width, displayHeight: height } = sample;
      const draw = (context) => sample.draw(context, 0, 0, width, height);
      yield { index, time: sample.timestamp - first, width, height, draw };
      index += 1;
    } finally {
      sample.close();
    }
  }
}

async function* sought(reader, track, file, first, signal) {
  const times = [];
  for await (const packet of new reader.EncodedPacketSink(track).packets(undefined, undefined, { metadataOnly: true }))
    times.push(packet.timestamp);
  times.sort((a, b) => a - b);
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  const url = URL.createObjectURL(file);
  try {
    const opened = happens(video, "loadeddata", signal);
    video.src = url;
    await opened;
    for (const [index, time] of times.entries()) {
      const shown = happens(video, "seeked", signal);
      video.currentTime = time + INTO;
      await shown;
      const { videoWidth: width, videoHeight: height } = video;
      yield { index, time: time - first, width, height, draw: (context) => context.drawImage(video, 0, 0, width, height) };
    }
  } finally {
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(url);
  }
}

const happens = (video, name, signal) =>
  new Promise((resolve, reject) => {
    const over = new AbortController();
    const settle = (how, value) => {
      over.abort();
      clearTimeout(timer);
      how(value);
    };
    const timer = setTimeout(() => settle(reject, new Error("the clip could not be decoded to its end")), PATIENCE);
    const options = { once: true, signal: over.signal };
    signal.addEventListener("abort", () => settle(reject, signal.reason), options);
    video.addEventListener("error", () => settle(reject, new Error(UNREADABLE)), options);
    video.addEventListener(name, () => settle(resolve), options);
  });
