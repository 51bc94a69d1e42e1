// node emotion.mjs MODEL.onnx CROP: probabilities of an aligned crop, size × size gray bytes, as `mien` reads them out.

import { readFile } from "node:fs/promises";
import * as ort from "onnxruntime-web/wasm";
import { readCard } from "./site/static/onnx_card.js"; // `mien web site` writes both
import { readOut } from "./site/static/pipeline.js";

const [model, crop] = await Promise.all(process.argv.slice(2).map((path) => readFile(path)));
const { size, mean, std, heads } = readCard(model);
const pixels = Float32Array.from(crop, (value) => (value / 255 - mean[0]) / std[0]);
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
const outputs = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", pixels, [1, 1, size, size]) });
const [head] = heads;
const joined = heads.find(({ name }) => name === head.readout.joined);
const other = joined ? { logits: outputs[joined.name].data, labels: joined.labels } : null;
const probabilities = readOut(head, outputs[head.name].data, other);
head.labels.forEach((label, i) => console.log(`${label} ${probabilities[i].toFixed(5)}`));
