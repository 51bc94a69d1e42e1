// Runs before anything is drawn, so that a stored theme does not flash. The choice is the only thing that is stored.
"use strict";
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("theme");
  } catch {
    // storage may be disabled; the system's theme is used then
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
