// The page without a server: photos, and how far the networks are.

import { loadLimits, loadModels } from "./api.js";
import { $, h, showMessage } from "./dom.js";
import { acceptFiles } from "./drops.js";
import { byteSize, count, percent } from "./format.js";
import { start } from "./networks.js";
import { setUpNotice } from "./notice.js";
import * as photos from "./photos.js";
import { setUpTheme } from "./theme_choice.js";

setUpTheme();
setUpNotice();
acceptFiles(photos.add);
photos.setUp();
load();

async function load() {
  try {
    await loadLimits();
    showCards(await loadModels());
    await start((bytes, total) => {
      $("server-text").textContent = `Loading ${byteSize(bytes)} of ${byteSize(total)}`;
    });
    $("server").dataset.state = "ready";
    $("server-text").textContent = "On this device";
  } catch (error) {
    $("server").dataset.state = "away";
    $("server-text").textContent = "Not loaded";
    showMessage($("device-notice"), error.message);
  }
  if (navigator.serviceWorker && location.protocol !== "file:") {
    // opens again without a network; where it may not be registered the page works all the same
    navigator.serviceWorker.register("service-worker.js").catch(() => {});
  }
}

/** What the models were trained on, how they score, and what they are not for. */
function showCards({ models, cards }) {
  $("models").textContent = `Models: ${[models.detector, ...Object.values(models.models)].join(", ")}`;
  const terms = (rows) => h("dl", null, rows.flatMap(([term, text]) => [h("dt", null, term), h("dd", null, String(text))]));
  $("model-cards-list").replaceChildren(
    ...Object.entries(cards).map(([name, card]) =>
      h(
        "section",
        null,
        h("h3", null, name),
        terms([
          ["Trained on", card.data],
          ["Licence", card.licence],
          ["Limits", card.limits],
          ...Object.entries(card.scores?.results ?? {}).map(([protocol, { accuracy, n }]) => [
            `Right on ${protocol}`,
            `${percent(accuracy)} of ${count(n, "face")}`,
          ]),
        ]),
      ),
    ),
  );
  $("model-cards").hidden = false;
}
