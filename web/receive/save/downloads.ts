import { EssError, formatContentDisposition } from '../../../shared/index.js'
import { addressOf, type Facts } from '../../facts.js'
import type { FromPage, FromWorker, ToWorker } from '../../sw/messages.js'
import type { Link } from '../link.js'
import type { Saved, Sink, Way } from './sink.js'

/** How long a browser may take to start its worker, and to ask it for the download. */
const START_MS = 15_000

/** What TypeScript doesn't know of Trusted Types. */
interface WithTrustedTypes {
  readonly trustedTypes?: {
    createPolicy(
      name: string,
      rules: { readonly createScriptURL: (url: string) => string },
    ): { createScriptURL(url: string): string }
  }
}

/** True if this browser may have a service worker here that streams a download. */
export function hasWorkers(): boolean {
  // Those of iOS break off (18.2), and so every browser there, and every iPad, which calls itself a Mac.
  const isAppleTouch = /\bMac OS X\b/.test(navigator.userAgent) && navigator.maxTouchPoints > 1
  return 'serviceWorker' in navigator && !isAppleTouch && !/\biP(?:hone|ad|od)\b/.test(navigator.userAgent)
}

/**
 * The browser's own download, which a service worker streams. Throws if this browser has no workers for this page, as in
 * some private windows: then there is another way.
 */
export async function toDownloads(facts: Facts, link: Link): Promise<Way> {
  const worker = await startWorker(facts)
  return {
    open: (saved) => begin(facts, worker, link, saved),
    drop: () => Promise.resolve(),
  }
}

let policy: { createScriptURL(url: string): string } | undefined

async function startWorker(facts: Facts): Promise<ServiceWorker> {
  const { trustedTypes } = window as WithTrustedTypes
  const rules = { createScriptURL: (url: string) => url }
  // A page may make it only once.
  policy ??= trustedTypes?.createPolicy('ess', rules) ?? rules
  const script = policy.createScriptURL(addressOf(facts, '/web/sw.js').href)
  const registration = await navigator.serviceWorker.register(script, {
    scope: addressOf(facts, '/web/').href,
    updateViaCache: 'none',
  })
  // An old one would be of another version. It is replaced as soon as the new one is there.
  const worker = registration.installing ?? registration.waiting ?? registration.active
  if (worker === null) throw new Error('Expected a service worker, got none')
  await within(START_MS, (resolve, reject) => {
    const look = () => {
      if (worker.state === 'activated') resolve()
      if (worker.state === 'redundant') reject(new Error('Expected a service worker that starts'))
    }
    worker.addEventListener('statechange', look)
    look()
  })
  return worker
}

async function begin(facts: Facts, worker: ServiceWorker, link: Link, { name, size }: Saved): Promise<Sink> {
  const { port1: port, port2 } = new MessageChannel()
  const url = addressOf(facts, `/web/${randomName()}`).href
  const tell = (message: FromPage, ...transferred: Transferable[]) => port.postMessage(message, transferred)
  const frame = document.createElement('iframe')
  frame.hidden = true
  let state: 'running' | 'cancelled' | 'done' = 'running'
  /** Resolves what waits for the browser, whatever has come. */
  let wake = () => {}
  let isAsked = false
  port.onmessage = ({ data }) => {
    const message = data as FromWorker
    if (message.kind === 'alive?') {
      tell({ kind: 'alive' })
      worker.postMessage({ kind: 'ping' } satisfies ToWorker)
      return
    }
    if (message.kind === 'known') {
      frame.src = url
      document.body.append(frame)
    } else if (message.kind === 'more') isAsked = true
    else state = message.kind
    wake()
  }
  const headers = {
    // Not the file's own: some browsers would open it.
    'content-type': 'application/octet-stream',
    'content-disposition': formatContentDisposition(name),
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
    ...(size !== undefined && { 'content-length': String(size) }),
  }
  const save: ToWorker = {
    kind: 'save',
    url,
    headers,
    link: link.url.href,
    port: port2,
  }
  worker.postMessage(save, [port2])

  /** Resolves when the browser takes more. */
  const room = async () => {
    while (!isAsked && state === 'running') await new Promise<void>((resolve) => (wake = resolve))
    if (state === 'cancelled') throw new EssError('interrupted')
  }
  const abort = () => {
    tell({ kind: 'fail' })
    // The frame stays: some browsers end a download with it, and as if it were whole.
    return Promise.resolve()
  }
  await within(START_MS, (resolve, reject) => {
    room().then(resolve, reject)
  }).catch(async (error: unknown) => {
    await abort()
    throw error
  })
  return {
    async write(bytes) {
      await room()
      isAsked = false
      tell({ kind: 'bytes', bytes }, bytes.buffer)
    },
    async close() {
      tell({ kind: 'end' })
      while (state === 'running') await new Promise<void>((resolve) => (wake = resolve))
      return { way: 'downloads' }
    },
    abort,
  }
}

/** Nobody else may guess it, and no asset has such a name. */
function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return `download-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

/** Rejects when it takes longer. */
async function within(
  ms: number,
  start: (resolve: () => void, reject: (error: unknown) => void) => void,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`Expected an answer within ${ms} ms`)), ms)
    const end = (settle: () => void) => {
      clearTimeout(timer)
      settle()
    }
    start(
      () => end(resolve),
      (error) => end(() => reject(error)),
    )
  })
}
