// The notice of responsible use: open until there is something to look at, or as the user leaves it.

import { $ } from "./dom.js";

export function setUpNotice() {
  let touched = false;
  $("use").addEventListener("click", () => (touched = true));
  document.addEventListener("filled", ({ detail }) => {
    if (!touched) $("use").open = !detail;
  });
}
