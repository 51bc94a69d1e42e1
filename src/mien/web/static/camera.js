// The camera: frames are analysed one at a time, the newest whenever the last one is answered; nothing is recorded.

import { drawBoxes } from "./boxes.js";
import { DeviceFrames, ServerFrames } from "./camera_frames.js";
import { $, h, showMessage } from "./dom.js";
import { faceCard, warnings } from "./face_card.js";
import { capitalize, count, labelText } from "./format.js";
import { nominalHeads, primaryOf, settledLabel, shownLabel } from "./heads.js";
import { LiveHistory } from "./live_history.js";
import { faceCrop } from "./picture.js";
import { decided, place } from "./place.js";

/** Pixels of the longer side of a frame that is analysed. */
const SIDE = 640;
/** Faces that get a card at most. */
const CARDS = 6;
/** Milliseconds after which old boxes are removed. */
const STALE = 3_000;
/** Milliseconds between two drawings of the cards, and two texts for screen readers. */
const CARD_EVERY = 250;
const ANNOUNCE_EVERY = 4_000;

const canvas = document.createElement("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });
let current = null; // the session that is running

export function setUp() {
  $("camera-start").addEventListener("click", () => (current ? stop() : start()));
  $("camera-device").addEventListener("change", restart);
  $("camera-mirror").addEventListener("change", applyMirror);
  $("camera-head").addEventListener("change", () => current?.showHead($("camera-head").value));
  window.addEventListener("pagehide", () => stop());
  document.addEventListener("place", restart);
  applyMirror();
}

export function leave() {
  if (current) stop();
}

/** With another camera, or where pictures are analysed now. */
function restart() {
  if (!current) return;
  stop();
  start();
}

export function enter() {
  $("camera-start").disabled = false;
}

const mirrored = () => $("camera-mirror").checked;

function applyMirror() {
  $("camera-video").classList.toggle("mirrored", mirrored());
  current?.drawOverlay();
}

// ---------------------------------------------------------------- start and stop

async function start() {
  showMessage($("camera-notice"));
  if (!navigator.mediaDevices?.getUserMedia) {
    showFailure(
      "Browsers give a page the camera only over HTTPS or on the machine itself (localhost). Open this page there; photos and clips work here as well.",
    );
    return;
  }
  const session = new Session();
  current = session;
  showState(true);
  $("camera-empty").textContent = "Waiting for the camera. The browser may ask whether this page may use it.";
  const device = $("camera-device").value;
  const constraints = {
    width: { ideal: 1280 },
    height: { ideal: 720 },
    ...(device ? { deviceId: { exact: device } } : { facingMode: "user" }),
  };
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: constraints, audio: false });
    if (current !== session) {
      stream.getTracks().forEach((track) => track.stop());
      return;
    }
    await session.start(stream);
    await showCameras(stream);
  } catch (error) {
    if (current !== session) return;
    stop();
    showFailure(reasonOf(error));
  }
}

function stop() {
  current?.end();
  current = null;
  showState(false);
}

function showState(running) {
  const button = $("camera-start");
  button.textContent = running ? "Stop the camera" : "Start the camera";
  button.classList.toggle("main", !running);
  $("camera-stage").dataset.state = running ? "starting" : "off";
  $("camera-empty").hidden = false;
  $("camera-empty").textContent = "Off. Frames are read one by one and not stored.";
  $("camera-live-text").textContent = running ? "" : "The camera is off.";
  for (const id of ["camera-rate", "camera-delay", "camera-faces-count"]) $(id).textContent = "–";
  if (running) return;
  $("camera-faces").replaceChildren();
  showMessage($("camera-hint"));
}

function showFailure(line) {
  showMessage($("camera-notice"), line);
}

function reasonOf(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return "The browser did not let this page use the camera. Allow it in the address bar or the site's settings, then start again. Photos and clips work without a camera.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No camera was found. Plug one in or switch it on, then start again. Photos and clips work without a camera.";
    case "NotReadableError":
    case "AbortError":
      return "The camera could not be opened; another program may be using it. Close that program, then start again.";
    default:
      return `The camera could not be started: ${error.message || error.name}`;
  }
}

async function showCameras(stream) {
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "videoinput");
  const current = stream.getVideoTracks()[0]?.getSettings().deviceId;
  $("camera-device").replaceChildren(
    ...devices.map((device, i) =>
      h("option", { value: device.deviceId, selected: device.deviceId === current }, device.label || `Camera ${i + 1}`),
    ),
  );
  $("camera-choice").hidden = devices.length < 2;
}

// ---------------------------------------------------------------- one session, from start to stop

class Session {
  #video = $("camera-video");
  #overlay = $("camera-overlay");
  #abort = new AbortController();
  #frames = null; // where they are analysed
  #capturing = false;
  #answers = [];
  #delays = [];
  #result = null;
  #resultTime = 0;
  #history = null;
  #announced = "";
  #last = { cards: 0, announcement: 0, history: 0, face: performance.now() };
  #started = performance.now();

  async start(stream) {
    this.stream = stream;
    for (const track of stream.getVideoTracks()) {
      track.addEventListener("ended", () => {
        if (current !== this) return;
        stop();
        showFailure("The camera stopped: it was unplugged or taken by another program.");
      });
    }
    this.#video.srcObject = stream;
    await this.#video.play();
    const { videoWidth, videoHeight } = this.#video;
    $("camera-stage").style.setProperty("aspect-ratio", `${videoWidth} / ${videoHeight}`);
    $("camera-stage").style.setProperty("--ratio", videoWidth / videoHeight);
    $("camera-stage").dataset.state = "on";
    $("camera-empty").hidden = true;
    this.#last.face = performance.now();
    document.dispatchEvent(new CustomEvent("filled", { detail: true }));
    await decided;
    this.#frames = new (place() === "device" ? DeviceFrames : ServerFrames)({
      open: () => this.#showHeads(),
      result: (result) => this.#receive(result),
      unreadable: (reason) => showMessage($("camera-hint"), `A frame could not be read: ${reason}`),
      lost: (line) => {
        this.#clear();
        showMessage($("camera-notice"), line);
      },
    });
    this.#frames.open();
    this.#sendEveryFrame();
    this.#redraw();
  }

  end() {
    this.#abort.abort();
    this.#frames?.close();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.#video.srcObject = null;
    this.#overlay.getContext("2d").clearRect(0, 0, this.#overlay.width, this.#overlay.height);
  }

  get #stopped() {
    return this.#abort.signal.aborted;
  }

  // ------------------------------------------------------------ frames out

  #sendEveryFrame() {
    if (this.#stopped) return;
    const again = () => this.#sendEveryFrame();
    if (this.#video.requestVideoFrameCallback) this.#video.requestVideoFrameCallback(again);
    else setTimeout(again, 40);
    this.#send();
  }

  async #send() {
    if (this.#capturing || !this.#frames?.isFree) return;
    const { videoWidth, videoHeight } = this.#video;
    if (!videoWidth) return;
    this.#capturing = true;
    try {
      const scale = Math.min(1, SIDE / Math.max(videoWidth, videoHeight));
      [canvas.width, canvas.height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
      const time = performance.now();
      context.drawImage(this.#video, 0, 0, canvas.width, canvas.height);
      await this.#frames.send(canvas, (time - this.#started) / 1000);
    } finally {
      this.#capturing = false;
    }
  }

  // ------------------------------------------------------------ results in

  #receive(result) {
    if (this.#stopped) return;
    const now = performance.now();
    if (this.#frames.since) this.#delays.push(this.#frames.since);
    this.#result = result;
    this.#resultTime = now;
    this.#answers.push(now);
    showMessage($("camera-notice"));
    if (result.faces.length) this.#last.face = now;
    // the canvas still holds the frame that was answered
    const fresh = !this.#capturing;
    this.#history?.add(result, now / 1000, ({ box }) =>
      fresh ? faceCrop(canvas, box, result.width, result.height) : null,
    );
    this.drawOverlay();
    this.#showFigures(now);
    if (now - this.#last.cards > CARD_EVERY) this.#showCards(now);
  }

  // ------------------------------------------------------------ what is shown

  #redraw() {
    if (this.#stopped) return;
    requestAnimationFrame(() => this.#redraw());
    const now = performance.now();
    if (this.#resultTime && now - this.#resultTime > STALE) this.#clear();
    if (now - this.#last.history > 60) {
      this.#last.history = now;
      this.#history?.draw();
    }
  }

  /** Offers the heads that have a timeline, where there is more than one. */
  #showHeads() {
    const heads = nominalHeads();
    const shown = heads.includes($("camera-head").value) ? $("camera-head").value : heads[0];
    $("camera-head").replaceChildren(
      ...heads.map((head) => h("option", { value: head, selected: head === shown }, capitalize(head))),
    );
    $("camera-head-choice").hidden = heads.length < 2;
    if (this.#history?.head !== shown) this.showHead(shown);
  }

  /** Starts the timeline of a head. */
  showHead(head) {
    this.#history = head ? new LiveHistory(head) : null;
  }

  #clear() {
    this.#result = null;
    this.#resultTime = 0;
    this.#answers = [];
    this.#delays = [];
    this.drawOverlay();
    $("camera-faces").replaceChildren();
    for (const id of ["camera-rate", "camera-delay", "camera-faces-count"]) $(id).textContent = "–";
    if (this.#frames?.isConnected)
      showMessage($("camera-hint"), "Waiting for the next answer.");
    else showMessage($("camera-hint"));
  }

  drawOverlay() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.#overlay;
    if (!clientWidth) return;
    [this.#overlay.width, this.#overlay.height] = [clientWidth * ratio, clientHeight * ratio];
    if (!this.#result) return;
    drawBoxes(this.#overlay.getContext("2d"), this.#result.faces, {
      scale: this.#overlay.width / this.#result.width,
      mirrored: mirrored() ? this.#overlay.width : 0,
      unit: ratio,
      label: (face) => [face.track, labelText(shownLabel(primaryOf(face)[1]))].filter(Boolean).join(" "),
    });
  }

  #showFigures(now) {
    this.#answers = this.#answers.filter((time) => now - time < 2_000);
    this.#delays = this.#delays.slice(-15);
    const span = this.#answers.length > 1 ? (this.#answers.at(-1) - this.#answers[0]) / 1000 : 0;
    const delay = this.#delays.reduce((sum, value) => sum + value, 0) / (this.#delays.length || 1);
    const rate = span ? (this.#answers.length - 1) / span : 0;
    $("camera-rate").textContent = rate ? rate.toFixed(rate < 10 ? 1 : 0) : "–";
    $("camera-delay").textContent = this.#delays.length ? `${Math.round(delay)} ms` : "–";
    $("camera-faces-count").textContent = String(this.#result.faces.length);
  }

  #showCards(now) {
    this.#last.cards = now;
    const { faces } = this.#result;
    const largest = [...faces]
      .sort((a, b) => area(b) - area(a))
      .slice(0, CARDS)
      .sort((a, b) => a.track - b.track);
    $("camera-faces").replaceChildren(
      ...largest.map((face) =>
        faceCard(face, {
          name: `Face ${face.track}`,
          number: face.track,
          sorted: false,
          level: "h3",
          picture: this.#history?.pictureOf(face.track),
        }),
      ),
    );
    const hints = [];
    if (!faces.length && now - this.#last.face > 2_000)
      hints.push("No face in view. Face the camera, come closer, or add light.");
    const [uncertain] = largest.flatMap(warnings);
    if (uncertain) hints.push(uncertain);
    if (faces.length > CARDS) hints.push(`${count(faces.length, "face")} in view; the ${CARDS} largest are listed.`);
    const line = hints.join(" ");
    if ($("camera-hint").textContent !== line) showMessage($("camera-hint"), line);
    if (now - this.#last.announcement > ANNOUNCE_EVERY) {
      const words = faces.length ? faces.slice(0, 4).map(announcement).join(", ") : "No face in view";
      if (words !== this.#announced) {
        this.#announced = words;
        this.#last.announcement = now;
        $("camera-live-text").textContent = words;
      }
    }
  }
}

function announcement(face) {
  const [, prediction] = primaryOf(face);
  return `Face ${face.track}${prediction ? ` looks ${labelText(settledLabel(prediction)) || "undecided"}` : ""}`;
}

const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
