// One face as a card: what each head predicts, and what makes the predictions uncertain.

import { faceColour } from "./boxes.js";
import { h, svg } from "./dom.js";
import { capitalize, count, labelText, percent } from "./format.js";
import { isOrdered, labelColour, labelSetText, predictionsOf, primaryOf, shownLabel, shownProbabilities } from "./heads.js";
import { textColourOn } from "./palette.js";

/** The part of the probability that the shortest run of labels on a scale holds. */
const MOST = 0.8;
/** Probabilities of the first label from which on it is clear, and below which none stands out; how close two are. */
const CLEAR = 0.8;
const WEAK = 0.35;
const CLOSE = 0.15;
/** What the flags of a face mean; one that is not listed is shown by its name. */
const FLAGS = {
  turned: "Turned away",
  small: "Small face",
  dark: "Low light",
  blurred: "Blurred",
  covered: "Partly covered",
  unlike: "Unlike the training photos",
};

/** Labels with their probabilities, from the most to the least probable. */
const ranked = (probabilities) => Object.entries(probabilities ?? {}).sort((a, b) => b[1] - a[1]);

/** How certain a distribution is: a word, and what it means for this one. */
export function certainty(probabilities) {
  const [first, second] = ranked(probabilities);
  if (!first) return ["", ""];
  if (!second || first[1] >= CLEAR) return ["Clear", "far ahead of the other labels"];
  if (first[1] < WEAK) return ["Unsure", `no label stands out; ${first[0]} and ${second[0]} come first`];
  if (first[1] - second[1] < CLOSE) return ["Undecided", `${first[0]} or ${second[0]}`];
  return [`Leans to ${first[0]}`, `${second[0]} is possible, too`];
}

/** The shortest run of labels on a scale that holds four fifths of the probability: ["10–39", 0.86]. */
export function likelyRange(probabilities) {
  const labels = Object.entries(probabilities ?? {});
  let best = null;
  for (let from = 0; from < labels.length; from += 1) {
    let sum = 0;
    for (let to = from; to < labels.length; to += 1) {
      sum += labels[to][1];
      if (sum >= MOST) {
        if (!best || to - from < best.length || (to - from === best.length && sum > best.sum))
          best = { low: labels[from][0], high: labels[to][0], sum, length: to - from };
        break;
      }
    }
  }
  if (!best) return null;
  const { low, high, sum } = best;
  if (low === high) return [labelText(low), sum];
  const numbers = /^(\d+)-(\d+)$/;
  const joined = numbers.test(low) && numbers.test(high) ? `${low.split("-")[0]}-${high.split("-")[1]}` : null;
  return [joined ? labelText(joined) : `${low} to ${high}`, sum];
}

/** What makes the predictions of a face less certain: a list of short lines. */
export function warnings({ flags = {} }) {
  const set = Object.keys(flags).filter((name) => flags[name]);
  return set.map((name) => `${FLAGS[name] ?? capitalize(name)}: less certain.`);
}

/** Probabilities as bars, in the order given. */
function bars(head, rows, caption) {
  return h(
    "table",
    { class: "bars" },
    h("caption", { class: "hidden" }, caption),
    h(
      "tbody",
      null,
      rows.map(([label, share]) =>
        h(
          "tr",
          null,
          h("th", { scope: "row" }, label),
          h(
            "td",
            { class: "track" },
            h(
              "span",
              { class: "bar" },
              h("i", { style: { width: `${(100 * share).toFixed(1)}%`, background: labelColour(head, label) } }),
            ),
          ),
          h("td", { class: "n" }, percent(share)),
        ),
      ),
    ),
  );
}

/** The set of labels of a prediction; null where the head has none. */
function setPart(head, prediction) {
  const text = labelSetText(head, prediction);
  return text && h("span", { class: "set quiet" }, `Set of ${text}`);
}

/** A nominal head: how certain it is, and its bars. `title` is left out where the card's heading names the label. */
function nominalPart(head, prediction, { name, title, sorted, most }) {
  const probabilities = shownProbabilities(prediction);
  if (!probabilities) return [];
  const [word, meaning] = certainty(probabilities);
  const rows = sorted ? ranked(probabilities).slice(0, most) : Object.entries(probabilities);
  const label = shownLabel(prediction);
  const set = setPart(head, prediction);
  return [
    title
      ? h("p", { class: "head" }, `${title}: `, h("strong", null, label ?? "undecided"), ` ${percent(probabilities[label] ?? 0)}`)
      : null,
    h("p", { class: "certainty" }, h("strong", null, word), h("span", { class: "quiet" }, `: ${meaning}`)),
    bars(head, rows, `${capitalize(head)} of ${name}`),
    set && h("p", { class: "certainty" }, set),
  ];
}

/** A head whose labels are a scale: its label, the likely range, and its distribution as a drawing. */
function orderedPart(head, prediction) {
  const { label, probabilities } = prediction;
  if (!label || !probabilities) return [];
  const values = Object.values(probabilities);
  const greatest = Math.max(...values);
  const range = likelyRange(probabilities);
  const set = setPart(head, prediction);
  const width = 8;
  return [
    h(
      "div",
      { class: "scale", "data-head": head },
      h(
        "p",
        null,
        `${capitalize(head)} `,
        h("strong", null, labelText(label)),
        h("br"),
        h(
          "span",
          { class: "quiet" },
          `${percent(range ? range[1] : probabilities[label])} for ${range ? range[0] : labelText(label)}`,
        ),
        set && [h("br"), set],
      ),
      svg(
        "svg",
        {
          class: "distribution",
          viewBox: `0 0 ${values.length * width} 20`,
          "aria-hidden": "true",
          focusable: "false",
          preserveAspectRatio: "none",
        },
        values.map((share, i) => {
          const height = Math.max(1, (20 * share) / greatest);
          return svg("rect", { x: i * width + 0.6, y: 20 - height, width: width - 1.2, height });
        }),
      ),
    ),
  ];
}

/**
 * A card: number, label of the first head, then every head, then warnings. `sorted` puts the most probable label first,
 * `most` of them at most; unsorted, a live card does not jump. `picture` is a small picture of the face. With `onSelect`,
 * which gets whether a key was used, the card can be selected.
 */
export function faceCard(
  face,
  { name, number, sorted = true, most = Infinity, level = "h4", picture = null, onSelect = null },
) {
  const [first, primary] = primaryOf(face);
  const label = shownLabel(primary);
  const probabilities = shownProbabilities(primary);
  const colour = faceColour(face);
  const parts = predictionsOf(face).flatMap(([head, prediction]) =>
    isOrdered(head)
      ? orderedPart(head, prediction)
      : nominalPart(head, prediction, { name, title: head === first ? "" : capitalize(head), sorted, most }),
  );
  const title = [h("span", { class: "hidden" }, `${name}: `), label === null ? "face" : labelText(label)];
  const select = (event) => {
    event.stopPropagation();
    onSelect(event.detail === 0); // a click without a pointer comes from a key
  };
  return h(
    "article",
    {
      class: onSelect ? "face selectable" : "face",
      "aria-label": name,
      "data-number": number,
      style: { "--label": colour, "--on-label": textColourOn(colour) },
      onclick: onSelect && select,
    },
    h(
      "header",
      null,
      picture && h("span", { class: "crop", "aria-hidden": "true" }, picture),
      h("span", { class: "tag" }, String(number)),
      h(
        level,
        null,
        onSelect
          ? h("button", { type: "button", class: "face-button", "aria-pressed": "false", onclick: select }, title)
          : title,
      ),
      probabilities ? h("span", { class: "share" }, percent(probabilities[label] ?? 0)) : null,
    ),
    parts,
    warnings(face).map((line) => h("p", { class: "hint" }, line)),
  );
}

/** "2 faces: happy, neutral" for screen readers. */
export function summary(faces) {
  if (!faces.length) return "no face found";
  const labels = faces
    .slice(0, 5)
    .map((face) => labelText(shownLabel(primaryOf(face)[1])))
    .filter(Boolean);
  return `${count(faces.length, "face")}${labels.length ? `: ${labels.join(", ")}${faces.length > 5 ? " and more" : ""}` : ""}`;
}
