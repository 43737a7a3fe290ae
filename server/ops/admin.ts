import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Service } from '../broker/service.js'
import type { ClusterView, Trouble } from '../locator/locator.js'
import type { AdminAddress } from './admin-address.js'
import { isExposed } from './exposure.js'
import type { Log } from './log.js'
import { type Metrics, measureService } from './metrics.js'

/** The operator's listener: metrics for Prometheus, and whether the server is alive and ready. */
export interface Admin {
  /** Its address as a URL, with the real port. */
  readonly url: string
  /** False if other machines can reach it, and so read it without a password. */
  readonly isPrivate: boolean
  /** From this call on, `/ready` says whether the service takes senders. Before it, `/ready` answers 503. */
  ready(): void
  /** Stops at once, and cuts connections that are open. */
  close(): Promise<void>
}

/** How long a client may take to send its request, to read the response, or to do nothing. */
const PATIENCE_MS = 10_000

/** What the operator's listener shows. */
export interface Shown {
  /** The figures as they are now. */
  metrics(): Promise<Metrics> | Metrics
  /** False while no sender is taken. */
  readonly isAccepting: boolean
  /** What is less than well in the cluster, if this is one of its nodes; undefined while all is well. */
  readonly trouble: Trouble | undefined
}

/** Shows a service on a listener for the operator: see `listenForOperator`. With `cluster`, it shows that too. */
export function listenAdmin(
  service: Service,
  address: AdminAddress,
  log?: Pick<Log, 'lost'>,
  cluster?: ClusterView,
  patienceMs?: number,
): Promise<Admin> {
  const metrics = measureService(service, log, cluster)
  const shown: Shown = {
    metrics: () => metrics,
    get isAccepting() {
      return service.isAccepting
    },
    get trouble() {
      return cluster?.state.trouble
    },
  }
  return listenForOperator(shown, address, patienceMs)
}

/**
 * Serves `/metrics`, `/health` (200 while the process lives) and `/ready` (200 while senders are taken, 503 before and
 * after) on an address of its own. Rejects with Node's own error if it can't listen there.
 */
export async function listenForOperator(
  shown: Shown,
  address: AdminAddress,
  patienceMs = PATIENCE_MS,
): Promise<Admin> {
  let hasBegun = false
  const pages: Readonly<Record<string, (response: ServerResponse) => Promise<void> | void>> = {
    '/metrics': async (response) => {
      const metrics = await shown.metrics()
      const text = await metrics.text()
      answer(response, 200, text, metrics.contentType)
    },
    '/health': (response) => answer(response, 200, 'ok\n'),
    '/ready': (response) =>
      hasBegun && shown.isAccepting
        ? answer(response, 200, wordsOf(shown.trouble))
        : answer(response, 503, hasBegun ? 'stopping\n' : 'starting\n'),
  }
  const server = createServer({ requestTimeout: patienceMs, headersTimeout: patienceMs })
  server.setTimeout(patienceMs)
  server.on('request', (request, response) => {
    const [path = ''] = (request.url ?? '').split('?')
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined
    if (page === undefined)
      answer(response, 404, `There is nothing at this address. Ask for ${Object.keys(pages).join(', ')}.\n`)
    else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD')
      answer(response, 405, 'This address takes only GET and HEAD.\n')
    }
    // It never rejects: only our own code collects the metrics, and a bug in it ends the process like any other.
    else void page(response)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address.port, address.host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  // The server listens on TCP, so its address is no string.
  const { family, address: ip, port } = server.address() as AddressInfo
  return {
    url: `http://${family === 'IPv6' ? `[${ip}]` : ip}:${port}`,
    isPrivate: !(await isExposed(ip)),
    ready: () => {
      hasBegun = true
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/**
 * A node without its store is still ready: it takes senders, and finds most links. If it said otherwise, a balancer
 * would take out all nodes at the same time.
 */
function wordsOf(trouble: Trouble | undefined): string {
  return trouble === undefined ? 'ready\n' : `degraded: ${TROUBLES[trouble]}\n`
}

const TROUBLES = {
  away: "the cluster's Redis can't be reached",
  slow: "the cluster's Redis answers too late",
  full: "the cluster's Redis is full",
  refuses: "the cluster's Redis answers with errors",
} as const satisfies Record<Trouble, string>

function answer(
  response: ServerResponse,
  status: number,
  body: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(body)
}
