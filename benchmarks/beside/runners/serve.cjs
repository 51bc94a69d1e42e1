// What the runners in Node do; the same requests and answers as serve.py.
const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');

const [, , folder, variant, mode, photo] = process.argv;
// packages are those of the environment, not of this file's folder
const load = createRequire(path.join(path.resolve(folder), 'package.json'));
const modules = path.join(path.resolve(folder), 'node_modules');
const say = (answer) => fs.writeSync(1, `@@${JSON.stringify(answer)}\n`);

console.log = console.error;
console.warn = console.error;

// RGB as int32 in a tensor (h, w, 3)
async function read(tf, file) {
  const image = load('@canvas/image');
  const { data, width, height } = image.getImageData(await image.imageFromBuffer(fs.readFileSync(file)));
  const rgb = new Int32Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    rgb[to++] = data[from];
    rgb[to++] = data[from + 1];
    rgb[to++] = data[from + 2];
  }
  return tf.tensor3d(rgb, [height, width, 3], 'int32');
}

function processor() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function timed(peer, file, times) {
  const answer = { read_ms: [], analyze_ms: [], cpu_ms: [], faces: 0 };
  for (let i = 0; i < times; i++) {
    const before = processor();
    const start = performance.now();
    const picture = await read(peer.tf, file);
    const middle = performance.now();
    answer.faces = await peer.analyze(picture);
    answer.analyze_ms.push(performance.now() - middle);
    answer.read_ms.push(middle - start);
    answer.cpu_ms.push(processor() - before);
    picture.dispose();
  }
  return answer;
}

// one picture after the other: neither package takes several
async function batch(peer, files) {
  const start = performance.now();
  const before = processor();
  let faces = 0;
  for (const file of files) {
    const picture = await read(peer.tf, file);
    faces += await peer.analyze(picture);
    picture.dispose();
  }
  return { s: (performance.now() - start) / 1000, cpu_s: (processor() - before) / 1000, faces };
}

async function score(peer, request) {
  const bytes = fs.readFileSync(request.faces);
  const area = request.side * request.side;
  const out = new Float32Array(request.n * peer.labels.length);
  const size = 64;
  for (let start = 0; start < request.n; start += size) {
    const count = Math.min(size, request.n - start);
    const part = bytes.subarray(start * area, (start + count) * area);
    out.set(await peer.score(part, count, request.side), start * peer.labels.length);
  }
  fs.writeFileSync(`${request.out}.emotion`, Buffer.from(out.buffer));
  return { heads: { emotion: peer.labels } };
}

async function main(peer) {
  try {
    await peer.bring();
    if (mode === 'import') return;
    await peer.load();
    if (mode === 'once') {
      say({ faces: await peer.analyze(await read(peer.tf, photo)) });
      return;
    }
    say({ labels: [] });
    for await (const line of require('readline').createInterface({ input: process.stdin })) {
      const request = JSON.parse(line);
      if (request.op === 'photo') say(await timed(peer, request.path, request.times));
      else if (request.op === 'batch') say(await batch(peer, request.paths));
      else say(await score(peer, request));
    }
  } catch (error) {
    say({ error: `${error.name}: ${error.message}` });
    process.exitCode = 3;
  }
}

module.exports = { load, main, modules, path, variant };
