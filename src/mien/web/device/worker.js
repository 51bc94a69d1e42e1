// The worker that runs the networks. Messages are answered in turn.

import * as sessions from "./sessions.js";

let last = Promise.resolve();

self.addEventListener("message", ({ data }) => {
  last = last.then(async () => {
    try {
      self.postMessage({ number: data.number, answer: await sessions[data.kind](data) });
    } catch (error) {
      self.postMessage({ number: data.number, error: error?.message || String(error) });
    }
  });
});
