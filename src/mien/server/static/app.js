// The page: which view is shown, whether the server is there, light or dark.

import { $ } from "./dom.js";
import { call, check, loadLimits, patient } from "./server.js";
import * as camera from "./camera.js";
import * as clip from "./clip.js";
import * as photos from "./photos.js";

// ---------------------------------------------------------------- views

const VIEWS = { photos, camera, clip };
let shown = "";

function show(moveFocus) {
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

window.addEventListener("hashchange", () => show(true));

// ---------------------------------------------------------------- theme

const dark = matchMedia("(prefers-color-scheme: dark)");
const recoloured = () => document.dispatchEvent(new CustomEvent("theme"));
dark.addEventListener("change", recoloured);

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
    recoloured();
  });
}

// ---------------------------------------------------------------- server

const TOLD = { ready: "Ready", starting: "Starting", away: "Server away, trying again", waiting: "Connecting" };

document.addEventListener("server", ({ detail }) => {
  if (detail.state === detail.before) return;
  $("server").dataset.state = detail.state;
  $("server-text").textContent = TOLD[detail.state];
  if (detail.state === "ready") learn();
});
window.addEventListener("online", check);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") check();
});

async function learn() {
  await loadLimits();
  const { models } = await patient(async (signal) => (await call("v1/models", { signal })).json());
  const names = [models.detector, models.emotion, models.age].filter(Boolean);
  $("models").textContent = `Models: ${names.join(", ")}`;
}

photos.setUp();
camera.setUp();
clip.setUp();
show(false);
check();
