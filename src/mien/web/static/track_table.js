// The tracks of a clip as a table, and their episodes as a list; `seek` moves the video.

import { h } from "./dom.js";
import { capitalize, clock, count, duration, labelText, percent } from "./format.js";
import { likelyRange } from "./face_card.js";
import { labelSetText } from "./heads.js";
import { swatch } from "./timeline.js";

/** Episodes that are listed at most. */
const EPISODES = 200;
const COLUMNS = ["Face", "From", "To", "Seen for"];

/** The tracks, one per row, with the columns of every head; nodes. */
export function trackTable(tracks, heads, seek) {
  if (!tracks.length) {
    return [
      h("p", { class: "lead" }, "No face was detected."),
      h("p", { class: "quiet" }, "Faces turned away, covered, or only a few pixels wide are often missed."),
    ];
  }
  const names = Object.keys(heads);
  const rows = tracks.map((track) =>
    h(
      "tr",
      null,
      h(
        "th",
        { scope: "row" },
        h(
          "span",
          { class: "who" },
          h("span", { class: "crop small-crop", "data-track": track.track, "aria-hidden": "true" }),
          seekButton(seek, track.start, `Face ${track.track}`),
        ),
      ),
      h("td", { class: "n" }, clock(track.start)),
      h("td", { class: "n" }, clock(track.end)),
      h("td", { class: "n" }, duration(track.seen)),
      names.flatMap((name) => {
        const prediction = track.predictions?.[name];
        const set = prediction ? labelSetText(name, prediction) : null;
        const below = set && [h("br"), h("span", { class: "set quiet" }, set)];
        if (heads[name].ordered) return h("td", null, rangeText(prediction), below);
        return [
          h("td", null, prediction ? [swatch(name, prediction.label), prediction.label] : null, below),
          h("td", null, voteText(prediction?.vote)),
        ];
      }),
    ),
  );
  const ofHeads = names.flatMap((name) =>
    heads[name].ordered ? [capitalize(name)] : [capitalize(name), "Vote of the frames"],
  );
  const titles = [...COLUMNS, ...ofHeads];
  const head = titles.map((title, i) =>
    h("th", { scope: "col", class: i > 0 && i < COLUMNS.length ? "n" : null }, title),
  );
  return [h("table", null, h("thead", null, h("tr", null, head)), h("tbody", null, rows))];
}

/** The episodes of all tracks in order of time, folded where there are many; nodes. */
export function episodeList(tracks, seek) {
  const all = tracks.flatMap((track) => track.episodes ?? []).sort((a, b) => a.start - b.start);
  if (!all.length) return [];
  const list = all
    .slice(0, EPISODES)
    .map(({ start, end, track, head, label, peak }) =>
      h(
        "li",
        null,
        swatch(head, label),
        seekButton(seek, start, `${clock(start)} face ${track} ${label}`),
        h("span", { class: "quiet" }, ` for ${duration(end - start)}, peak ${percent(peak)}`),
      ),
    );
  const title = h("summary", null, count(all.length, "episode"));
  const folded = h("details", { open: all.length <= 12 }, title, h("ol", { class: "episodes" }, list));
  if (all.length <= EPISODES) return [folded];
  return [folded, h("p", { class: "quiet" }, `The first ${EPISODES} are listed; the files hold all.`)];
}

const seekButton = (seek, time, text) =>
  h(
    "button",
    { type: "button", class: "link", onclick: () => seek(time + 0.001), "aria-label": `${text}, go to ${clock(time)}` },
    text,
  );

function voteText(vote) {
  if (!vote?.label) return "";
  const interval = `${Math.round(100 * vote.low)}–${Math.round(100 * vote.high)} %`;
  const line = `${vote.label} ${percent(vote.share)}`;
  return vote.decided
    ? [`${line} `, h("span", { class: "quiet" }, `(${interval})`)]
    : ["undecided ", h("span", { class: "quiet" }, `(${line}, ${interval})`)];
}

function rangeText(prediction) {
  if (!prediction?.label) return "";
  const label = labelText(prediction.label);
  const range = likelyRange(prediction.probabilities);
  return range && range[0] !== label
    ? [label, h("span", { class: "quiet" }, ` (${percent(range[1])} for ${range[0]})`)]
    : label;
}
