// face-api on TensorFlow.js' WebAssembly backend.
const { load, main, modules, path, variant } = require('./serve.cjs');

const peer = {
  async bring() {
    this.tf = load('@tensorflow/tfjs');
    load('@tensorflow/tfjs-backend-wasm').setWasmPaths(path.join(modules, '@tensorflow/tfjs-backend-wasm/dist/'));
    this.faceapi = load('@vladmandic/face-api/dist/face-api.node-wasm.js');
  },
  async load() {
    await this.tf.setBackend('wasm');
    await this.tf.ready();
    const { nets } = this.faceapi;
    const detector = variant === 'tiny' ? nets.tinyFaceDetector : nets.ssdMobilenetv1;
    for (const net of [detector, nets.faceExpressionNet]) {
      await net.loadFromDisk(path.join(modules, '@vladmandic/face-api/model'));
    }
    const { SsdMobilenetv1Options, TinyFaceDetectorOptions } = this.faceapi;
    this.options = variant === 'tiny' ? new TinyFaceDetectorOptions() : new SsdMobilenetv1Options();
  },
  async analyze(picture) {
    return (await this.faceapi.detectAllFaces(picture, this.options).withFaceExpressions()).length;
  },
  labels: ['neutral', 'happy', 'sad', 'angry', 'fearful', 'disgusted', 'surprised'],
  // its network takes pictures of any size and resizes them itself
  async score(bytes, count, side) {
    const { tf, faceapi } = this;
    const faces = tf.tidy(() => {
      const gray = tf.tensor4d(Float32Array.from(bytes), [count, side, side, 1]);
      return tf.unstack(tf.tile(gray, [1, 1, 1, 3]));
    });
    const net = await faceapi.toNetInput(faces);
    const out = faceapi.nets.faceExpressionNet.forwardInput(net);
    const told = await out.data();
    tf.dispose([out, ...faces]);
    return told;
  },
};

main(peer);
