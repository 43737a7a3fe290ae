import type { FromPage, FromWorker, ToWorker } from './messages.js'

// A worker has no type of its own for its global: `self` is the one of every worker.
const worker = self as unknown as ServiceWorkerGlobalScope

/** How often we look whether a page is there. Browsers end a worker 30 s after its last event. */
const LOOK_MS = 2_000
/** After so long without a word the page is gone. Earlier than 30 s: a worker that is ended can fail no download. */
const GONE_MS = 25_000

/** What a page has made known. */
interface Download extends Extract<ToWorker, { kind: 'save' }> {
  /** The page, as the browser names it. */
  readonly pageId: string
}

/** By their URLs. */
const downloads = new Map<string, Download>()

// A page that waits for its worker need not be loaded again.
worker.addEventListener('install', () => void worker.skipWaiting())
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()))

worker.addEventListener('message', ({ data, source }) => {
  // Only pages of this origin, and of this build, can send any.
  const message = data as ToWorker
  if (message.kind !== 'save' || !(source instanceof Client)) return
  downloads.set(message.url, { ...message, pageId: source.id })
  tell(message.port, { kind: 'known' })
})

worker.addEventListener('fetch', (event) => {
  const download = downloads.get(event.request.url)
  if (download === undefined) return
  downloads.delete(event.request.url)
  event.respondWith(new Response(streamOf(download), { headers: download.headers }))
})

/** What comes through the port. It asks for more only when the browser does. */
function streamOf({ port, pageId, link }: Download): ReadableStream<Uint8Array<ArrayBuffer>> {
  let looking: ReturnType<typeof setInterval> | undefined
  let heardAt = performance.now()
  const isThere = async () => (await worker.clients.get(pageId)) !== undefined
  const giveUpIfGone = async () => {
    if (!(await isThere())) await giveUp(link)
  }
  const stop = () => {
    clearInterval(looking)
    port.onmessage = null
  }
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start(controller) {
        const fail = () => {
          stop()
          controller.error(new Error('The page has stopped this download'))
        }
        const look = async () => {
          tell(port, { kind: 'alive?' })
          if ((await isThere()) && performance.now() - heardAt <= GONE_MS) return
          fail()
          await giveUp(link)
        }
        looking = setInterval(() => void look(), LOOK_MS)
        port.onmessage = ({ data }) => {
          heardAt = performance.now()
          const message = data as FromPage
          if (message.kind === 'bytes') controller.enqueue(message.bytes)
          else if (message.kind === 'fail') {
            fail()
            // The last word of a page that is closed, perhaps.
            setTimeout(() => void giveUpIfGone(), LOOK_MS)
          } else if (message.kind === 'end') {
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

/** Tells the server, and so the sender. A page that is closed can't always do that itself. */
async function giveUp(link: string): Promise<void> {
  try {
    await fetch(link, { method: 'DELETE', cache: 'no-store', redirect: 'error' })
  } catch {
    // The sender then waits as for any receiver that lost its connection.
  }
}
