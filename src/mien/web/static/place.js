// Where pictures are analysed: on this device, in the page, or by the server that the page came from.

import { hasServer, limits as serverLimits, loadServerModels } from "./api.js";
import { deviceLimits, loadDeviceModels } from "./device_models.js";
import { $, showMessage } from "./dom.js";
import { isSupported } from "./networks.js";
import { store, stored } from "./storage.js";

const CHOICE = "place";
let current = hasServer ? "server" : "device";
let decide;
let known = false;
/** Resolves once it is known where. */
export const decided = new Promise((resolve) => (decide = resolve));

/** Whether it is known where. */
export const isDecided = () => known;

/** "device" or "server". */
export const place = () => current;

/** What is allowed where pictures are analysed now. */
export const limits = () => (current === "device" ? deviceLimits : serverLimits);

/** The models with their heads, the columns of tables and their cards, where pictures are analysed now. */
export async function loadModels() {
  await decided;
  return current === "device" ? loadDeviceModels() : loadServerModels();
}

/** Decides where: as it was chosen before, or else on this device where that is possible. The event "place" follows. */
export async function setUpPlace() {
  if (!hasServer) return settle("device");
  for (const input of document.querySelectorAll("input[name=place]"))
    input.addEventListener("change", () => {
      store("localStorage", CHOICE, input.value);
      settle(input.value);
    });
  const reason = isSupported() ? await reasonAgainstDevice() : "this browser is too old for the networks.";
  document.querySelector("input[name=place][value=device]").disabled = reason !== "";
  showMessage($("place-reason"), reason && `On this device: ${reason}`);
  settle(reason || stored("localStorage", CHOICE) === "server" ? "server" : "device");
}

async function reasonAgainstDevice() {
  try {
    await loadDeviceModels();
    return "";
  } catch (error) {
    return error.message;
  }
}

function settle(where) {
  current = where;
  document.documentElement.dataset.place = where;
  for (const input of document.querySelectorAll("input[name=place]")) input.checked = input.value === where;
  for (const part of document.querySelectorAll("[data-only]")) part.hidden = part.dataset.only !== where;
  known = true;
  decide();
  document.dispatchEvent(new CustomEvent("limits"));
  document.dispatchEvent(new CustomEvent("place", { detail: where }));
}
