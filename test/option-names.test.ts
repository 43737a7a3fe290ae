import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import express from 'express'
import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { download, get, openFile, send } from '../client/index.js'
import { brokerOf } from '../server/embed.js'
import { attach, createService, listen } from '../server/index.js'
import { EssError } from '../shared/index.js'

/** A cast to what fits everywhere: JavaScript lets through what the types would not. */
const js = (value: unknown) => value as never

const ID = 'AAAAAAAAAAAA'
const NOWHERE = { server: 'http://127.0.0.1:9' }

/** Each is called as from JavaScript; the words are what its EssError `usage` says. */
const MISTAKES: readonly (readonly [name: string, call: () => unknown, words: string])[] = [
  [
    'a misspelt option of createService',
    () => createService(js({ tll: 60 })),
    'createService: there is no option "tll". Did you mean "ttl"?',
  ],
  [
    'an option in the case of the flags',
    () => createService(js({ 'max-sockets': 60 })),
    'createService: there is no option "max-sockets". Did you mean "maxSockets"?',
  ],
  [
    'an option that objects inherit',
    () => createService(js({ toString: 1 })),
    'createService: there is no option "toString". The options are ttl, maxUploadBytes, maxSockets, ',
  ],
  [
    'null for a function, where the default would let every request in',
    () => createService(js({ authorize: null })),
    '"authorize" must be a function, not null.',
  ],
  [
    'null for options',
    () => createService(js(null)),
    'createService: its options are an object such as { ttl: … }, not null',
  ],
  [
    'text for options',
    () => createService(js('/x')),
    'createService: its options are an object such as { ttl: … }, not "/x"',
  ],
  [
    'an array of options',
    () => createService(js([])),
    'createService: its options are an object such as { ttl: … }, not an array',
  ],
  [
    'attach to a plain object',
    () => attach(js({})),
    'attach() takes a Hono app, or an Express or Connect app. For node:http, pass createService().handler to createServer(); it got a plain object.',
  ],
  ['attach to nothing', () => attach(js(undefined)), '; it got undefined'],
  ['attach to a server of node:http', () => attach(js(createServer())), '; it got an instance of Server'],
  ['attach to a plain function', () => attach(js(() => undefined)), '; it got a function'],
  [
    'a misspelt option of attach',
    () => attach(express(), js({ paht: '/share' })),
    'createService: there is no option "paht". The options are ',
  ],
  [
    'a path in place of the options',
    () => attach(express(), js('/share')),
    `attach() takes options such as { path: '/share' }; it got "/share".`,
  ],
  [
    'a path without its slash',
    () => attach(new Hono(), { path: 'share' }),
    'The "path" of attach() must begin with a slash, and is "share".',
  ],
  [
    'options in place of the service',
    () => listen(js({ port: 0 })),
    'listen() takes a service as createService() returns it, and then the options; it got a plain object.',
  ],
  [
    'a misspelt option of listen',
    () => listen(createService(), js({ prot: 0 })),
    'listen: there is no option "prot". Did you mean "port"?',
  ],
  [
    'a misspelt option of its tls',
    () => listen(createService(), js({ tls: { cert: 'c', keyFile: 'k' } })),
    'listen, tls: there is no option "cert". The options are certFile, keyFile, minVersion, hstsMaxAge, onReload.',
  ],
  [
    'a misspelt option of close',
    () => createService().close(js({ drian: 1 })),
    'close: there is no option "drian". Did you mean "drain"?',
  ],
  ['a drain that is no number', () => createService().close(js({ drain: '1' })), '"drain" must be '],
  [
    'a misspelt option of sockets',
    () => createService().sockets(js({ id: true })),
    'sockets: there is no option "id". Did you mean "ids"?',
  ],
  [
    'a misspelt option of send',
    () => send(Readable.from(['x']), js({ ...NOWHERE, nmae: 'x' })).verdict,
    'send: there is no option "nmae". Did you mean "name"?',
  ],
  [
    'something to send that is neither file nor stream',
    () => send(js({ path: 'x' }), NOWHERE).verdict,
    'send() takes a path, an array of paths, a Readable, or what openFile() or fromStream() returns, not a plain object.',
  ],
  [
    'an array of other things than paths',
    () => send(js(['x', 7]), NOWHERE).verdict,
    'send() takes an array of paths, each a string or a Buffer, not 7.',
  ],
  [
    'one pattern in place of several',
    () => send(['x'], js({ ...NOWHERE, exclude: '*.tmp' })).verdict,
    'send: exclude must be an array of patterns, not "*.tmp".',
  ],
  [
    'a pattern without a word',
    () => send(['x'], { ...NOWHERE, exclude: ['*.tmp', ' '] }).verdict,
    'send: each pattern in exclude must say something, and one is " ".',
  ],
  [
    'a misspelt option of get',
    () => get(ID, js({ ...NOWHERE, waite: 1 })),
    'get: there is no option "waite". Did you mean "wait"?',
  ],
  [
    'a misspelt option of download',
    () => download(ID, js({ ...NOWHERE, forse: true })),
    'download: there is no option "forse". Did you mean "force"?',
  ],
  [
    'a destination of another shape',
    () => download(ID, js({ ...NOWHERE, to: { path: 'x' } })),
    'download: "to" must be { file }, { folder } or { stream }, not a plain object.',
  ],
]

describe('a caller without types is told of', () => {
  test.each(MISTAKES)('%s', async (_name, call, words) => {
    const thrown: unknown = await new Promise((resolve) => resolve(call())).catch((error: unknown) => error)
    expect(thrown).toBeInstanceOf(EssError)
    expect(thrown).toMatchObject({ code: 'usage', message: expect.stringContaining(words) })
    expect(thrown).toMatchObject({ message: expect.stringMatching(/[.?]$/) })
  })
})

test('an option that is undefined counts as left out', () => {
  expect(brokerOf(createService(js({ ttl: undefined }))).options.ttlMs).toBe(600_000)
})

test('a source of an own making is sent', async () => {
  const source = await openFile(new URL(import.meta.url).pathname)
  const { verdict } = send({ ...source, read: () => source.read() }, NOWHERE)
  await expect(verdict).rejects.toMatchObject({ code: 'server-unreachable' })
})
