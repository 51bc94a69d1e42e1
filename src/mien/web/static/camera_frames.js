// Frames of a camera, analysed one at a time where the page analyses: sent to the server, or handed to the networks here.
//
// Both have `open()`, `isFree`, `send(canvas, seconds)` and `close()`, and call `on.result(faces of a frame)`,
// `on.unreadable(reason)`, `on.lost(line)` where answers stop for a while, and `on.open()` whenever frames may be sent.

import { apiKey, askForKey, checkServer, limits, serverReady } from "./api.js";
import { sleep } from "./dom.js";
import { openVideo } from "./networks.js";
import { loadModels } from "./place.js";

const QUALITY = 0.85;
/** Milliseconds after which an unanswered frame counts as lost. */
const LOST = 5_000;
/** Codes with which the server closes: the key is wrong, there are too many connections. */
const POLICY_VIOLATION = 1008;
const TRY_AGAIN_LATER = 1013;

export class ServerFrames {
  #socket = null;
  #sent = 0; // when the frame that is not answered yet was sent, 0 without one
  #tries = 0;
  #abort = new AbortController();

  constructor(on) {
    this.on = on;
  }

  async open() {
    const { signal } = this.#abort;
    try {
      if (limits.key_required && !apiKey()) await askForKey(false);
      await serverReady(signal);
      await loadModels();
    } catch {
      return; // closed in the meantime
    }
    if (signal.aborted) return;
    this.on.open();
    const address = new URL("v1/live", document.baseURI);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#sent = 0;
    socket.addEventListener("open", () => {
      if (apiKey()) socket.send(JSON.stringify({ key: apiKey() }));
    });
    socket.addEventListener("message", (event) => {
      if (signal.aborted) return;
      this.#tries = 0;
      this.#receive(JSON.parse(event.data));
    });
    socket.addEventListener("close", (event) => this.#reconnect(event));
  }

  get isFree() {
    const open = this.#socket?.readyState === WebSocket.OPEN && this.#socket.bufferedAmount === 0;
    return open && !(this.#sent && performance.now() - this.#sent < LOST);
  }

  get isConnected() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Milliseconds since the frame that is being answered was sent; 0 without one. */
  get since() {
    return this.#sent ? performance.now() - this.#sent : 0;
  }

  async send(canvas, seconds) {
    const socket = this.#socket;
    const time = performance.now();
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    const bytes = await blob?.arrayBuffer();
    if (!bytes || socket.readyState !== WebSocket.OPEN || this.#abort.signal.aborted) return;
    socket.send(JSON.stringify({ t: seconds }));
    socket.send(bytes);
    this.#sent = time;
  }

  close() {
    this.#abort.abort();
    this.#socket?.close(1000);
  }

  #receive(result) {
    if (result.faces) this.on.result(result);
    // otherwise the connection ends, which is shown then
    else if ("index" in result) this.on.unreadable(result.error?.detail ?? "");
    this.#sent = 0;
  }

  async #reconnect(event) {
    const { signal } = this.#abort;
    if (signal.aborted) return;
    this.#socket = null;
    try {
      if (event.code === POLICY_VIOLATION && event.reason === "key-missing") {
        this.on.lost("");
        await askForKey(apiKey() !== "");
      } else {
        await checkServer();
        const full = event.code === TRY_AGAIN_LATER;
        this.on.lost(
          full
            ? "The server has too many cameras now. This page keeps trying."
            : "The connection to the server was lost. This page keeps trying.",
        );
        await sleep(Math.min(300 * 2 ** this.#tries, 10_000), signal);
        this.#tries += 1;
      }
      await this.open();
    } catch {
      // closed in the meantime
    }
  }
}

export class DeviceFrames {
  #video = null;
  #sent = 0;
  #index = 0;
  #closed = false;

  constructor(on) {
    this.on = on;
  }

  async open() {
    try {
      await loadModels();
      this.#video = await openVideo({ live: true });
    } catch (error) {
      if (!this.#closed) this.on.lost(error.message);
      return;
    }
    if (this.#closed) this.#video.close();
    else this.on.open();
  }

  get isFree() {
    return this.#video !== null && !this.#sent && !this.#closed;
  }

  get isConnected() {
    return this.#video !== null;
  }

  get since() {
    return this.#sent ? performance.now() - this.#sent : 0;
  }

  async send(canvas, seconds) {
    const { width, height } = canvas;
    this.#sent = performance.now();
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    this.#index += 1;
    // answered later: the next frame may be taken from the camera meanwhile
    this.#video.step(data.buffer, width, height, this.#index - 1, seconds).then(
      ([result]) => {
        if (!this.#closed) this.on.result(result);
        this.#sent = 0;
      },
      (error) => {
        this.#sent = 0;
        if (!this.#closed) this.on.unreadable(error.message);
      },
    );
  }

  close() {
    this.#closed = true;
    this.#video?.close();
  }
}
