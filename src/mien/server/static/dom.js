// Elements from code. Text goes in as text and is never parsed, styles go through CSSOM, which a strict CSP allows.

export const $ = (id) => document.getElementById(id);

/** h("p", { class: "quiet", onclick: f, style: { width: "3px" } }, "text", child, …); null children are left out. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const s = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [rule, to] of Object.entries(value)) element.style.setProperty(rule, to);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Shows a line in an element that is hidden without one; nodes are allowed beside text. */
export function tell(element, ...content) {
  const told = content.filter(Boolean);
  // said once: a screen reader reads an alert again whenever it is written
  if (
    told.every((part) => typeof part === "string") &&
    element.textContent === told.join("") &&
    element.hidden === !told.length
  )
    return;
  element.replaceChildren(...told);
  element.hidden = told.length === 0;
}

/** Hands a blob to the browser as a file. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Lets files be dropped on an element; `take` gets them. */
export function droppable(element, take) {
  let depth = 0;
  const over = (on) => element.classList.toggle("over", on);
  element.addEventListener("dragenter", (event) => {
    event.preventDefault();
    depth += 1;
    over(true);
  });
  element.addEventListener("dragleave", () => {
    depth -= 1;
    if (depth <= 0) over(false);
  });
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    over(false);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length) take(files);
  });
}

/** A promise that is kept after some milliseconds, or broken when the signal says so. */
export const pause = (ms, signal) =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
