// ONNX Runtime's sessions and the pipeline on them; in a worker, or in the page itself where it is a single file.

import { Pipeline } from "./pipeline.js";
import { rgbOf } from "./pixels.js";

let pipeline = null;

/** Opens the networks: { name: content of its file }. `runtime` is the WASM binary, `address` that of ONNX Runtime's script. */
export async function start({ config, runtime, networks, address }) {
  const ort = await import(address);
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = runtime;
  const sessions = {};
  for (const [name, file] of Object.entries(networks))
    sessions[name] = await ort.InferenceSession.create(new Uint8Array(file), { executionProviders: ["wasm"] });
  pipeline = new Pipeline(config, async (name, data, dims) => {
    const session = sessions[name];
    const type = data instanceof Float32Array ? "float32" : "uint8";
    return session.run({ [session.inputNames[0]]: new ort.Tensor(type, data, dims) });
  });
}

/** The faces of a picture: RGBA bytes. */
export const analyse = ({ rgba, width, height }) =>
  pipeline.analyse(rgbOf(new Uint8ClampedArray(rgba), width, height));
