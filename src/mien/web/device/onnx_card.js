// The card in an ONNX file, as mien.models.card reads it: JSON among the metadata of the model.

const KEY = "mien.card";
const SECONDS = 0.2; // between two predictions of an ordered head, where the card states nothing else

/**
 * @typedef {import("./pipeline.js").Head} Head
 * @typedef {import("./align.js").Frame} Frame
 * @typedef {{ name: string, task: string, size: number, channels: string, measures: string[], mean: number[], std: number[], frame: Frame,
 *   heads: Head[], project_version?: string, json: Record<string, any> }} Card
 */

/** @param {Uint8Array} file @returns {Card} */
export function readCard(file) {
  const text = metadata(file).get(KEY);
  if (text === undefined) throw new Error("it holds no card: use a file that `mien export` wrote.");
  const raw = JSON.parse(text);
  if (Object.keys(raw.features ?? {}).length) throw new Error("it takes more than pixels, which the page has not.");
  const card = {
    ...raw,
    measures: raw.measures ?? [],
    frame: { ...raw.frame, box_weight: raw.frame.box_weight ?? 0, roll_kept: raw.frame.roll_kept ?? 0 },
    heads: raw.heads.map((/** @type {any} */ head, /** @type {number} */ i) => headOf(head, i === 0)),
    json: raw,
  };
  const channels = /** @type {Record<string, number[]>} */ ({ gray: [1, 3], rgb: [3] })[card.channels];
  if (!channels?.includes(card.mean.length) || card.std.length !== card.mean.length)
    throw new Error("its card states no usable channels.");
  return card;
}

/** @param {any} raw @param {boolean} first @returns {Head} */
function headOf(raw, first) {
  const ranges = rangesOf(raw.labels);
  const ordered = raw.ordered ?? ranges !== null;
  const plain = { removed: 0, joined: "", share: 0, temperature: raw.temperature, kept: [] };
  const chosen = (raw.readouts ?? []).find((/** @type {any} */ one) => one.prior === "default");
  return {
    name: raw.name,
    labels: raw.labels,
    ordered,
    interval: raw.interval ?? (ordered ? SECONDS : 0),
    auxiliary: raw.auxiliary ?? !first,
    frequencies: raw.frequencies ?? [],
    readout: { ...plain, ...chosen },
    shown: null,
    ranges: ordered ? ranges : null,
    set_limits: null,
  };
}

/** ["0-2", "3-9"] → [[0, 2], [3, 9]]; null where one is no range. @param {string[]} labels */
function rangesOf(labels) {
  const found = labels.map((label) => /^(\d+)-(\d+)$/.exec(label)?.slice(1).map(Number) ?? null);
  return found.every((range) => range && range[0] <= range[1]) ? /** @type {number[][]} */ (found) : null;
}

const METADATA = 14; // field of a ModelProto: entries of a key (1) and a value (2)

/** @param {Uint8Array} file @returns {Map<string, string>} */
function metadata(file) {
  const decoder = new TextDecoder();
  /** @type {Map<string, string>} */
  const all = new Map();
  try {
    for (const { field, bytes } of fields(file)) {
      if (field !== METADATA || !bytes) continue;
      const entry = ["", ""];
      for (const part of fields(bytes)) if (part.bytes) entry[part.field - 1] = decoder.decode(part.bytes);
      all.set(entry[0], entry[1]);
    }
  } catch {
    throw new Error("it is no ONNX file.");
  }
  return all;
}

/** The fields of a Protocol Buffers message. @param {Uint8Array} message @returns {Generator<{ field: number, bytes: Uint8Array | null }>} */
function* fields(message) {
  let at = 0;
  const number = () => {
    for (let [value, unit] = [0, 1]; ; unit *= 128) {
      if (at >= message.length || unit > 2 ** 63) throw new RangeError("damaged");
      const byte = message[at];
      at += 1;
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = number();
    /** @type {Uint8Array | null} */
    let bytes = null;
    const kind = tag & 7;
    if (kind === 0) number();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else if (kind === 2) {
      const length = number();
      if (at + length > message.length) throw new RangeError("damaged");
      bytes = message.subarray(at, at + length);
      at += length;
    } else throw new RangeError("damaged");
    yield { field: Math.floor(tag / 8), bytes };
  }
}
