// Runs before anything is drawn, so that a chosen theme does not flash. The choice is the only thing ever stored.
"use strict";
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // storage may be switched off; the system's theme is used then
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
