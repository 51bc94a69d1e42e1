// A clip: analysed on this device, or uploaded and analysed as a job of the server; then played beside its timeline.

import { ProblemError, newId, request, retry, upload } from "./api.js";
import { boxText, drawBoxes } from "./boxes.js";
import { largestViews, takeFaces } from "./clip_faces.js";
import { forget, keepFile, keptFile, remember, remembered } from "./clip_store.js";
import { analyseClip, clipCsv } from "./device_clip.js";
import { $, h, saveBlob, showMessage, sleep } from "./dom.js";
import { byteSize, capitalize, clock, count, duration, labelText, percent, sentence, stem } from "./format.js";
import { primaryOf, settledLabel, shownProbabilities } from "./heads.js";
import { canvasOf } from "./picture.js";
import { decided, limits, loadModels, place } from "./place.js";
import { drawTimeline, showLegend } from "./timeline.js";
import { episodeList, trackTable } from "./track_table.js";

/** Milliseconds between two questions for the state of a job. */
const ASK_EVERY = 400;
/** Faces that get a lane, and a small picture, at most. */
const LANES = 12;
const PICTURES = 50;
const UNPLAYABLE = "This browser cannot play the file. The analysis below is complete.";
const NOT_KEPT = "The video itself was not kept when the page was loaded again. The analysis below is complete.";
/** Seconds for which the server keeps a clip whose page was left or is loaded again. */
const RETURN = 60;
/** Seconds without an observation over which the areas are not joined. */
const GAP = 0.6;

let job = null;

export function setUp() {
  $("clip-file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) startJob(file);
  });
  $("clip-cancel").addEventListener("click", () => {
    dropJob();
    $("clip-live").textContent = "Cancelled.";
    $("clip-title").focus();
  });
  $("clip-clear").addEventListener("click", () => {
    dropJob();
    $("clip-title").focus();
  });
  $("clip-csv").addEventListener("click", () => job?.saveCsv());
  $("clip-json").addEventListener("click", () => job?.saveJson());
  $("clip-picture").addEventListener("click", () => job?.savePicture());
  $("clip-annotated").addEventListener("click", () => job?.saveAnnotated());
  document.addEventListener("limits", showLimits);
  document.addEventListener("theme", () => job?.draw());
  window.addEventListener("resize", () => job?.draw());
  window.addEventListener("pagehide", () => job?.leave());
  $("clip-lines").addEventListener("pointerdown", seekByPointer);
  $("clip-lines").addEventListener("keydown", seekByKey);
  const video = $("clip-video");
  for (const event of ["timeupdate", "seeked", "loadeddata", "play"])
    video.addEventListener(event, () => job?.showTime());
  const toggle = () => (video.paused ? video.play().catch(() => {}) : video.pause()); // an error event shows that it cannot play
  $("clip-play").addEventListener("click", toggle);
  video.addEventListener("click", toggle);
  for (const event of ["play", "pause", "ended"]) {
    video.addEventListener(event, () => ($("clip-play").textContent = video.paused ? "Play" : "Pause"));
  }
  $("clip-head").addEventListener("change", (event) => job?.showHead(event.target.value));
  $("clip-sound").addEventListener("change", (event) => (video.muted = !event.target.checked));
  video.addEventListener("error", () => job?.showUnplayable());
}

export const enter = () => job?.draw();

export const leave = () => $("clip-video").pause();

function showLimits() {
  const { video_bytes: bytes, video_seconds: seconds } = limits();
  const parts = [];
  if (bytes) parts.push(`up to ${byteSize(bytes)}`);
  if (seconds) parts.push(duration(seconds));
  $("clip-limits").textContent = `${place() === "device" ? "MP4, WebM, MOV and MKV" : "MP4, WebM, MKV, MOV and others"}${parts.length ? `; ${parts.join(", ")}` : ""}.`;
}

/** Analyses a video in place of the one before. */
export const add = (file) => startJob(file);

/** Continues with the clip that the page had before a reload; whether there is one. */
export function restore() {
  const clip = remembered();
  if (!clip) return false;
  job = new Job(null, clip);
  job.resume();
  return true;
}

async function startJob(file) {
  dropJob();
  await decided;
  const { video_bytes: most } = limits();
  if (most && file.size > most) {
    showMessage(
      $("clip-notice"),
      `This file has ${byteSize(file.size)}; the server takes up to ${byteSize(most)}. Shorten it or save it smaller, and try again.`,
    );
    return;
  }
  const here = place() === "device";
  const annotate = !here && $("clip-annotate").checked;
  const clip = { id: newId(), name: file.name || "clip", type: file.type, annotate, here };
  remember(clip);
  job = new Job(file, clip);
  keepFile(clip.id, file, job.abort.signal);
  job.run();
}

function dropJob() {
  job?.close();
  job = null;
  forget();
  showMessage($("clip-notice"));
  $("clip-job").hidden = true;
  $("clip-result").hidden = true;
  $("clip-drop").hidden = false;
  $("view-clip").classList.remove("filled");
}

// ---------------------------------------------------------------- one clip

class Job {
  /** `file` may be null where the page was loaded again; a clip is { id, name, annotate, here }. */
  constructor(file, clip) {
    this.file = file;
    this.clip = clip;
    this.name = clip.name;
    this.abort = new AbortController();
    this.address = `v1/videos/${clip.id}`;
    this.result = null;
    this.url = "";
    this.pictures = new Map(); // track → a small picture of its face
  }

  async run() {
    $("clip-cancel").focus();
    await this.#try(async (signal) => {
      if (this.clip.here) return this.#analyseHere(signal);
      await this.#send(signal);
      await this.#finish(signal);
    });
  }

  async #analyseHere(signal) {
    this.#showPhase("Opening the clip");
    const began = performance.now();
    this.result = await analyseClip(this.file, {
      signal,
      onProgress: (share, frames) => {
        const left = share ? ((performance.now() - began) / 1000) * (1 / share - 1) : 0;
        this.#showAnalysing(share, frames, share > 0.02 ? left : null);
      },
    });
    signal.throwIfAborted();
    await loadModels();
    this.#show();
  }

  #showAnalysing(share, frames, eta) {
    const left = eta !== null && eta >= 1 ? `, about ${duration(eta)} left` : "";
    this.#showPhase(share === null ? `Analysing, ${count(frames, "frame")}` : `Analysing, ${percent(share)}${left}`, share);
  }

  /** Continues where the page was left: the server may have the clip, or it is sent again. */
  async resume() {
    await this.#try(async (signal) => {
      this.#showPhase(`Opening ${this.name}`);
      this.file = await keptFile(this.clip);
      if (this.clip.here) {
        if (!this.file) throw new Error("the clip is no longer here; choose it again");
        return this.#analyseHere(signal);
      }
      try {
        await this.#finish(signal);
      } catch (error) {
        if (!(error instanceof ProblemError && error.status === 404)) throw error;
        if (!this.file) throw new Error("the clip is no longer here; choose it again");
        await this.#send(signal);
        await this.#finish(signal);
      }
    });
  }

  async #finish(signal) {
    await this.#waitUntilDone(signal);
    this.result = await this.#fetch(signal);
    await loadModels();
    this.#show();
  }

  async #try(work) {
    const { signal } = this.abort;
    $("clip-drop").hidden = true;
    $("clip-job").hidden = false;
    try {
      await work(signal);
    } catch (error) {
      if (signal.aborted) return;
      const again = this.file && h("button", { type: "button", onclick: () => startJob(this.file) }, "Try again");
      const lost = error instanceof ProblemError && error.status === 404;
      const line = lost ? "The server was started again and no longer knows this clip." : sentence(error.message);
      dropJob();
      showMessage($("clip-notice"), `${line} `, again);
    }
  }

  #showPhase(line, share = null) {
    const bar = $("clip-progress");
    if ($("clip-phase").textContent !== line) $("clip-phase").textContent = line;
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
  }

  async #send(signal) {
    await retry(
      () => {
        const form = new FormData();
        form.append("id", this.clip.id);
        if (this.clip.annotate) form.append("annotate", "true");
        form.append("video", this.file, "clip"); // its name stays here
        return upload("v1/videos", form, {
          signal,
          onProgress: (share) =>
            this.#showPhase(
              share < 1 ? `Sending ${this.name}, ${percent(share)}` : "Sent; waiting for the server",
              share < 1 ? share : null,
            ),
        }).catch((error) => {
          // the answer to an upload that arrived was lost
          if (!(error instanceof ProblemError && error.problem.code === "video-exists")) throw error;
        });
      },
      { signal, onWait: (line) => this.#showPhase(line || `Sending ${this.name}`) },
    );
    $("clip-live").textContent = "The clip was sent and is being analysed.";
  }

  async #waitUntilDone(signal) {
    for (;;) {
      const state = await retry(async () => (await request(this.address, { signal })).json(), {
        signal,
        onWait: (line) => line && this.#showPhase(line),
      });
      if (state.status === "done") return;
      if (state.status === "failed" || state.status === "cancelled") {
        const problem = state.error ?? {};
        throw new Error(
          problem.detail ||
            problem.title ||
            (typeof problem === "string" ? problem : "") ||
            `The analysis was ${state.status}.`,
        );
      }
      const { share = null, eta = null, frames = 0 } = state.progress ?? {};
      if (state.status === "queued") this.#showPhase("Waiting for its turn");
      else this.#showAnalysing(share, frames, eta);
      await sleep(ASK_EVERY, signal);
    }
  }

  async #fetch(signal) {
    return retry(async () => (await request(`${this.address}/result`, { signal })).json(), { signal });
  }

  close() {
    this.abort.abort(new DOMException("closed", "AbortError"));
    // a server that is gone has deleted it
    if (!this.clip.here) request(this.address, { method: "DELETE" }).catch(() => {});
    const video = $("clip-video");
    video.removeAttribute("src");
    video.load();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = "";
  }

  /** The page is left, or loaded again: the server deletes the clip unless it is asked for soon. */
  leave() {
    if (this.clip.here) return;
    request(`${this.address}?after=${RETURN}`, { method: "DELETE", keepalive: true }).catch(() => {});
  }

  // ------------------------------------------------------------ result

  #show() {
    const { summary, tracks } = this.result;
    this.tracks = tracks;
    this.frames = this.result.rows;
    this.length = Math.max(0.04, summary.coverage.seconds, ...tracks.map((track) => track.end));
    $("clip-job").hidden = true;
    $("clip-result").hidden = false;
    const { coverage } = summary;
    $("clip-count").textContent =
      `${this.name}: ${duration(coverage.seconds)}, ${count(tracks.length, "face")} followed, ${count(coverage.frames, "frame")} analysed`;
    $("clip-problems").replaceChildren(...(coverage.problems ?? []).map((line) => h("p", { class: "hint" }, line)));
    $("clip-annotated").hidden = !this.clip.annotate;
    document.dispatchEvent(new CustomEvent("filled", { detail: true }));
    $("view-clip").classList.add("filled");
    const video = $("clip-video");
    $("clip-stage").hidden = $("clip-player").hidden = $("clip-picture").hidden = !this.file;
    showMessage($("clip-unplayable"), this.file ? "" : NOT_KEPT);
    $("clip-stage").style.setProperty(
      "aspect-ratio",
      summary.width ? `${summary.width} / ${summary.height}` : "16 / 9",
    );
    $("clip-stage").style.setProperty("--ratio", summary.width ? summary.width / summary.height : 16 / 9);
    if (this.file) {
      this.url = URL.createObjectURL(this.file);
      video.src = this.url;
      const shown = tracks.map(({ track }) => track).slice(0, PICTURES);
      takeFaces(this.url, largestViews(this.frames, shown), summary.width, summary.height, this.abort.signal, (...face) =>
        this.#addPicture(...face),
      );
    }
    const seek = (time) => this.seek(time);
    $("clip-table").replaceChildren(...trackTable(tracks, summary.heads, seek));
    $("clip-episodes").replaceChildren(...episodeList(tracks, seek));
    const heads = Object.keys(summary.heads).filter((head) => !summary.heads[head].ordered);
    $("clip-head").replaceChildren(...heads.map((head) => h("option", { value: head }, capitalize(head))));
    $("clip-head-choice").hidden = heads.length < 2;
    const slider = $("clip-lines");
    slider.setAttribute("aria-valuemin", "0");
    slider.setAttribute("aria-valuemax", this.length.toFixed(1));
    this.showHead(heads[0]);
    this.seek(0);
    $("clip-live").textContent = tracks.length
      ? `Done: ${count(tracks.length, "face")} followed.`
      : "Done: no face was detected.";
    $("clip-count").tabIndex = -1;
    $("clip-count").focus();
    const next = () => {
      if (this.abort.signal.aborted) return;
      if (!video.paused) this.showTime();
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next);
  }

  /** Shows a small picture of a face in the table and at its lane. */
  #addPicture(track, picture) {
    this.pictures.set(track, picture);
    for (const place of document.querySelectorAll(`#clip-table [data-track="${track}"]`)) place.replaceChildren(picture);
    const lane = this.lanes?.find((one) => one.track === track);
    if (lane) lane.picture = picture;
    this.draw();
  }

  /** Shows the timeline of a nominal head; lanes without areas where there is none. */
  showHead(head) {
    this.head = head;
    this.labels = this.result.summary.heads[head]?.labels ?? [];
    this.lanes = this.#lanes();
    $("clip-lines-title").textContent = head ? `${capitalize(head)} over time` : "Faces over time";
    showLegend($("clip-legend"), head, this.labels);
    this.draw();
  }

  #lanes() {
    const shown = [...this.tracks]
      .sort((a, b) => b.seen - a.seen)
      .slice(0, LANES)
      .sort((a, b) => a.track - b.track);
    return shown.map((track) => {
      const runs = (track.episodes ?? []).filter((episode) => episode.head === this.head);
      const { track: number } = track;
      const picture = this.pictures.get(number);
      const lane = { track: number, name: `Face ${number}`, picture, times: [], shares: [], runs };
      for (const { time, faces } of this.frames) {
        const face = faces.find((one) => one.track === track.track);
        const shares = shownProbabilities(face?.predictions?.[this.head]);
        if (!shares) continue;
        lane.times.push(time);
        for (const label of this.labels) lane.shares.push(shares[label] ?? 0);
      }
      return lane;
    });
  }

  draw() {
    if (!this.lanes || $("view-clip").hidden) return;
    const { lanes, head, labels } = this;
    const ticks = ticksOf(this.length, $("clip-timeline").clientWidth);
    drawTimeline($("clip-timeline"), { lanes, head, labels, span: [0, this.length], gap: GAP, ticks });
    this.showTime();
  }

  get time() {
    return this.#playable ? $("clip-video").currentTime : (this.at ?? 0);
  }

  get #playable() {
    return !$("clip-stage").hidden;
  }

  seek(time) {
    this.at = Math.min(Math.max(time, 0), this.length);
    // browsers show nothing at the very end
    if (this.#playable) $("clip-video").currentTime = Math.min(this.at, Math.max(0, this.length - 0.02));
    this.showTime();
  }

  /** Needle, boxes and the slider's text for the time of the video. */
  showTime() {
    if (!this.lanes) return;
    const time = this.time;
    const share = Math.min(1, time / this.length);
    $("clip-needle").style.setProperty("left", `${100 * share}%`);
    $("clip-time").textContent = `${clock(time)} / ${clock(this.length)}`;
    const slider = $("clip-lines");
    const faces = this.#facesAt(time);
    slider.setAttribute("aria-valuenow", time.toFixed(1));
    const labels = faces
      .slice(0, 3)
      .map((face) => `face ${face.track} ${labelOf(face) || "undecided"}`)
      .join(", ");
    slider.setAttribute("aria-valuetext", `${clock(time)}, ${labels || "no face"}`);
    this.#drawOverlay(faces);
  }

  #facesAt(time) {
    let low = 0;
    let high = this.frames.length - 1;
    if (high < 0) return [];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.frames[middle].time <= time + 1e-3) low = middle;
      else high = middle - 1;
    }
    if (Math.abs(this.frames[low].time - time) >= 1) return [];
    return [...this.frames[low].faces].sort((a, b) => a.track - b.track);
  }

  #drawOverlay(faces) {
    const canvas = $("clip-overlay");
    const ratio = window.devicePixelRatio || 1;
    if (!canvas.clientWidth) return;
    [canvas.width, canvas.height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
    drawBoxes(canvas.getContext("2d"), faces, {
      scale: canvas.width / this.result.summary.width,
      unit: ratio,
      label: (face) => [face.track, labelOf(face)].filter(Boolean).join(" "),
    });
  }

  showUnplayable() {
    if (!this.result || !this.url) return;
    $("clip-stage").hidden = $("clip-player").hidden = $("clip-picture").hidden = true;
    showMessage($("clip-unplayable"), UNPLAYABLE);
    this.showTime();
  }

  // ------------------------------------------------------------ files

  async saveCsv() {
    await this.#trySaving(async () => {
      if (this.clip.here) {
        const text = await clipCsv(this.result, this.name);
        return saveBlob(new Blob([text], { type: "text/csv;charset=utf-8" }), `${stem(this.name)}.csv`);
      }
      const answer = await request(`${this.address}/result?format=csv`, { headers: { Accept: "text/csv" } });
      saveBlob(await answer.blob(), `${stem(this.name)}.csv`);
    });
  }

  async saveAnnotated() {
    await this.#trySaving(async () => {
      const answer = await request(`${this.address}/annotated.mp4`);
      saveBlob(await answer.blob(), `${stem(this.name)}-annotated.mp4`);
    });
  }

  /** The frame that is shown, with its boxes. */
  async savePicture() {
    await this.#trySaving(async () => {
      const { width, height } = this.result.summary;
      const [canvas, context] = canvasOf(width, height);
      context.drawImage($("clip-video"), 0, 0, width, height);
      const unit = Math.max(0.8, Math.max(width, height) / 900);
      drawBoxes(context, this.#facesAt(this.time), { unit, label: (face) => boxText(face, face.track) });
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
      saveBlob(blob, `${stem(this.name)}-${this.time.toFixed(2)}.jpg`);
    });
  }

  async saveJson() {
    await this.#trySaving(async () =>
      saveBlob(new Blob([JSON.stringify(this.result, null, 1)], { type: "application/json" }), `${stem(this.name)}.json`),
    );
  }

  async #trySaving(make) {
    showMessage($("clip-notice"));
    try {
      await make();
    } catch (error) {
      showMessage($("clip-notice"), `The file could not be made: ${error.message}`);
    }
  }
}

// ---------------------------------------------------------------- pointer and keys

function seekByPointer(event) {
  if (!job?.lanes || event.button !== 0) return;
  const lines = $("clip-lines");
  const go = (at) => {
    const { left, width } = lines.getBoundingClientRect();
    job?.seek((job.length * (at.clientX - left)) / width);
  };
  lines.setPointerCapture(event.pointerId);
  go(event);
  const stop = () => lines.removeEventListener("pointermove", go);
  lines.addEventListener("pointermove", go);
  lines.addEventListener("pointerup", stop, { once: true });
  lines.addEventListener("pointercancel", stop, { once: true });
}

const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };

function seekByKey(event) {
  if (!job?.lanes || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key in STEPS) job.seek(job.time + STEPS[event.key] * (event.shiftKey ? 0.1 : 1));
  else if (event.key === "Home") job.seek(0);
  else if (event.key === "End") job.seek(job.length);
  else return;
  event.preventDefault();
}

// ---------------------------------------------------------------- small parts

/** The label of a face that is shown first, as it has settled. */
const labelOf = (face) => labelText(settledLabel(primaryOf(face)[1]));

function ticksOf(length, width) {
  const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600];
  const step = steps.find((one) => length / one <= Math.max(2, width / 90)) ?? 7200;
  const ticks = [];
  for (let at = 0; at <= length + 1e-6; at += step) ticks.push([at, clock(at, step < 1)]);
  return ticks;
}
