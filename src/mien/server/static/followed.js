// The faces that were followed through a clip, as a table and as a list of episodes; `go` seeks the video.

import { h } from "./dom.js";
import { ageSpan } from "./faces.js";
import { clock, lasting, many, percent, years } from "./format.js";
import { swatch } from "./lanes.js";

/** Episodes that are listed at most. */
const EPISODES = 200;
const HEAD = ["Face", "From", "To", "Seen for", "Emotion", "Vote of the frames", "Age"];

/** The faces, one a row; nodes. */
export function tableOf(tracks, go) {
  if (!tracks.length) {
    return [
      h("p", { class: "lead" }, "No face was seen."),
      h("p", { class: "quiet" }, "Faces turned away, covered, or only a few pixels wide are often missed."),
    ];
  }
  const rows = tracks.map((track) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, link(go, track.start, `Face ${track.track}`)),
      h("td", { class: "n" }, clock(track.start)),
      h("td", { class: "n" }, clock(track.end)),
      h("td", { class: "n" }, lasting(track.seen)),
      h("td", null, track.emotion ? [swatch(track.emotion), track.emotion] : null),
      h("td", null, vote(track.vote)),
      h("td", null, aged(track)),
    ),
  );
  const head = HEAD.map((name, i) => h("th", { scope: "col", class: i > 0 && i < 4 ? "n" : null }, name));
  return [h("table", null, h("thead", null, h("tr", null, head)), h("tbody", null, rows))];
}

/** Their episodes in order of time, folded where they are many; nodes. */
export function episodesOf(tracks, go) {
  const all = tracks.flatMap((track) => track.episodes ?? []).sort((a, b) => a.start - b.start);
  if (!all.length) return [];
  const list = all.slice(0, EPISODES).map(({ start, end, track, label, peak }) =>
    h(
      "li",
      null,
      swatch(label),
      link(go, start, `${clock(start)} face ${track} ${label}`),
      h("span", { class: "quiet" }, ` for ${lasting(end - start)}, peak ${percent(peak)}`),
    ),
  );
  const summary = h("summary", null, many(all.length, "episode"));
  const folded = h("details", { open: all.length <= 12 }, summary, h("ol", { class: "episodes" }, list));
  if (all.length <= EPISODES) return [folded];
  return [folded, h("p", { class: "quiet" }, `The first ${EPISODES} are listed; the files hold all.`)];
}

const link = (go, time, what) =>
  h(
    "button",
    { type: "button", class: "link", onclick: () => go(time + 0.001), "aria-label": `${what}, go to ${clock(time)}` },
    what,
  );

function vote(told) {
  if (!told?.label) return "";
  const interval = `${Math.round(100 * told.low)}–${Math.round(100 * told.high)} %`;
  const line = `${told.label} ${percent(told.share)}`;
  return told.decided
    ? [`${line} `, h("span", { class: "quiet" }, `(${interval})`)]
    : ["undecided ", h("span", { class: "quiet" }, `(${line}, ${interval})`)];
}

function aged(track) {
  if (!track.age_range) return "";
  const span = ageSpan(track.ages);
  const own = years(track.age_range);
  return span && span[0] !== own
    ? [own, h("span", { class: "quiet" }, ` (${span[0]} with ${percent(span[1])})`)]
    : own;
}
