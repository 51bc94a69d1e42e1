// Runs before anything is drawn, so that a stored theme does not flash. The choice is the only thing that is stored for
// good. data-theme is the choice, none for that of the system; data-scheme is what the page looks like.
"use strict";
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("theme");
  } catch {
    // storage may be disabled; the system's theme is used then
  }
  const { dataset } = document.documentElement;
  if (theme === "light" || theme === "dark") dataset.theme = theme;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    dataset.scheme = dataset.theme ?? (dark.matches ? "dark" : "light");
  };
  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("theme", apply); // before all others that listen for it
})();
