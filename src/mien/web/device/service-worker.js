// Keeps the files of the page, so that it opens again without a network. The first line is written when it is built.
const CACHE = "mien-@VERSION@";
const FILES = /* @FILES@ */ [];

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
  event.respondWith(caches.match(event.request, { ignoreSearch: true }).then((found) => found ?? fetch(event.request)));
});
