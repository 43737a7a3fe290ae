import type { EventEmitter } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  attach,
  type CertificateReport,
  create,
  createService,
  type EmbeddedService,
  type ErrorAnswer,
  type ExpressHost,
  type Handler,
  type HonoHost,
  type Listening,
  type ListenOptions,
  listen,
  type Outcome,
  type Phase,
  type Reservation,
  type Service,
  type ServiceEvents,
  type ServiceOptions,
  type SocketInfo,
  type SocketStats,
  type TlsOptions,
} from 'ephemeral-socket-service'
import type { EssError, StatusEvent } from 'ephemeral-socket-service/protocol'
import express from 'express'
import { Hono } from 'hono'
import { expectTypeOf, test } from 'vitest'

test('a service is made with options of which all are optional', () => {
  expectTypeOf(createService).returns.toEqualTypeOf<EmbeddedService>()
  expectTypeOf(createService).toBeCallableWith()
  expectTypeOf(create).toEqualTypeOf(createService)
  expectTypeOf(createService).toBeCallableWith({
    ttl: 600,
    maxUploadBytes: 2 ** 30,
    reservations: true,
    requiredReferer: null,
    ids: { pattern: /x/, generate: () => 'x' },
    earlyResponse: false,
    renderStatus: (event: StatusEvent, socket: SocketInfo) => (socket.id ? event.event : undefined),
    onError: (error: EssError, request: IncomingMessage) => ({ body: `${error.code} ${request.url}` }),
  })
  expectTypeOf<ServiceOptions['requiredReferer']>().toEqualTypeOf<string | null | undefined>()
  expectTypeOf<ErrorAnswer>().toHaveProperty('status').toEqualTypeOf<number | undefined>()
  // @ts-expect-error an option that does not exist
  createService({ tll: 600 })
  // @ts-expect-error an id has to look like something
  createService({ ids: { generate: () => 'x' } })
})

test('each event has its own values', () => {
  const service = createService()
  service.on('socket:opened', (...values) => {
    expectTypeOf(values).toEqualTypeOf<
      [socket: SocketInfo, id: string, query: URLSearchParams, request: IncomingMessage]
    >()
  })
  service.on('socket:progress', (_socket, bytes) => expectTypeOf(bytes).toEqualTypeOf<number>())
  service.on('socket:end', (_socket, stats) => expectTypeOf(stats).toEqualTypeOf<SocketStats>())
  service.on('error:not-found', (error) => expectTypeOf(error).toEqualTypeOf<EssError>())
  expectTypeOf<keyof ServiceEvents>().toEqualTypeOf<
    | 'socket:opened'
    | 'socket:reserved'
    | 'socket:reopened'
    | 'socket:connected'
    | 'socket:interrupted'
    | 'socket:resumed'
    | 'socket:progress'
    | 'socket:end'
    | 'socket:timeout'
    | 'socket:moved'
    | 'error:socket'
    | 'error:not-found'
    | 'error:max-upload'
    | 'error:referer'
    | 'request:refused'
    | 'error:listener'
  >()
  expectTypeOf<SocketInfo['phase']>().toEqualTypeOf<Phase>()
  expectTypeOf<SocketStats['outcome']>().toEqualTypeOf<Outcome>()
  // @ts-expect-error an end has its stats, and they know no id
  service.on('socket:end', (_socket, { id }) => id)
})

test('it is mounted in Hono, in Connect and in node:http, and served by itself', () => {
  const service = createService()
  new Hono().route('/share', service.app)
  expectTypeOf(createServer).toBeCallableWith(service.handler)
  expectTypeOf<Handler>().toExtend<(request: IncomingMessage, response: ServerResponse) => void>()
  expectTypeOf(attach).toBeCallableWith(new Hono(), { path: '/share', ttl: 60 })
  expectTypeOf(attach).returns.toEqualTypeOf<EmbeddedService>()
  expectTypeOf(listen).returns.resolves.toEqualTypeOf<Listening>()
  expectTypeOf<ListenOptions['tls']>().toEqualTypeOf<TlsOptions | undefined>()
  expectTypeOf<Listening['certificate']>().toEqualTypeOf<CertificateReport | undefined>()
})

test('a service is looked into and ended', () => {
  const service = createService()
  expectTypeOf(service.sockets()).toEqualTypeOf<SocketInfo[]>()
  expectTypeOf(service.cancel).parameters.toEqualTypeOf<[id: string, signal?: AbortSignal | undefined]>()
  expectTypeOf(service.cancel).returns.toEqualTypeOf<boolean>()
  expectTypeOf(service.close).toBeCallableWith({ drain: 5 })
  expectTypeOf(service.close).returns.toEqualTypeOf<Promise<void>>()
})

test('it shows what the docs name, and no verb that the routes guard', () => {
  type Own = Exclude<keyof EmbeddedService, keyof EventEmitter>
  expectTypeOf<Own>().toEqualTypeOf<
    | 'app'
    | 'handler'
    | 'isAccepting'
    | 'relay'
    | 'sockets'
    | 'counts'
    | 'cancel'
    | 'close'
    | 'stopNow'
    | 'holdContinue'
    | 'breakOff'
  >()
  expectTypeOf<EmbeddedService>().toExtend<EventEmitter<ServiceEvents>>()
  expectTypeOf<EmbeddedService['relay']>().toEqualTypeOf<{ ready(): Promise<void> }>()
  const service = createService()
  // @ts-expect-error it would open a socket without asking `authorize`
  service.open
  // @ts-expect-error it would give a file away
  service.receive
  // @ts-expect-error it would tell what is in a socket
  service.inspect
})

test('what it is mounted on is told by its shape, and a reservation is text', () => {
  expectTypeOf(attach).parameter(0).toEqualTypeOf<HonoHost | ExpressHost>()
  expectTypeOf(new Hono()).toExtend<HonoHost>()
  expectTypeOf(express()).toExtend<ExpressHost>()
  expectTypeOf<EmbeddedService>().toExtend<Service>()
  expectTypeOf(listen).parameter(1).toEqualTypeOf<ListenOptions | undefined>()
  expectTypeOf<Omit<Reservation, 'ttlAsked'>>().toEqualTypeOf<
    Readonly<Record<'id' | 'url' | 'upload' | 'events' | 'expires', string>>
  >()
  expectTypeOf<Reservation['ttlAsked']>().toEqualTypeOf<number | undefined>()
})
