// ONNX Runtime's sessions and the pipeline on them; in a worker, or in the page itself where it is a single file.

import { Pipeline } from "./pipeline.js";
import { rgbOf } from "./pixels.js";
import { VideoPipeline } from "./video_pipeline.js";

const OPTIONS = { executionProviders: ["wasm"] };

let ort = null;
let pipeline = null;
const sessions = {};
const videos = new Map();

/** Before all others: `runtime` is the WASM binary, `address` that of ONNX Runtime's script. */
export async function start({ config, runtime, address, threads }) {
  ort = await import(address);
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmBinary = runtime;
  pipeline = new Pipeline(config, async (name, data, dims) => {
    const session = sessions[name];
    const type = data instanceof Float32Array ? "float32" : "uint8";
    const input = new ort.Tensor(type, data, dims);
    return session.run({ [session.inputNames[0]]: input });
  });
}

/** Opens a network of the configuration: its name there, and its file. */
export async function openNetwork({ name, file }) {
  sessions[name] = await ort.InferenceSession.create(new Uint8Array(file), OPTIONS);
}

/** Adds a network that predicts from now on, before the others. */
export async function addNetwork({ name, file, card }) {
  await openNetwork({ name, file });
  pipeline.config.models = { [name]: card, ...pipeline.config.models };
}

/** The faces of a picture: RGBA bytes. */
export const analyse = ({ rgba, width, height }) => pipeline.analyse(imageOf(rgba, width, height));

export function openVideo({ id, live, interval }) {
  videos.set(id, new VideoPipeline(pipeline, { live, interval }));
}

export const stepVideo = ({ id, rgba, width, height, index, time }) =>
  videos.get(id).step(imageOf(rgba, width, height), index, time);

export const finishVideo = ({ id }) => videos.get(id).finish();

export function closeVideo({ id }) {
  videos.delete(id);
}

const imageOf = (rgba, width, height) => rgbOf(new Uint8ClampedArray(rgba), width, height);
