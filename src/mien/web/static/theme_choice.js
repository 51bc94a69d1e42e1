// Light, dark, or as the system: the buttons; theme.js applies a stored choice before anything is drawn.

import { store } from "./storage.js";

/** Makes the buttons work; the event "theme" reports that colours changed. */
export function setUpTheme() {
  const announce = () => document.dispatchEvent(new CustomEvent("theme"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", announce);
  for (const choice of document.querySelectorAll("input[name=theme]")) {
    choice.checked = choice.value === (document.documentElement.dataset.theme ?? "auto");
    choice.addEventListener("change", () => {
      if (choice.value === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = choice.value;
      store("localStorage", "theme", choice.value === "auto" ? "" : choice.value);
      announce();
    });
  }
}
