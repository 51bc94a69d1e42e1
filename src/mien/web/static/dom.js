// Elements from code. Text goes in as text and is never parsed, styles go through CSSOM, which a strict CSP allows.

export const $ = (id) => document.getElementById(id);

/** h("p", { class: "quiet", onclick: f, style: { width: "3px" } }, "text", child, …); null children are left out. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const svg = (tag, attributes, ...children) =>
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

/** Shows a message in an element that is hidden without one; nodes are allowed beside text. */
export function showMessage(element, ...content) {
  const parts = content.filter(Boolean);
  // written once: a screen reader reads an alert again whenever it is written
  if (
    parts.every((part) => typeof part === "string") &&
    element.textContent === parts.join("") &&
    element.hidden === !parts.length
  )
    return;
  element.replaceChildren(...parts);
  element.hidden = parts.length === 0;
}

/** Hands a blob to the browser as a file. */
export function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A promise that resolves after some milliseconds, and rejects when the signal is aborted. */
export const sleep = (ms, signal) =>
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
