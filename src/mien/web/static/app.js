// The page: which view is shown, where pictures are analysed, and how that place is.

import { checkServer, forgetModels, hasServer, loadLimits, serverState } from "./api.js";
import * as camera from "./camera.js";
import * as clip from "./clip.js";
import { $, h, showMessage, sleep } from "./dom.js";
import { acceptFiles, isModel, isVideo } from "./drops.js";
import { setUpEmbedding } from "./embedding.js";
import { byteSize, count, percent, sentence } from "./format.js";
import { start } from "./networks.js";
import { setUpNotice } from "./notice.js";
import { addOwnModel } from "./own_model.js";
import * as photos from "./photos.js";
import { loadModels, place, setUpPlace } from "./place.js";
import { setUpTheme } from "./theme_choice.js";

// ---------------------------------------------------------------- views

const VIEWS = { photos, camera, clip };
let shown = "";

function showView(moveFocus) {
  const name = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "photos";
  if (name === shown) return;
  if (shown) VIEWS[shown].leave?.();
  shown = name;
  for (const other of Object.keys(VIEWS)) $(`view-${other}`).hidden = other !== name;
  for (const link of document.querySelectorAll(".views a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${$(`${name}-title`).textContent} – Mien`;
  VIEWS[name].enter?.();
  if (moveFocus) $(`${name}-title`).focus({ preventScroll: true });
}

window.addEventListener("hashchange", () => showView(true));
window.addEventListener("popstate", () => showView(true));

// ---------------------------------------------------------------- files from anywhere

/** Dropped and pasted files go where they belong: a network to the models, a video to the clips, all else to the photos. */
function addFiles(files) {
  const own = files.find(isModel);
  if (own) addModelFile(own);
  const [video] = files.filter(isVideo);
  const others = files.filter((file) => !isVideo(file) && !isModel(file));
  if (!video && !others.length) return;
  go(video && (!others.length || shown === "clip") ? "clip" : "photos");
  if (shown === "clip") clip.add(video);
  else photos.add(others);
}

function go(name) {
  if (shown === name) return;
  history.pushState(null, "", `#${name}`);
  showView(false);
}

// ---------------------------------------------------------------- the place where pictures are analysed

const STATES = { ready: "Ready", starting: "Starting", away: "Server away, trying again", waiting: "Connecting" };
let networks = { state: "waiting" };

document.addEventListener("place", ({ detail }) => {
  if (detail === "device") start().catch(() => {}); // the event "networks" shows why
  showState();
  showCards();
});

document.addEventListener("networks", ({ detail }) => {
  networks = detail;
  showState();
});

document.addEventListener("server", ({ detail }) => {
  if (detail.state === detail.before) return;
  showState();
  if (detail.state === "ready") loadServerFacts();
});

if (hasServer) {
  window.addEventListener("online", checkServer);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") checkServer();
  });
}

function showState() {
  const here = place() === "device";
  const state = here ? networks.state : serverState();
  $("server").dataset.state = { loading: "waiting" }[state] ?? state;
  $("server-text").textContent = here ? deviceText() : STATES[state];
  const error = here && networks.state === "away" ? networks.error : null;
  const again = error && h("button", { type: "button", onclick: () => start().catch(() => {}) }, "Try again");
  showMessage($("device-notice"), error && `${sentence(error.message)} `, again);
}

function deviceText() {
  switch (networks.state) {
    case "ready":
      return "On this device";
    case "away":
      return "Not loaded";
    case "starting":
      return "Starting the networks";
    default:
      return networks.total ? `Loading ${byteSize(networks.bytes)} of ${byteSize(networks.total)}` : "Loading";
  }
}

let known = false;

async function loadServerFacts() {
  forgetModels();
  await loadLimits();
  // where it is analysed is decided once: the server has answered now
  if (!known) await setUpPlace();
  known = true;
  showCards();
}

/** Names of a card's tests, and of the parts of them. */
const TESTS = { ferplus: "FER+ majority", fer2013: "FER2013 labels", age: "FairFace" };
const PARTS = { "leak-free": "without images of the training set", found: "detected faces only" };

/** What a card's score was measured on, such as "FER+ majority, without images of the training set". */
function testTitle(protocol) {
  const [name, part] = protocol.split(" ");
  return [TESTS[name] ?? name, ...(part ? [PARTS[part] ?? part] : [])].join(", ");
}

/** Which models there are, what they were trained on, how they score, and what they are not for. */
async function showCards() {
  const { models, cards } = await loadModels().catch(() => ({}));
  if (!models) return;
  $("models").textContent = `Models: ${[models.detector, ...Object.values(models.models)].join(", ")}`;
  const terms = (rows) =>
    h("dl", null, rows.filter(([, text]) => text).flatMap(([term, text]) => [h("dt", null, term), h("dd", null, String(text))]));
  $("model-cards-list").replaceChildren(
    ...Object.entries(cards ?? {}).map(([name, card]) =>
      h(
        "section",
        null,
        h("h3", null, name),
        terms([
          ["Trained on", card.data],
          ["Licence", card.licence],
          ["Limits", card.limits],
          ...Object.entries(card.scores?.results ?? {}).map(([protocol, { accuracy, n }]) => [
            `Accuracy on ${testTitle(protocol)}`,
            accuracy === undefined ? "" : `${percent(accuracy)} of ${count(n, "face")}`,
          ]),
        ]),
      ),
    ),
  );
  $("model-cards").hidden = false;
}

// ---------------------------------------------------------------- a model of one's own

$("own-model").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) addModelFile(file);
});

async function addModelFile(file) {
  const say = (line, bad = false) => {
    $("own-notice").className = bad ? "notice bad" : "notice";
    showMessage($("own-notice"), line);
  };
  if (place() !== "device") return say("A model of your own runs on this device only: switch to it first.", true);
  say(`Opening ${file.name}`);
  try {
    const { name, labels } = await addOwnModel(file);
    await showCards();
    say(`${file.name} predicts ${name} now (${labels.join(", ")}), in what is analysed from here on.`);
  } catch (error) {
    say(`${file.name} cannot be used: ${error.message}`, true);
  }
}

// ---------------------------------------------------------------- begin

/** Milliseconds from the networks to the copying of the page's files. */
const KEEP_AFTER = 2000;
const online = () =>
  navigator.onLine || new Promise((resolve) => window.addEventListener("online", resolve, { once: true }));

setUpTheme();
setUpNotice();
acceptFiles(addFiles);
photos.setUp();
camera.setUp();
clip.setUp();
clip.restore();
showView(false);
if (hasServer) checkServer();
else {
  setUpPlace();
  setUpEmbedding();
  // opens again without a network; where it may not be registered the page works all the same. Its copying waits for the
  // networks, and for the answer to whoever waited for them
  if (navigator.serviceWorker && location.protocol !== "file:")
    start()
      .catch(() => {})
      .then(() => sleep(KEEP_AFTER))
      .then(online)
      .then(() => navigator.serviceWorker.register("service-worker.js"))
      .catch(() => {});
}
