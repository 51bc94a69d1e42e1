// The custom element <mien-faces>, for other pages: this page in a frame, and `analyse(picture)` for pictures of theirs.
//
// <script type="module" src="https://example.org/site/static/mien_faces.js"></script>
// <mien-faces hidden></mien-faces>
// const { faces } = await document.querySelector("mien-faces").analyse(file);

class MienFaces extends HTMLElement {
  #frame = document.createElement("iframe");
  #waiting = new Map(); // number → { resolve, reject }
  #number = 0;
  #isReady = null;
  #ready = new Promise((resolve) => (this.#isReady = resolve));
  #listen = ({ data, source }) => {
    if (source !== this.#frame.contentWindow) return;
    if (data?.mien === "ready") this.#isReady();
    if (data?.mien !== "answer") return;
    const { resolve, reject } = this.#waiting.get(data.number) ?? {};
    this.#waiting.delete(data.number);
    if (data.error) reject?.(new Error(data.error));
    else resolve?.(data.result);
  };

  /** `src` is the folder of the page; by default that of this module. */
  connectedCallback() {
    this.#frame.src = new URL(this.getAttribute("src") ?? "../", this.hasAttribute("src") ? document.baseURI : import.meta.url);
    this.#frame.title = "Mien";
    this.#frame.allow = "camera; fullscreen";
    for (const [name, value] of Object.entries({ border: "0", width: "100%", height: "100%" }))
      this.#frame.style.setProperty(name, value);
    window.addEventListener("message", this.#listen);
    this.append(this.#frame);
  }

  disconnectedCallback() {
    window.removeEventListener("message", this.#listen);
  }

  /** The faces of a picture, a Blob: { width, height, faces }, as of `mien analyze --json`. */
  async analyse(picture) {
    await this.#ready;
    this.#number += 1;
    const number = this.#number;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#frame.contentWindow.postMessage({ mien: "analyse", number, picture }, "*");
    });
  }
}

customElements.define("mien-faces", MienFaces);
