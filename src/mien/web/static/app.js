// The page: which view is shown, and whether the server answers.

import { checkServer, forgetModels, loadLimits, loadModels } from "./api.js";
import * as camera from "./camera.js";
import * as clip from "./clip.js";
import { $ } from "./dom.js";
import { acceptFiles, isVideo } from "./drops.js";
import { setUpNotice } from "./notice.js";
import * as photos from "./photos.js";
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

/** Dropped and pasted files go to the view that takes them: a video to the clips, everything else to the photos. */
function addFiles(files) {
  const [video] = files.filter(isVideo);
  const others = files.filter((file) => !isVideo(file));
  go(video && (!others.length || shown === "clip") ? "clip" : "photos");
  if (shown === "clip") clip.add(video);
  else photos.add(others);
}

function go(name) {
  if (shown === name) return;
  history.pushState(null, "", `#${name}`);
  showView(false);
}

// ---------------------------------------------------------------- server

const STATES = { ready: "Ready", starting: "Starting", away: "Server away, trying again", waiting: "Connecting" };

document.addEventListener("server", ({ detail }) => {
  if (detail.state === detail.before) return;
  $("server").dataset.state = detail.state;
  $("server-text").textContent = STATES[detail.state];
  if (detail.state === "ready") loadServerFacts();
});
window.addEventListener("online", checkServer);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") checkServer();
});

async function loadServerFacts() {
  forgetModels();
  await loadLimits();
  const { models } = await loadModels();
  $("models").textContent = `Models: ${[models.detector, ...Object.values(models.models)].join(", ")}`;
}

setUpTheme();
setUpNotice();
acceptFiles(addFiles);
photos.setUp();
camera.setUp();
clip.setUp();
clip.restore();
showView(false);
checkServer();
