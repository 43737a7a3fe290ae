import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import express from 'express'
import { Hono } from 'hono'
import { onTestFinished } from 'vitest'
import { createService, type EmbeddedService, type ServiceOptions } from '../../server/index.js'
import { startServer } from '../helpers/start-server.js'
import { DEADLINE_MS, within } from '../helpers/within.js'

/** The options of which `ess-server` has a flag too, in the units of `ServiceOptions`. */
export type ContractOptions = Pick<
  ServiceOptions,
  'ttl' | 'maxUploadBytes' | 'maxSockets' | 'stallTimeout' | 'heartbeat'
>

/** A host that serves ESS, with reservations. */
export interface Host {
  readonly name: string
  /** Where ESS is mounted: empty, or like `/share`. */
  readonly path: string
  /** True where a method that no route takes is answered by the host itself, as Hono does for its mounts. */
  readonly answersMethods: boolean
  /** Starts it on a free port, until the test is over. The service is undefined in another process. */
  start(options?: ContractOptions): Promise<{ port: number; service: EmbeddedService | undefined }>
}

/** How a service is made part of somebody's server. */
type Mount = (service: EmbeddedService, path: string) => Server

const MOUNTS: Readonly<Record<string, Mount>> = {
  Hono: (service, path) => {
    const app = new Hono()
    app.route(path === '' ? '/' : path, service.app)
    // Of the kinds of server that this may give, it gives this one unless told otherwise.
    return createAdaptorServer({ fetch: app.fetch, autoCleanupIncoming: false }) as Server
  },
  Express: (service, path) => {
    const app = express()
    app.use(path === '' ? '/' : path, service.handler)
    return createServer(app)
  },
  'node:http': (service, path) =>
    createServer((request, response) => {
      if (path === '') {
        service.handler(request, response)
        return
      }
      // As Connect does it: the mount's path is taken from the URL, which stays whole beside it.
      const { url = '/' } = request
      Object.assign(request, { originalUrl: url, url: url.slice(path.length) || '/' })
      service.handler(request, response)
    }),
}

function embedded(name: string, mount: Mount, path: string): Host {
  return {
    name: `${name} at ${path || '/'}`,
    path,
    answersMethods: name === 'Hono',
    start: async (options = {}) => {
      const service = createService({ ...options, reservations: true })
      const server = mount(service, path)
      server.requestTimeout = 0
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      onTestFinished(async () => {
        service.stopNow()
        const closed = new Promise((resolve) => server.close(resolve))
        server.closeAllConnections()
        await within(DEADLINE_MS, `${name} stops`, closed)
      })
      // A server that listens on TCP has this kind of address.
      return { port: (server.address() as AddressInfo).port, service }
    },
  }
}

const process: Host = {
  name: 'ess-server',
  path: '',
  answersMethods: false,
  start: async (options = {}) => {
    const flags = Object.entries(options).flatMap(([name, value]) => [
      `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      String(value),
    ])
    return { port: (await startServer('--reservations', ...flags)).port, service: undefined }
  },
}

/** Every host, at the root and under a path. */
export const HOSTS: readonly Host[] = [
  process,
  ...Object.entries(MOUNTS).flatMap(([name, mount]) =>
    ['', '/share'].map((path) => embedded(name, mount, path)),
  ),
]
