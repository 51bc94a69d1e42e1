// A model of one's own: an ONNX file with a card, which is read as mien.models.card does it and then predicts with the others.

import { settings } from "./assets.js";
import { addModel } from "./device_models.js";
import { labelColours } from "./label_colours.js";
import { addNetwork } from "./networks.js";
import { readCard } from "./onnx_card.js";

/** Adds the model of a file, as the one that is shown first; returns its name in results and its labels. */
export async function addOwnModel(file) {
  const content = await file.arrayBuffer();
  const card = readCard(new Uint8Array(content));
  const { models, colours } = await settings();
  const name = nameOf(card, file.name, models.heads);
  const heads = card.heads.map((head, i) => ({ ...head, shown: i === 0 ? name : head.auxiliary ? null : head.name }));
  const taken = heads.find((head, i) => i > 0 && head.shown && head.shown in models.heads);
  if (taken) throw new Error(`it has a head ${taken.shown}, as another model of this page has.`);
  const { size, channels, measures, mean, std, frame } = card;
  await addNetwork(name, content, { size, channels, measures, mean, std, frame, heads });
  const shown = heads.filter((head) => head.shown);
  addModel({
    name,
    title: [card.name, card.project_version].filter(Boolean).join(" "),
    card: card.json,
    heads: Object.fromEntries(
      shown.map(({ shown: head, labels, ordered, ranges }) => [
        head,
        { labels, ordered, ranges, colours: labelColours(labels, colours), model: name },
      ]),
    ),
    columns: shown.flatMap((head) => columnsOf(head, false)),
    videoColumns: shown.flatMap((head) => columnsOf(head, true)),
  });
  return { name, labels: card.heads[0].labels };
}

/** The task on the card, or else, where another model has that name, the name of the file. */
function nameOf({ task }, fileName, heads) {
  const stem = fileName.replace(/\.onnx$/i, "").replace(/\W+/g, "_");
  const name = [task, stem, "own"].find((one) => one && !(one in heads));
  return /^[A-Za-z_]\w*$/.test(name) ? name : "own";
}

/** The columns of a head in tables, as mien.results.face_columns names them. */
function columnsOf({ shown: name, labels, ordered, ranges }, video) {
  const root = ["predictions", name];
  const used = new Set();
  const parts = labels.map((label, i) => {
    const stem = label.replace(/[^\p{L}\p{N}_]+/gu, "_").replace(/^_+|_+$/g, "") || `label_${i + 1}`;
    let part = stem;
    for (let n = 2; used.has(part); n += 1) part = `${stem}_${n}`;
    used.add(part);
    return part;
  });
  const column = (suffix, path, label = false) => ({ name: `${name}${suffix}`, path: [...root, ...path], label });
  const of = (prefix, field) => labels.map((label, i) => column(`${prefix}_${parts[i]}`, [field, label]));
  const rows = [column(ranges ? "_range" : "", ["label"], true)];
  if (ranges) rows.push(column("", ["expected"]));
  else rows.push(column("_confidence", ["confidence"]), column("_entropy", ["entropy"]));
  rows.push(...of("", "probabilities"));
  if (!video || ordered) return rows;
  const votes = ["share", "low", "high"].map((end) => column(`_vote_${end}`, ["vote", end]));
  return [
    ...rows,
    column("_stable", ["stable"], true),
    ...of("_smoothed", "smoothed"),
    column("_vote", ["vote", "label"], true),
    ...votes,
  ];
}
