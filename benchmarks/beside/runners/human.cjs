// human on TensorFlow.js' WebAssembly backend, with what is about faces: box, mesh, emotion, and age (variant "full").
const fs = require('fs');
const { load, main, modules, path, variant } = require('./serve.cjs');

const models = `file://${path.join(modules, '@vladmandic/human/models')}/`;
// it fetches its models, and Node's fetch does not read files
const fetchAddress = globalThis.fetch;
globalThis.fetch = async (address, options) => {
  const text = String(address.url || address);
  return text.startsWith('file://') ? new Response(fs.readFileSync(new URL(text))) : fetchAddress(address, options);
};

const off = { enabled: false };
const config = {
  backend: 'wasm',
  wasmPath: path.join(modules, '@tensorflow/tfjs-backend-wasm/dist/'),
  modelBasePath: models,
  debug: false,
  cacheSensitivity: 0, // every picture is a new one
  body: off,
  hand: off,
  object: off,
  gesture: off,
  segmentation: off,
  filter: off,
  face: {
    enabled: true,
    detector: { maxDetected: 64 },
    emotion: { enabled: true },
    description: { enabled: variant === 'full' },
    iris: off,
    antispoof: off,
    liveness: off,
  },
};

const peer = {
  async bring() {
    this.human = load(path.join(modules, '@vladmandic/human/dist/human.node-wasm.js'));
  },
  async load() {
    this.made = new this.human.Human(config);
    await this.made.load();
    this.tf = this.made.tf;
  },
  async analyze(picture) {
    const result = await this.made.detect(picture);
    if (result.error) throw new Error(result.error);
    return result.face.length;
  },
  labels: ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'],
  // the steps of its emotion model: resize, gray, [-1, 1]
  async score(bytes, count, side) {
    const { tf } = this;
    if (!this.net) this.net = await tf.loadGraphModel(`${models}emotion.json`);
    const out = tf.tidy(() => {
      const gray = tf.div(tf.tensor4d(Float32Array.from(bytes), [count, side, side, 1]), 255);
      const input = this.net.inputs[0].shape[2];
      return this.net.execute(tf.mul(tf.sub(tf.image.resizeBilinear(gray, [input, input], false), 0.5), 2));
    });
    const told = await out.data();
    tf.dispose(out);
    return told;
  },
};

main(peer);
