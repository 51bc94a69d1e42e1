// The camera: frames go to the server one at a time, the newest whenever the last one is answered; nothing is recorded.

import { $, h, pause, tell } from "./dom.js";
import { brightness, card, doubts, drawBoxes } from "./faces.js";
import { many } from "./format.js";
import { History } from "./history.js";
import { askForKey, back, check, limits, serverState, theKey } from "./server.js";

/** Pixels of the longer side of a frame that is sent. */
const SIDE = 640;
const QUALITY = 0.85;
/** Faces that get a card at most. */
const CARDS = 6;
/** Milliseconds after which an unanswered frame is given up, boxes are taken away, cards are drawn again. */
const LOST = 5_000;
const STALE = 3_000;
const CARD_EVERY = 250;
const SPEAK_EVERY = 4_000;
const DARK_EVERY = 1_000;

/** Codes with which the server closes: the key is wrong, there is no room. */
const POLICY = 1008;
const TRY_LATER = 1013;

const canvas = document.createElement("canvas");
let on = null; // the session that is running

export function setUp() {
  $("camera-start").addEventListener("click", () => (on ? stop() : start()));
  $("camera-device").addEventListener("change", () => {
    if (on) {
      stop();
      start();
    }
  });
  $("camera-mirror").addEventListener("change", mirror);
  window.addEventListener("pagehide", () => stop());
  mirror();
}

export function leave() {
  if (on) stop();
}

export function enter() {
  $("camera-start").disabled = false;
}

const mirrored = () => $("camera-mirror").checked;

function mirror() {
  $("camera-video").classList.toggle("mirrored", mirrored());
  on?.drawOverlay();
}

// ---------------------------------------------------------------- start and stop

async function start() {
  tell($("camera-notice"));
  if (!navigator.mediaDevices?.getUserMedia) {
    refused(
      "Browsers give a page the camera only over HTTPS or on the machine itself (localhost). Open this page there; photos and clips work here as well.",
    );
    return;
  }
  const session = new Session();
  on = session;
  running(true);
  $("camera-empty").textContent = "Waiting for the camera. The browser may ask whether this page may use it.";
  const device = $("camera-device").value;
  const wanted = {
    width: { ideal: 1280 },
    height: { ideal: 720 },
    ...(device ? { deviceId: { exact: device } } : { facingMode: "user" }),
  };
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    if (on !== session) {
      stream.getTracks().forEach((track) => track.stop());
      return;
    }
    await session.begin(stream);
    await choices(stream);
  } catch (error) {
    if (on !== session) return;
    stop();
    refused(why(error));
  }
}

function stop() {
  on?.end();
  on = null;
  running(false);
}

function running(is) {
  const button = $("camera-start");
  button.textContent = is ? "Stop the camera" : "Start the camera";
  button.classList.toggle("main", !is);
  $("camera-stage").dataset.state = is ? "starting" : "off";
  $("camera-empty").hidden = false;
  $("camera-empty").textContent = "Off. Frames are read one by one and not kept.";
  $("camera-live-text").textContent = is ? "" : "The camera is off.";
  for (const id of ["camera-rate", "camera-delay", "camera-faces-count"]) $(id).textContent = "–";
  if (is) return;
  $("camera-faces").replaceChildren();
  tell($("camera-hint"));
}

function refused(line) {
  tell($("camera-notice"), line);
}

function why(error) {
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

async function choices(stream) {
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
  #socket = null;
  #sent = 0; // when the frame on the way was sent, 0 without one
  #capturing = false;
  #answers = [];
  #delays = [];
  #result = null;
  #at = 0;
  #history = new History();
  #light = new Map();
  #said = "";
  #last = { cards: 0, spoken: 0, dark: 0, face: performance.now() };
  #tries = 0;
  #began = performance.now();
  #frames = 0;

  async begin(stream) {
    this.stream = stream;
    for (const track of stream.getVideoTracks()) {
      track.addEventListener("ended", () => {
        if (on !== this) return;
        stop();
        refused("The camera stopped: it was unplugged or taken by another program.");
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
    this.#connect();
    this.#everyFrame();
    this.#redraw();
  }

  end() {
    this.#abort.abort();
    this.#socket?.close(1000);
    this.stream?.getTracks().forEach((track) => track.stop());
    this.#video.srcObject = null;
    this.#overlay.getContext("2d").clearRect(0, 0, this.#overlay.width, this.#overlay.height);
  }

  get #over() {
    return this.#abort.signal.aborted;
  }

  // ------------------------------------------------------------ connection

  async #connect() {
    try {
      if (limits.key_required && !theKey()) await askForKey(false);
      await back(this.#abort.signal);
    } catch {
      return; // stopped meanwhile
    }
    if (this.#over) return;
    const address = new URL("v1/live", document.baseURI);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#sent = 0;
    socket.addEventListener("open", () => {
      if (theKey()) socket.send(JSON.stringify({ key: theKey() }));
    });
    socket.addEventListener("message", (event) => {
      if (this.#over) return;
      this.#tries = 0;
      this.#take(JSON.parse(event.data));
    });
    socket.addEventListener("close", (event) => this.#closed(event));
  }

  async #closed(event) {
    if (this.#over) return;
    this.#socket = null;
    this.#clear();
    try {
      if (event.code === POLICY && event.reason === "key-missing") {
        await askForKey(theKey() !== "");
      } else {
        await check();
        const full = event.code === TRY_LATER;
        tell(
          $("camera-notice"),
          full
            ? "The server has no room for another camera now. This page keeps trying."
            : "The connection to the server was lost. This page keeps trying.",
        );
        await pause(Math.min(300 * 2 ** this.#tries, 10_000), this.#abort.signal);
        this.#tries += 1;
      }
      await this.#connect();
    } catch {
      // stopped meanwhile
    }
  }

  // ------------------------------------------------------------ frames out

  #everyFrame() {
    if (this.#over) return;
    const again = () => this.#everyFrame();
    if (this.#video.requestVideoFrameCallback) this.#video.requestVideoFrameCallback(again);
    else setTimeout(again, 40);
    this.#send();
  }

  async #send() {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN || this.#capturing || socket.bufferedAmount > 0) return;
    if (this.#sent && performance.now() - this.#sent < LOST) return;
    const { videoWidth, videoHeight } = this.#video;
    if (!videoWidth) return;
    this.#capturing = true;
    try {
      const scale = Math.min(1, SIDE / Math.max(videoWidth, videoHeight));
      [canvas.width, canvas.height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
      const time = performance.now();
      canvas.getContext("2d").drawImage(this.#video, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
      const bytes = await blob?.arrayBuffer();
      if (!bytes || socket.readyState !== WebSocket.OPEN || this.#over) return;
      socket.send(JSON.stringify({ t: (time - this.#began) / 1000 }));
      socket.send(bytes);
      this.#sent = time;
      this.#frames += 1;
    } finally {
      this.#capturing = false;
    }
  }

  // ------------------------------------------------------------ results in

  #take(result) {
    const now = performance.now();
    if (!result.faces) {
      const answered = "index" in result; // otherwise the connection ends, which is told then
      this.#sent = 0;
      if (answered) tell($("camera-hint"), `A frame was not read: ${result.error?.detail ?? ""}`);
      return;
    }
    if (this.#sent) this.#delays.push(now - this.#sent);
    this.#sent = 0;
    this.#result = result;
    this.#at = now;
    this.#answers.push(now);
    tell($("camera-notice"));
    if (result.faces.length) this.#last.face = now;
    this.#history.add(result, now / 1000);
    if (now - this.#last.dark > DARK_EVERY) this.#look(result, now);
    this.drawOverlay();
    this.#figures(now);
    if (now - this.#last.cards > CARD_EVERY) this.#cards(now);
  }

  #look(result, now) {
    this.#last.dark = now;
    const light = brightness(
      this.#video,
      result.faces.map(({ box }) => ({ box: box.map((v) => (v * this.#video.videoWidth) / result.width) })),
      this.#video.videoWidth,
      this.#video.videoHeight,
    );
    this.#light = new Map(result.faces.map((face, i) => [face.track, light[i]]));
  }

  // ------------------------------------------------------------ what is shown

  #redraw() {
    if (this.#over) return;
    requestAnimationFrame(() => this.#redraw());
    const now = performance.now();
    if (this.#at && now - this.#at > STALE) this.#clear();
    if (now - (this.#last.history ?? 0) > 60) {
      this.#last.history = now;
      this.#history.draw();
    }
  }

  #clear() {
    this.#result = null;
    this.#at = 0;
    this.#answers = [];
    this.#delays = [];
    this.drawOverlay();
    $("camera-faces").replaceChildren();
    for (const id of ["camera-rate", "camera-delay", "camera-faces-count"]) $(id).textContent = "–";
    if (serverState() === "ready" && this.#socket?.readyState === WebSocket.OPEN)
      tell($("camera-hint"), "Waiting for the next answer.");
    else tell($("camera-hint"));
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
      label: (face) =>
        [face.track, face.stable_emotion ?? face.emotion]
          .filter((part) => part !== undefined && part !== null)
          .join(" "),
    });
  }

  #figures(now) {
    this.#answers = this.#answers.filter((time) => now - time < 2_000);
    this.#delays = this.#delays.slice(-15);
    const span = this.#answers.length > 1 ? (this.#answers.at(-1) - this.#answers[0]) / 1000 : 0;
    const delay = this.#delays.reduce((sum, value) => sum + value, 0) / (this.#delays.length || 1);
    const rate = span ? (this.#answers.length - 1) / span : 0;
    $("camera-rate").textContent = rate ? rate.toFixed(rate < 10 ? 1 : 0) : "–";
    $("camera-delay").textContent = this.#delays.length ? `${Math.round(delay)} ms` : "–";
    $("camera-faces-count").textContent = String(this.#result.faces.length);
  }

  #cards(now) {
    this.#last.cards = now;
    const { faces } = this.#result;
    const largest = [...faces]
      .sort((a, b) => area(b) - area(a))
      .slice(0, CARDS)
      .sort((a, b) => a.track - b.track);
    $("camera-faces").replaceChildren(
      ...largest.map((face) =>
        card(face, { name: `Face ${face.track}`, number: face.track, sorted: false, level: "h3" }),
      ),
    );
    const hints = [];
    if (!faces.length && now - this.#last.face > 2_000)
      hints.push("No face in view. Face the camera, come closer, or add light.");
    const doubtful = largest
      .map((face) => doubts(face, this.#light.get(face.track) ?? null))
      .find((lines) => lines.length);
    if (doubtful) hints.push(doubtful[0]);
    if (faces.length > CARDS) hints.push(`${many(faces.length, "face")} in view; the ${CARDS} largest are listed.`);
    const line = hints.join(" ");
    if ($("camera-hint").textContent !== line) tell($("camera-hint"), line);
    if (now - this.#last.spoken > SPEAK_EVERY) {
      const words = faces.length
        ? faces
            .slice(0, 4)
            .map((face) => `Face ${face.track} looks ${face.stable_emotion ?? "undecided"}`)
            .join(", ")
        : "No face in view";
      if (words !== this.#said) {
        this.#said = words;
        this.#last.spoken = now;
        $("camera-live-text").textContent = words;
      }
    }
  }
}

const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
