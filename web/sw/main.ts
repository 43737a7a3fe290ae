import type { FromPage, FromWorker, ToWorker } from './messages.js'

// A worker has no type of its own for its global: `self` is the one of every worker.
const worker = self as unknown as ServiceWorkerGlobalScope

/** How often a page is asked whether it is there. Browsers end a worker 30 s after its last event. */
const ASK_MS = 5_000
/** After so long without a word the page is gone. Earlier than 30 s: a worker that is ended can fail no download. */
const GONE_MS = 25_000

/** The downloads that pages have made known, by their URLs. */
const downloads = new Map<string, Extract<ToWorker, { kind: 'save' }>>()

// A page that waits for its worker need not be loaded again.
worker.addEventListener('install', () => void worker.skipWaiting())
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()))

worker.addEventListener('message', ({ data }) => {
  // Only pages of this origin, and of this build, can send any.
  const message = data as ToWorker
  if (message.kind !== 'save') return
  downloads.set(message.url, message)
  tell(message.port, { kind: 'known' })
})

worker.addEventListener('fetch', (event) => {
  const download = downloads.get(event.request.url)
  if (download === undefined) return
  downloads.delete(event.request.url)
  event.respondWith(new Response(streamOf(download.port), { headers: download.headers }))
})

/** What comes through the port. It asks for more only when the browser does. */
function streamOf(port: MessagePort): ReadableStream<Uint8Array<ArrayBuffer>> {
  let asking: ReturnType<typeof setInterval> | undefined
  let heardAt = performance.now()
  const stop = () => {
    clearInterval(asking)
    port.onmessage = null
  }
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start(controller) {
        const fail = () => {
          stop()
          controller.error(new Error('The page has stopped this download'))
        }
        asking = setInterval(() => {
          if (performance.now() - heardAt > GONE_MS) fail()
          else tell(port, { kind: 'alive?' })
        }, ASK_MS)
        port.onmessage = ({ data }) => {
          heardAt = performance.now()
          const message = data as FromPage
          if (message.kind === 'bytes') controller.enqueue(message.bytes)
          else if (message.kind === 'fail') fail()
          else if (message.kind === 'end') {
            stop()
            controller.close()
            tell(port, { kind: 'done' })
          }
        }
      },
      pull: () => tell(port, { kind: 'more' }),
      cancel() {
        stop()
        tell(port, { kind: 'cancelled' })
      },
    },
    // Nothing is read ahead.
    { highWaterMark: 0 },
  )
}

function tell(port: MessagePort, message: FromWorker): void {
  port.postMessage(message)
}
