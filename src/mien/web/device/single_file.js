// The loader of the page that is a single file: its modules and files lie in the page as base64.
"use strict";
(() => {
  const bytes = (name) => {
    const block = document.querySelector(`script[data-file="${name}"]`);
    const text = atob(block.textContent);
    const all = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) all[i] = text.charCodeAt(i);
    return all;
  };
  const addresses = new Map();
  const specifier = /(\bfrom |\bimport )"\.\/([\w-]+\.js)"/g;
  for (const [name, source] of JSON.parse(new TextDecoder().decode(bytes("modules")))) {
    const text = source.replace(specifier, (_, word, imported) => `${word}"${addresses.get(imported)}"`);
    addresses.set(name, URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  }
  globalThis.mienEmbedded = { bytes, module: (name) => addresses.get(name) };
  import(addresses.get("app.js"));
})();
