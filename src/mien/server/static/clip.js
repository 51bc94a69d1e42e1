// A clip: uploaded with progress, analysed as a job that can be cancelled, then played beside its timeline.

import { ProblemError, limits, loadModels, request, retry, upload } from "./api.js";
import { drawBoxes } from "./boxes.js";
import { $, h, saveBlob, showMessage, sleep } from "./dom.js";
import { byteSize, capitalize, clock, count, duration, labelText, percent, sentence, stem } from "./format.js";
import { primaryOf, settledLabel, shownProbabilities } from "./heads.js";
import { drawTimeline, showLegend } from "./timeline.js";
import { episodeList, trackTable } from "./track_table.js";

/** Milliseconds between two questions for the state of a job. */
const ASK_EVERY = 400;
/** Faces that get a lane at most. */
const LANES = 12;
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
  $("clip-annotated").addEventListener("click", () => job?.saveAnnotated());
  document.addEventListener("limits", showLimits);
  document.addEventListener("theme", () => job?.draw());
  window.addEventListener("resize", () => job?.draw());
  window.addEventListener("pagehide", () => job?.deleteFromServer(true));
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
  const parts = [];
  if (limits.video_bytes) parts.push(`up to ${byteSize(limits.video_bytes)}`);
  if (limits.video_seconds) parts.push(duration(limits.video_seconds));
  $("clip-limits").textContent = `MP4, WebM, MKV, MOV and others${parts.length ? `; ${parts.join(", ")}` : ""}.`;
}

/** Analyses a video in place of the one before. */
export const add = (file) => startJob(file);

function startJob(file) {
  dropJob();
  if (limits.video_bytes && file.size > limits.video_bytes) {
    showMessage(
      $("clip-notice"),
      `This file has ${byteSize(file.size)}; the server takes up to ${byteSize(limits.video_bytes)}. Shorten it or save it smaller, and try again.`,
    );
    return;
  }
  job = new Job(file);
  job.run();
}

function dropJob() {
  job?.close();
  job = null;
  showMessage($("clip-notice"));
  $("clip-job").hidden = true;
  $("clip-result").hidden = true;
  $("clip-drop").hidden = false;
}

// ---------------------------------------------------------------- one clip

class Job {
  constructor(file) {
    this.file = file;
    this.name = file.name || "clip";
    this.abort = new AbortController();
    this.address = null;
    this.result = null;
    this.url = "";
  }

  async run() {
    const { signal } = this.abort;
    $("clip-drop").hidden = true;
    $("clip-job").hidden = false;
    $("clip-cancel").focus();
    try {
      await this.#send(signal);
      await this.#waitUntilDone(signal);
      this.result = await this.#fetch(signal);
      await loadModels();
      this.#show();
    } catch (error) {
      if (signal.aborted) return;
      const again = h("button", { type: "button", onclick: () => startJob(this.file) }, "Try again");
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
    const accepted = await retry(
      () => {
        const form = new FormData();
        if ($("clip-annotate").checked) form.append("annotate", "true");
        form.append("video", this.file, "clip"); // its name stays here
        return upload("v1/videos", form, {
          signal,
          onProgress: (share) =>
            this.#showPhase(
              share < 1 ? `Sending ${this.name}, ${percent(share)}` : "Sent; waiting for the server",
              share < 1 ? share : null,
            ),
        });
      },
      { signal, onWait: (line) => this.#showPhase(line || `Sending ${this.name}`) },
    );
    this.address = `v1/videos/${encodeURIComponent(accepted.id)}`;
    $("clip-annotated").hidden = !accepted.links.annotated;
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
      else {
        const left = eta !== null && eta >= 1 ? `, about ${duration(eta)} left` : "";
        this.#showPhase(
          share === null ? `Analysing, ${count(frames, "frame")}` : `Analysing, ${percent(share)}${left}`,
          share,
        );
      }
      await sleep(ASK_EVERY, signal);
    }
  }

  async #fetch(signal) {
    return retry(async () => (await request(`${this.address}/result`, { signal })).json(), { signal });
  }

  close() {
    this.abort.abort(new DOMException("closed", "AbortError"));
    this.deleteFromServer(false);
    const video = $("clip-video");
    video.removeAttribute("src");
    video.load();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = "";
  }

  /** Deletes the clip and its result on the server. */
  deleteFromServer(leaving) {
    if (!this.address) return;
    request(this.address, { method: "DELETE", keepalive: leaving }).catch(() => {}); // a server that is gone has deleted it
    this.address = null;
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
    this.url = URL.createObjectURL(this.file);
    const video = $("clip-video");
    $("clip-stage").hidden = $("clip-player").hidden = false;
    $("clip-unplayable").hidden = true;
    $("clip-stage").style.setProperty(
      "aspect-ratio",
      summary.width ? `${summary.width} / ${summary.height}` : "16 / 9",
    );
    $("clip-stage").style.setProperty("--ratio", summary.width ? summary.width / summary.height : 16 / 9);
    video.src = this.url;
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
      const lane = { name: `Face ${track.track}`, times: [], shares: [], runs };
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
    $("clip-stage").hidden = $("clip-player").hidden = true;
    $("clip-unplayable").hidden = false;
    this.showTime();
  }

  // ------------------------------------------------------------ files

  async saveCsv() {
    await this.#trySaving(async () => {
      const answer = await request(`${this.#addressOnServer}/result?format=csv`, { headers: { Accept: "text/csv" } });
      saveBlob(await answer.blob(), `${stem(this.name)}.csv`);
    });
  }

  async saveAnnotated() {
    await this.#trySaving(async () => {
      const answer = await request(`${this.#addressOnServer}/annotated.mp4`);
      saveBlob(await answer.blob(), `${stem(this.name)}-annotated.mp4`);
    });
  }

  async saveJson() {
    await this.#trySaving(async () =>
      saveBlob(new Blob([JSON.stringify(this.result, null, 1)], { type: "application/json" }), `${stem(this.name)}.json`),
    );
  }

  get #addressOnServer() {
    if (!this.address) throw new Error("the server no longer has the clip; send it again");
    return this.address;
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
