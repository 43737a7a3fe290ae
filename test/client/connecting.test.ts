import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { addressesOf, dial, inTurns } from '../../client/http/dial.js'
import { get, send } from '../../client/index.js'
import { rawServer } from '../helpers/client-raw-server.js'
import { acceptGet, problem } from '../helpers/client-wire.js'
import { listening, recordingProxy } from '../helpers/recording-proxy.js'
import type { Program } from '../helpers/run.js'
import { runEss } from '../helpers/run-ess.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

const never = new AbortController().signal

/** A SYN that was dropped is sent again after a second; the others are answered by the kernel, in no time. */
const NOT_TAKEN_MS = 500

/** A listener on 127.0.0.1 whose queue is full: the kernel drops a SYN that comes, until `answer`. */
async function fullListener(): Promise<{ readonly port: number; answer(): void }> {
  const script = `
    const server = require('node:net').createServer((socket) => socket.on('error', () => {}))
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port))`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await within(DEADLINE_MS, 'the listener ends', once(child, 'close'))
  })
  const [line] = await within(
    DEADLINE_MS,
    'the listener listens',
    once(createInterface(child.stdout), 'line'),
  )
  const port = Number(line)
  child.kill('SIGSTOP')
  // One more than the queue holds; which one is left over, the kernel says by not answering.
  const fillers: Socket[] = []
  onTestFinished(() => {
    for (const filler of fillers) filler.destroy()
  })
  await until('the queue is full', async () => {
    const filler = connect(port, '127.0.0.1').on('error', () => {})
    fillers.push(filler)
    const isTaken = await Promise.race([
      once(filler, 'connect').then(() => true),
      new Promise<boolean>((resolve) => {
        setTimeout(() => resolve(false), NOT_TAKEN_MS)
      }),
    ])
    return !isTaken
  })
  return { port, answer: () => void child.kill('SIGCONT') }
}

/** Connects, and looks where it has come to. */
async function dialled(addresses: readonly string[], port: number): Promise<string | undefined> {
  const socket = await within(DEADLINE_MS, 'a connection', dial(addresses, port, never))
  onTestFinished(() => void socket.destroy())
  return socket.remoteAddress
}

test.each([
  ['', ''],
  ['4', '4'],
  ['464', '464'],
  ['44466', '46464'],
  ['6644', '6464'],
  ['6466', '6466'],
])('addresses of the families %s are tried in the order %s', (families, order) => {
  const addresses = Array.from(families, (family, index) => ({
    address: `${family}${index}`,
    family: Number(family),
  }))
  const tried = inTurns(addresses)
  expect(tried.map((address) => address[0]).join('')).toBe(order)
  // Within a family the system's own order stays.
  for (const family of ['4', '6']) {
    const own = tried.filter((address) => address.startsWith(family))
    expect(own).toEqual(
      addresses.map(({ address }) => address).filter((address) => address.startsWith(family)),
    )
  }
})

test('an address needs no look-up, a name has one, and an abort ends the wait for it', async () => {
  expect(await addressesOf('::1', never)).toEqual(['::1'])
  expect(await addressesOf('127.0.0.1', never)).toEqual(['127.0.0.1'])
  expect(await addressesOf('localhost', never)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^127\.|^::1$/)]),
  )
  await expect(addressesOf('localhost', AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop')
})

test('an address that is slow to answer is still waited for when all the others have refused', async (context) => {
  if (process.platform !== 'linux') context.skip('needs 127.0.0.0/8, and a queue that drops')
  const listener = await fullListener()
  const slow = dialled(['127.0.0.1', '127.0.0.2', '127.0.0.3'], listener.port)
  // Its SYN is out, and dropped, by then. The others have refused before it is sent again, which takes a second.
  await new Promise<void>((resolve) => void setImmediate(resolve))
  listener.answer()
  expect(await slow).toBe('127.0.0.1')
})

test('the next address is tried beside one that says nothing', async (context) => {
  if (process.platform !== 'linux') context.skip('needs 127.0.0.0/8, and a queue that drops')
  const listener = await fullListener()
  const server = createServer().listen(listener.port, '127.0.0.2')
  await within(DEADLINE_MS, 'the second server listens', once(server, 'listening'))
  onTestFinished(() => void server.close())
  expect(await dialled(['127.0.0.1', '127.0.0.2'], listener.port)).toBe('127.0.0.2')
})

test('of many addresses the last one does, when the others refuse', async () => {
  const port = await listening(createServer(), '127.0.0.1')
  const refused = Array.from({ length: 40 }, (_, index) => `127.0.1.${index + 1}`)
  if (process.platform === 'linux') expect(await dialled([...refused, '127.0.0.1'], port)).toBe('127.0.0.1')
  else expect(await dialled(['127.0.0.1'], port)).toBe('127.0.0.1')
})

test.each([
  // TCP to a multicast address: the kernel has no way there, wherever this runs.
  [['ff02::1', '127.0.0.1'], 'ECONNREFUSED'],
  [['127.0.0.1', 'ff02::1'], 'ECONNREFUSED'],
  [['127.0.0.1', '::1'], 'ECONNREFUSED'],
])(
  'where none of %j answers, the error is one of an address that there is a way to',
  async (addresses, code) => {
    await expect(within(DEADLINE_MS, 'it fails', dial(addresses, 1, never))).rejects.toMatchObject({ code })
  },
)

test('an abort ends it, before and while it tries', async (context) => {
  await expect(dial(['127.0.0.1'], 1, AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop')
  if (process.platform !== 'linux') context.skip('needs a queue that drops')
  const { port } = await fullListener()
  const stop = new AbortController()
  const dialling = dial(['127.0.0.1'], port, stop.signal)
  stop.abort(new Error('stop'))
  await expect(within(DEADLINE_MS, 'it ends', dialling)).rejects.toThrow('stop')
})

test('who aborts at once, or in the same moment as the request is made, makes no connection', async () => {
  const server = await rawServer()
  const options = { server: server.url, signal: AbortSignal.abort() }
  const stop = new AbortController()
  const getting = [get('AbCdEfGhIjKl', options), get('AbCdEfGhIjKl', { ...options, signal: stop.signal })]
  stop.abort()
  const sending = send(Readable.from(['x']), options).verdict
  for (const ending of await Promise.allSettled([...getting, sending]))
    expect(ending).toMatchObject({ status: 'rejected', reason: { code: 'interrupted' } })
  // The next one to come is the first.
  const after = get('AbCdEfGhIjKl', { server: server.url })
  const connection = await acceptGet(server)
  connection.end(problem(404, 'not-found', 'Nothing here.'))
  await expect(after).rejects.toMatchObject({ code: 'not-found' })
  // Its HEAD and its GET.
  expect(server.connections()).toBe(2)
})

/** A server that takes connections and says nothing; `connected` resolves with the first one. */
async function mute(): Promise<{ readonly port: number; readonly connected: Promise<unknown> }> {
  const server = createServer({ allowHalfOpen: true })
  const connected = within(DEADLINE_MS, 'a connection comes', once(server, 'connection'))
  return { port: await listening(server), connected }
}

/** What may say nothing, how `ess` comes to it, and what it says of that. */
const SILENT = {
  'a server, in TLS': {
    server: (port: number) => `https://127.0.0.1:${port}`,
    env: async () => ({}),
    words: /Cannot reach https:\S+: no TLS handshake within 10 s\. .* \[server-unreachable\]\n$/,
  },
  'a proxy': {
    server: () => 'http://ess.example',
    env: async (port: number) => ({ http_proxy: `http://me:100%25@127.0.0.1:${port}` }),
    words:
      /Cannot use the proxy http:\S+: no answer within 10 s\. Correct http_proxy, or .* \[proxy-failed\]\n$/,
  },
  'a proxy, in TLS': {
    server: () => 'http://ess.example',
    env: async (port: number) => ({ http_proxy: `https://127.0.0.1:${port}` }),
    words: /Cannot use the proxy https:\S+: no TLS handshake within 10 s\. .* \[proxy-failed\]\n$/,
  },
  'a server behind a proxy, in TLS': {
    server: (port: number) => `https://ess.example:${port}`,
    env: async () => ({ https_proxy: (await recordingProxy()).url }),
    words:
      /Cannot reach https:\S+: no TLS handshake within 10 s \(through the proxy \S+\)\. .* \[server-unreachable\]\n$/,
  },
} as const

const CASES = Object.entries(SILENT)

/** `ess`, connecting to something that says nothing. */
async function connectingTo({ server, env }: (typeof SILENT)[keyof typeof SILENT]): Promise<Program> {
  const { port, connected } = await mute()
  const running = await runEss(server(port), ['get', 'AbCdEfGhIjKl'], { env: await env(port) })
  await connected
  return running
}

test.each(CASES)('SIGTERM ends `ess` while it waits for %s', async (_what, silent) => {
  const running = await connectingTo(silent)
  running.kill('SIGTERM')
  const { code, stderr } = await running.ended()
  expect([code, stderr]).toEqual([143, expect.stringMatching(/^ess: .* \[interrupted\]\n$/)])
})

test('no wait for an answer that should come at once goes on for ever', async () => {
  const connecting = CASES.map(async ([what, silent]) => ({ what, running: await connectingTo(silent) }))
  const refusing = createServer((socket) => {
    socket.once('data', () => {
      socket.write(
        'HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\nContent-Length: 99\r\n\r\n',
      )
    })
  })
  const [refusingPort, silent] = [await listening(refusing), await mute()]
  const waiting = [
    ...(await Promise.all(connecting)),
    {
      what: 'the body of a refusal',
      running: await runEss(`http://127.0.0.1:${refusingPort}`, ['get', 'AbCdEfGhIjKl', '-o', '-']),
    },
    {
      what: 'a reservation',
      running: await runEss(`http://127.0.0.1:${silent.port}`, ['send', '--reserve'], { stdin: 'x' }),
    },
  ]
  const endings = waiting.map(async ({ what, running }) => {
    const { code, stderr } = await running.ended(2 * DEADLINE_MS)
    return { what, code, stderr }
  })
  expect(await Promise.all(endings)).toEqual([
    ...CASES.map(([what, { words }]) => ({ what, code: 6, stderr: expect.stringMatching(words) })),
    { what: 'the body of a refusal', code: 6, stderr: expect.stringMatching(/^ess: .* \[not-ess\]\n$/) },
    {
      what: 'a reservation',
      code: 6,
      stderr: expect.stringMatching(/^ess: .* did not answer within 15 s\. .*\[server-unreachable\]\n$/),
    },
  ])
})
