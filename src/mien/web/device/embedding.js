// Answers the page that embeds this one: it gets the faces of pictures that it sends, never of those that a person chose here.

import { analysePhoto } from "./device_photos.js";
import { decode } from "./picture.js";

/** Where the page is a frame, reports that it is ready, and answers { mien: "analyse", number, picture: Blob }. */
export function setUpEmbedding() {
  if (window.parent === window) return;
  window.addEventListener("message", async ({ data, origin, source }) => {
    if (source !== window.parent || data?.mien !== "analyse") return;
    const answer = await facesOf(data.picture).then(
      (result) => ({ result }),
      (error) => ({ error: error.message }),
    );
    source.postMessage({ mien: "answer", number: data.number, ...answer }, origin === "null" ? "*" : origin);
  });
  window.parent.postMessage({ mien: "ready" }, "*");
}

async function facesOf(picture) {
  if (!(picture instanceof Blob)) throw new Error("picture is a Blob, such as a File.");
  const bitmap = await decode(picture);
  try {
    const options = { signal: new AbortController().signal, onWait: () => {} };
    return (await analysePhoto(picture, bitmap, options)).result;
  } finally {
    bitmap?.close();
  }
}
