// What the browser remembers for the page: "sessionStorage" until the tab is closed, "localStorage" for good.

/** The text under a name, "" without one. */
export function stored(area, name) {
  try {
    return globalThis[area].getItem(name) ?? "";
  } catch {
    return ""; // storage may be disabled
  }
}

/** Remembers a text under a name; "" removes it. */
export function store(area, name, text) {
  try {
    if (text) globalThis[area].setItem(name, text);
    else globalThis[area].removeItem(name);
  } catch {
    // it lasts as long as the page then
  }
}
