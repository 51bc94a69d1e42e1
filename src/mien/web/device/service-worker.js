// Keeps the files of the page, so that it opens again without a network, and isolates it from others, so that its networks
// may use several threads where the host sends no such headers. The first line is written when it is built.
const CACHE = "mien-@VERSION@";
const FILES = /* @FILES@ */ [];
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "cross-origin", // the page may be a frame of another
};

// what the page has just loaded comes from the browser's cache; files with their hash in the name are never old there
const requestOf = (file) => new Request(file, { cache: file.endsWith(".gz") ? "force-cache" : "default" });

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(FILES.map(requestOf)))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const old = async () => {
    for (const name of await caches.keys()) if (name.startsWith("mien-") && name !== CACHE) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(old());
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(
    caches
      .match(event.request, { ignoreSearch: true })
      .then((found) => found ?? fetch(event.request))
      .then(isolated),
  );
});

/** The answer with the headers of a page that is isolated from others. */
function isolated(answer) {
  if (answer.type === "opaque" || answer.status === 0) return answer;
  const headers = new Headers(answer.headers);
  for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}
