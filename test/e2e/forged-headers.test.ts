import { beforeEach, describe, expect, test } from 'vitest'
import { needs } from '../helpers/needs.js'
import { type Deviation, type RunningProxy, startBehind } from '../helpers/proxies.js'
import { runCurl } from '../helpers/run-curl.js'
import { startServerHere } from '../helpers/start-server-here.js'

/** Three clients, each with an address of its own on this machine. */
const FORGER = '127.0.0.2'
const VICTIM = '127.0.0.3'
const BYSTANDER = '127.0.0.4'

const LIMITS = ['--max-sockets-per-client', '2', '--max-misses-per-client', '2']

/** The headers by which one proxy or another says who its client is, and what it says itself: they name `address`. */
function naming(address: string): string[] {
  return [
    `X-Forwarded-For: ${address}`,
    `Forwarded: for=${address}`,
    `X-Real-IP: ${address}`,
    `CF-Connecting-IP: ${address}`,
    `True-Client-IP: ${address}`,
  ]
}

/** What curl is answered with, from the address `from`. */
async function ask(proxy: { url: string }, from: string, request: string[], headers: string[] = []) {
  const [target = '', ...options] = request
  const curl = await runCurl([
    ...['--interface', from, '-o', '/dev/null', '-w', '%{http_code}', ...options],
    ...headers.flatMap((header) => ['-H', header]),
    `${proxy.url}${target}`,
  ])
  const { stdout } = await curl.ended()
  return Number(stdout.toString())
}

const RESERVE = ['/reserve', '-X', 'POST']
const GUESS = ['/abcdefghijkl']

// A request that succeeds, with this status, as often as a client may have it.
describe.each([
  { what: 'sockets', request: RESERVE, status: 201 },
  { what: 'guesses', request: GUESS, status: 404 },
])('the $what of a client', ({ request, status }) => {
  beforeEach((context) => needs(context, 'curl'))

  /** Two that go through, and nothing after them. */
  async function expectShare(
    proxy: { url: string },
    from: string,
    forged: readonly string[][],
  ): Promise<void> {
    for (const headers of forged.slice(0, 2)) expect(await ask(proxy, from, request, headers)).toBe(status)
    for (const headers of forged.slice(2))
      expect(await ask(proxy, from, request, headers), headers.join()).toBe(429)
  }

  const FORGED = [
    ...[VICTIM, VICTIM, BYSTANDER, '198.51.100.7', '127.0.0.1', `${VICTIM}, 127.0.0.1`, 'unknown'].map(
      naming,
    ),
    // Once more, as two lines of the same name.
    [`X-Forwarded-For: ${BYSTANDER}`, `X-Forwarded-For: ${VICTIM}`],
    ['Via: 1.1 other', 'X-Forwarded-Host: elsewhere.example'],
  ]

  const PROXIES = {
    nginx: {},
    caddy: {},
    apache2: {},
    traefik: { more: ['--reservations'] },
    // Documented is `mode tcp`, in which haproxy says nothing, and is not to be trusted.
    haproxy: {
      flags: ['--reservations', '--trust-proxy', '127.0.0.1'],
      lines: { 'mode tcp': 'mode http\n  option forwardfor' },
    },
  } as const satisfies Record<string, Deviation>

  describe.each(Object.entries(PROXIES))('behind %s', (name, deviation) => {
    beforeEach((context) => needs(context, name))

    async function start(): Promise<RunningProxy> {
      // The keys above are names of proxies.
      const { more = [] }: Deviation = deviation
      return await startBehind(name as keyof typeof PROXIES, { ...deviation, more: [...more, ...LIMITS] })
    }

    test('are its own, whatever address its headers name, and no other client pays for them', async () => {
      const proxy = await start()
      await expectShare(proxy, FORGER, FORGED)
      await expectShare(proxy, VICTIM, [[], [], [], naming(FORGER)])
      await expectShare(proxy, BYSTANDER, [[], [], []])
    })
  })

  test('that comes without a proxy are its own as well', async () => {
    const server = await startServerHere('--reservations', ...LIMITS)
    await expectShare(server, FORGER, FORGED)
    await expectShare(server, VICTIM, [[], [], [], naming(FORGER)])
  })

  test('that comes past a proxy that is trusted are its own as well', async () => {
    const server = await startServerHere('--reservations', '--trust-proxy', '127.0.0.1', ...LIMITS)
    await expectShare(server, FORGER, FORGED)
    await expectShare(server, VICTIM, [[], [], [], naming(FORGER)])
  })
})

describe('behind haproxy, as documented,', () => {
  beforeEach((context) => needs(context, 'curl', 'haproxy'))

  test('a client has so many connections, and another one as many again', async () => {
    const proxy = await startBehind('haproxy', { lines: { 'gt 96': 'gt 2' } })
    for (const from of [FORGER, VICTIM]) {
      const senders = await Promise.all(
        [1, 2].map(() => runCurl(['--interface', from, '-T', '.', `${proxy.url}/`], { stdin: 'open' })),
      )
      for (const sender of senders) await sender.untilStdout(/# waiting/)
      const refused = await runCurl(['--interface', from, `${proxy.url}/health`])
      expect((await refused.ended()).code).not.toBe(0)
    }
    expect(await ask(proxy, BYSTANDER, ['/health'])).toBe(200)
  })
})
