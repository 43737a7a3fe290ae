// A worker has no type of its own for its global: `self` is the one of every worker.
const worker = self as unknown as ServiceWorkerGlobalScope

// A page that waits for its worker need not be loaded again.
worker.addEventListener('install', () => void worker.skipWaiting())
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()))
