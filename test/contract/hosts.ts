import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { createAdaptorServer } from '@hono/node-server'
import express from 'express'
import { Hono } from 'hono'
import { onTestFinished } from 'vitest'
import { createService, type EmbeddedService, type ServiceOptions } from '../../server/index.js'
import { certificate } from '../helpers/certificate.js'
import { speakTls } from '../helpers/raw-peer.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../helpers/within.js'

/** The options of which `ess-server` has a flag too, in the units of `ServiceOptions`. */
export type ContractOptions = Pick<
  ServiceOptions,
  | 'ttl'
  | 'maxUploadBytes'
  | 'maxSockets'
  | 'maxSocketsPerClient'
  | 'maxReservationsPerClient'
  | 'maxWaitingPerClient'
  | 'maxMissesPerClient'
  | 'stallTimeout'
  | 'resumeWithin'
  | 'heartbeat'
  | 'earlyResponse'
  | 'proxyFullDuplex'
  | 'proxyHidesCuts'
  | 'requiredReferer'
> & {
  /** Makes every request that wants this unauthorized. */
  readonly refuses?: 'send' | 'receive'
}

/** A host that serves ESS, with reservations and the client's package. */
export interface Host {
  readonly name: string
  /** Where ESS is mounted: empty, or like `/share`. */
  readonly path: string
  readonly scheme: 'http' | 'https'
  /** True where the raw peers' HTTP/1.1 is put into HTTP/2 on its way. */
  readonly isHttp2: boolean
  /** True where an app is behind it, which answers requests that aren't for the service with `HOST_WORDS`. */
  readonly hasApp: boolean
  /** True where a sender frames its body itself, and can break that: a host need not hand over Node's `clientError` then. */
  readonly readsFraming: boolean
  /** Starts it on a free port, until the test is over. */
  start(options?: ContractOptions, drainSeconds?: number): Promise<Started>
}

/** A host that runs. */
export interface Started {
  readonly port: number
  /** Undefined where the command has made it. */
  readonly service: EmbeddedService | undefined
  /** Stops the service in good order; resolves when no socket is left. */
  close(): Promise<void>
}

/** The app behind the service answers every request with this, and 404. */
export const HOST_WORDS = 'the host has the last word\n'

/** How a service is mounted in another server. */
type Mount = (service: EmbeddedService, path: string) => Server

const MOUNTS: Readonly<Record<string, Mount>> = {
  Hono: (service, path) => {
    const app = new Hono()
    app.route(path === '' ? '/' : path, service.app)
    app.all('*', (context) => context.text(HOST_WORDS, 404))
    // As docs/embedding.md has it at the root, and as it comes under a path. Of the kinds of server that this may give,
    // it gives this one unless told otherwise.
    return createAdaptorServer({ fetch: app.fetch, autoCleanupIncoming: path !== '' }) as Server
  },
  Express: (service, path) => {
    const app = express()
    app.use(path === '' ? '/' : path, service.handler)
    app.use((_request, response) => void response.status(404).send(HOST_WORDS))
    return createServer(app)
  },
  'node:http': (service, path) => {
    const handle = (request: IncomingMessage, response: ServerResponse) => {
      // As Connect does it: the mount's path is taken from the URL, which stays whole beside it.
      const { url = '/' } = request
      if (path !== '')
        Object.assign(request, { originalUrl: url, url: url.slice(path.length).replace(/^(?!\/)/, '/') })
      service.handler(request, response)
    }
    return createServer(handle)
      .on('checkContinue', (request, response) => {
        service.holdContinue(request)
        handle(request, response)
      })
      .on('clientError', (error, connection) => {
        // What a server of HTTP gets is a connection of TCP.
        if (!service.breakOff(connection as Socket, error)) connection.destroy()
      })
  },
}

function embedded(name: string, mount: Mount, path: string): Host {
  return {
    name: `${name} at ${path || '/'}`,
    path,
    scheme: 'http',
    isHttp2: false,
    hasApp: name !== 'node:http',
    readsFraming: true,
    start: async ({ refuses, ...options } = {}, drainSeconds = 0) => {
      const authorize = (access: 'send' | 'receive') => access !== refuses
      const service = createService({
        ...options,
        reservations: true,
        serveClient: true,
        web: true,
        ...(refuses && { authorize }),
      })
      const server = mount(service, path)
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      onTestFinished(async () => {
        service.stopNow()
        const closed = new Promise((resolve) => server.close(resolve))
        server.closeAllConnections()
        await within(DEADLINE_MS, `${name} stops`, closed)
      })
      // A server that listens on TCP has this kind of address.
      const { port } = server.address() as AddressInfo
      return { port, service, close: () => service.close({ drain: drainSeconds }) }
    },
  }
}

/** A file of one token, which no test knows. */
async function tokenFile(): Promise<string> {
  const file = join(await tempDir(), 'tokens')
  await writeFile(file, `${randomUUID()}\n`, { mode: 0o600 })
  return file
}

/** The command `ess-server`, spoken to in plain HTTP/1.1 or over TLS. */
const command = (name: string, protocol?: 'http/1.1' | 'h2'): Host => ({
  name,
  path: '',
  scheme: protocol === undefined ? 'http' : 'https',
  isHttp2: protocol === 'h2',
  hasApp: false,
  // In HTTP/2 a body is not framed by its sender.
  readsFraming: protocol !== 'h2',
  start: async ({ refuses, ...options } = {}, drainSeconds = 0) => {
    const tokens = refuses === undefined ? [] : [`--${refuses}-tokens`, await tokenFile()]
    const flags = Object.entries({ ...options, drain: drainSeconds }).flatMap(([name, value]) => [
      `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      String(value),
    ])
    const pair = protocol === undefined ? undefined : await certificate()
    if (pair !== undefined) flags.push('--tls-cert', pair.path, '--tls-key', pair.keyPath)
    // A helper starts servers that resume nothing.
    const resuming = flags.includes('--resume-within') ? [] : ['--resume-within', '120']
    const server = await startServerHere('--reservations', ...resuming, ...tokens, ...flags)
    if (protocol !== undefined) speakTls(server.port, protocol)
    return {
      port: server.port,
      service: undefined,
      close: async () => void (await server.stop()),
    }
  },
})

/** Every host, at the root and under a path. */
export const HOSTS: readonly Host[] = [
  command('ess-server'),
  command('ess-server over TLS', 'http/1.1'),
  command('ess-server over HTTP/2', 'h2'),
  ...Object.entries(MOUNTS).flatMap(([name, mount]) =>
    ['', '/share'].map((path) => embedded(name, mount, path)),
  ),
]
