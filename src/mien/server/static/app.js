// The page: which view is shown, whether the server answers, light or dark.

import { checkServer, forgetModels, loadLimits, loadModels } from "./api.js";
import * as camera from "./camera.js";
import * as clip from "./clip.js";
import { $ } from "./dom.js";
import { acceptFiles, isVideo } from "./drops.js";
import * as photos from "./photos.js";

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

// what is said about responsible use stays open until there is something to look at, or until it is closed
let useTouched = false;
$("use").addEventListener("click", () => (useTouched = true));
document.addEventListener("filled", ({ detail }) => {
  if (!useTouched) $("use").open = !detail;
});

// ---------------------------------------------------------------- theme

const dark = matchMedia("(prefers-color-scheme: dark)");
const announceTheme = () => document.dispatchEvent(new CustomEvent("theme"));
dark.addEventListener("change", announceTheme);

for (const choice of document.querySelectorAll("input[name=theme]")) {
  choice.checked = choice.value === (document.documentElement.dataset.theme ?? "auto");
  choice.addEventListener("change", () => {
    if (choice.value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice.value;
    try {
      if (choice.value === "auto") localStorage.removeItem("theme");
      else localStorage.setItem("theme", choice.value);
    } catch {
      // it lasts as long as the page then
    }
    announceTheme();
  });
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

acceptFiles(addFiles);
photos.setUp();
camera.setUp();
clip.setUp();
clip.restore();
showView(false);
checkServer();
