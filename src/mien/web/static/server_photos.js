// Photos analysed by the server.

import { ProblemError, limits, request, retry, upload } from "./api.js";
import { byteSize } from "./format.js";
import { fitToLimits, scaledResult } from "./picture.js";

/** As of analysis.js. */
export async function analysePhoto(file, bitmap, { signal, onWait }) {
  const sent = await toSend(file, bitmap);
  const { results } = await retry(async () => upload("v1/analyze", formOf(sent.blob), { signal }), { signal, onWait });
  const [answer] = results;
  if (answer.error) throw new ProblemError(answer.error.status ?? 422, answer.error);
  const result = bitmap ? scaledResult(answer, bitmap.width, bitmap.height) : answer;
  return { result, shrunk: bitmap && sent.width < bitmap.width ? sent.width * sent.height : 0 };
}

/** As of analysis.js. */
export async function renditionOf(file, { signal, onWait }) {
  try {
    const send = async () => (await request("v1/rendition", { method: "POST", body: formOf(file), signal })).blob();
    return await retry(send, { signal, onWait });
  } catch (error) {
    if (error instanceof ProblemError) return null; // the boxes are shown without it
    throw error;
  }
}

/** The file, or a smaller copy where the server takes no larger one: { blob, width, height }. */
async function toSend(file, bitmap) {
  const { body_bytes: bytes = Infinity, pixels = Infinity } = limits;
  if (bitmap) {
    const sent = await fitToLimits(file, bitmap, { pixels, bytes: bytes - 1024 }); // the form around it
    if (sent) return sent;
  } else if (file.size <= bytes) {
    return { blob: file };
  }
  throw new Error(
    `This file has ${byteSize(file.size)}; the server takes up to ${byteSize(bytes)}. Save it smaller and try again.`,
  );
}

const formOf = (blob) => {
  const form = new FormData();
  form.append("image", blob, "photo"); // its name stays here
  return form;
};
