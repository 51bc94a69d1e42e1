// The notice of responsible use: open until there is something to look at, or as the user leaves it; and full screen, for
// people in front of a camera, in the language of the browser or another.

import { $, h } from "./dom.js";
import { NOTICES } from "./notice_text.js";

export function setUpNotice() {
  let touched = false;
  $("use").addEventListener("click", () => (touched = true));
  document.addEventListener("filled", ({ detail }) => {
    if (!touched) $("use").open = !detail;
  });

  const own = navigator.languages.map((language) => language.slice(0, 2)).find((language) => language in NOTICES) ?? "en";
  $("notice-language").append(
    ...Object.entries(NOTICES).map(([language, [name]]) => h("option", { value: language, selected: language === own }, name)),
  );
  const show = () => {
    const [, heading, text] = NOTICES[$("notice-language").value];
    $("notice-words").lang = $("notice-language").value;
    $("notice-words").replaceChildren(h("h2", null, heading), h("p", null, text));
  };
  $("notice-language").addEventListener("change", show);
  $("notice-open").addEventListener("click", () => {
    show();
    $("notice-screen").showModal();
    // a browser that refuses shows it over the window
    $("notice-screen").requestFullscreen?.().catch(() => {});
  });
  $("notice-close").addEventListener("click", () => $("notice-screen").close());
  $("notice-screen").addEventListener("close", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    $("notice-open").focus();
  });
}
