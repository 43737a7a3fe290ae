import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, describe, expect, type TestContext, test, vi } from 'vitest'
import { proxyFor } from '../../../client/http/proxy.js'
import { download, get, send } from '../../../client/index.js'
import { EssError } from '../../../shared/index.js'
import { certificate } from '../../helpers/certificate.js'
import { ess } from '../../helpers/client-io.js'
import { rawServer } from '../../helpers/client-raw-server.js'
import { acceptGet, ID, openDownload, problem } from '../../helpers/client-wire.js'
import { needs } from '../../helpers/needs.js'
import { listening, recordingProxy } from '../../helpers/recording-proxy.js'
import { runCurl } from '../../helpers/run-curl.js'
import { runEss } from '../../helpers/run-ess.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'

const PASSWORD = 'hunter2'
const VARIABLES = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy']

afterEach(() => {
  vi.unstubAllEnvs()
})

/** Sets the variables of a proxy in this process, and no others. */
function stubProxy(env: Readonly<Record<string, string>>): void {
  for (const name of VARIABLES.flatMap((variable) => [variable, variable.toUpperCase()])) vi.stubEnv(name, '')
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
}

/** True where curl, with this environment, asks the proxy for `url`. */
async function curlAsksProxy(
  env: Readonly<Record<string, string>>,
  url: string,
  proxy: { readonly requests: string[] },
): Promise<boolean> {
  proxy.requests.length = 0
  const curl = await runCurl(['-k', '-m', '5', '--resolve', '*:80:127.0.0.1', url], { env })
  await curl.ended()
  return proxy.requests.some((target) => !target.startsWith('/'))
}

/** Networks in NO_PROXY came with curl 7.86. */
async function needsCurl(context: TestContext): Promise<void> {
  needs(context, 'curl')
  const { stdout } = await (await runCurl(['--version'])).ended()
  const [, major, minor] = /^curl (\d+)\.(\d+)/.exec(stdout.toString()) ?? []
  if (Number(major) * 1000 + Number(minor) < 7086)
    context.skip(`needs curl 7.86, and this is ${major}.${minor}`)
}

/** A server that is a proxy too: what it is asked for as a proxy does not begin with a slash. */
async function eitherWay(): Promise<{ readonly port: number; readonly requests: string[] }> {
  const requests: string[] = []
  const server = createHttpServer((request, answer) => {
    requests.push(request.url ?? '')
    answer.end()
  })
  server.on('connect', (request, client: Socket) => {
    requests.push(request.url ?? '')
    client.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  return { port: await listening(server, '0.0.0.0'), requests }
}

describe('NO_PROXY', () => {
  // The last column is what curl does where that is something else, or not the same in each version.
  const TABLE: readonly [noProxy: string, host: string, isPast: boolean, curl?: boolean | 'varies'][] = [
    ['', 'send.example.org', false],
    ['*', 'send.example.org', true],
    ['send.example.org', 'send.example.org', true],
    ['SEND.Example.ORG', 'send.example.org', true],
    ['example.org', 'send.example.org', true],
    ['.example.org', 'send.example.org', true],
    ['.example.org', 'example.org', true],
    ['*.example.org', 'send.example.org', true, false],
    ['example.org', 'notexample.org', false],
    ['end.example.org', 'send.example.org', false],
    ['send.example.org', 'example.org', false],
    ['org', 'send.example.org', true],
    ['example.org.', 'send.example.org', true],
    ['example.org', 'send.example.org.', true],
    ['a.test,example.org', 'send.example.org', true],
    ['a.test, example.org ,b.test', 'send.example.org', true],
    ['a.test example.org', 'send.example.org', true],
    ['a.test,b.test', 'send.example.org', false],
    ['send.example.org:PORT', 'send.example.org', true, false],
    ['send.example.org:1', 'send.example.org', false],
    ['127.1.2.3', '127.1.2.3', true],
    ['127.1.2.3', '127.1.2.30', false],
    ['2.3', '127.1.2.3', false],
    ['127.0.0.0/8', '127.1.2.3', true],
    ['127.1.2.0/30', '127.1.2.3', true],
    ['127.1.2.0/31', '127.1.2.3', false],
    ['10.0.0.0/8', '127.1.2.3', false],
    ['127.0.0.0/33', '127.1.2.3', false],
    ['127.0.0.0/x', '127.1.2.3', false],
    ['127.1.2.3:PORT', '127.1.2.3', true, false],
    ['::1', '[::1]', true],
    ['[::1]', '[::1]', true, 'varies'],
    ['[::1]:PORT', '[::1]', true, false],
    ['::/64', '[::1]', true, 'varies'],
    ['0:0:0:0:0:0:0:1', '[::1]', true, 'varies'],
    ['fe80::/10', '[::1]', false],
    ['::2', '[::1]', false],
    ['example.org', '127.1.2.3', false],
    ['localhost', 'localhost', true],
  ]

  test.each(TABLE)('%j and the host %s: past the proxy is %j', (noProxy, host, isPast) => {
    const env = { http_proxy: 'proxy.example:3128', no_proxy: noProxy.replace('PORT', '9000') }
    expect(proxyFor(new URL(`http://${host}:9000/`), env) === undefined).toBe(isPast)
    expect(
      proxyFor(new URL(`http://${host}:9000/`), { http_proxy: env.http_proxy, NO_PROXY: env.no_proxy }) ===
        undefined,
    ).toBe(isPast)
  })

  test('in other alphabets, and IPv4 in IPv6', () => {
    const isPast = (noProxy: string, url: string) =>
      proxyFor(new URL(url), { http_proxy: 'p', no_proxy: noProxy }) === undefined
    expect(isPast('bücher.example', 'http://send.bücher.example/')).toBe(true)
    expect(isPast('10.0.0.0/8', 'http://[::ffff:10.1.2.3]/')).toBe(true)
  })

  test('is read as curl reads it', async (context) => {
    await needsCurl(context)
    const proxy = await eitherWay()
    for (const [noProxy, host, isPast, curl = isPast] of TABLE) {
      if (curl === 'varies') continue
      // A name is never looked up: on port 80 curl is told where it is.
      const isName = !/^[\d[]/.test(host)
      const port = isName ? 80 : proxy.port
      const env = {
        http_proxy: `http://127.0.0.1:${proxy.port}`,
        no_proxy: noProxy.replace('PORT', `${port}`),
      }
      const asked = await curlAsksProxy(env, `http://${host}:${port}/`, proxy)
      expect(asked, `curl with NO_PROXY=${noProxy} for ${host}`).toBe(!curl)
    }
  })

  test.each([
    ['127.0.0.0/8', 'past'],
    ['localhost,127.0.0.1', 'past'],
    ['10.0.0.0/8,::1', 'through'],
  ])('%s leads `ess get` from 127.0.0.1 %s the proxy', async (noProxy, way) => {
    const server = await rawServer()
    const proxy = await recordingProxy()
    const env = { HTTP_PROXY: proxy.url, NO_PROXY: noProxy }
    const getting = await runEss(server.url, ['get', ID, '-o', '-'], { env })
    ;(await openDownload(server, 'Content-Length: 5')).end('hello')
    expect(await getting.ended()).toMatchObject({ code: 0, stdout: Buffer.from('hello') })
    // A HEAD, and then the GET.
    expect(proxy.seen).toEqual(way === 'past' ? [] : Array(2).fill(`127.0.0.1:${server.port}`))
  })
})

describe('the variables of a proxy', () => {
  const TABLE: readonly [
    variables: Readonly<Record<string, string>>,
    scheme: string,
    variable: string | undefined,
    curl?: boolean,
  ][] = [
    [{}, 'http', undefined],
    [{ http_proxy: 'http://PROXY' }, 'http', 'http_proxy'],
    [{ http_proxy: 'PROXY' }, 'http', 'http_proxy'],
    [{ http_proxy: 'PROXY/' }, 'http', 'http_proxy'],
    [{ http_proxy: 'me:pw@PROXY' }, 'http', 'http_proxy'],
    [{ http_proxy: 'PROXY' }, 'https', undefined],
    [{ https_proxy: 'PROXY' }, 'http', undefined],
    [{ https_proxy: 'PROXY' }, 'https', 'https_proxy'],
    [{ HTTPS_PROXY: 'http://PROXY' }, 'https', 'HTTPS_PROXY'],
    [{ https_proxy: 'PROXY', HTTPS_PROXY: 'socks5://x' }, 'https', 'https_proxy'],
    [{ https_proxy: '', HTTPS_PROXY: 'PROXY' }, 'https', 'HTTPS_PROXY'],
    [{ all_proxy: 'PROXY' }, 'http', 'all_proxy'],
    [{ ALL_PROXY: 'http://PROXY' }, 'https', 'ALL_PROXY'],
    [{ http_proxy: 'PROXY', all_proxy: 'socks5://x' }, 'http', 'http_proxy'],
    // curl never reads it, because of CGI; other programs do, and what it does to CGI is seen to.
    [{ HTTP_PROXY: 'PROXY' }, 'http', 'HTTP_PROXY', false],
    [{ HTTP_PROXY: 'PROXY', REQUEST_METHOD: 'GET' }, 'http', undefined],
  ]
  const named = (variables: Readonly<Record<string, string>>, proxy: string) =>
    Object.fromEntries(
      Object.entries(variables).map(([name, value]) => [name, value.replace('PROXY', proxy)]),
    )

  test.each(TABLE)('%j for %s: %s', (variables, scheme, variable) => {
    const proxy = proxyFor(new URL(`${scheme}://send.example.org`), named(variables, 'proxy.example:3128'))
    expect(proxy?.variable).toBe(variable)
    if (proxy !== undefined) expect(proxy.shown).toBe('http://proxy.example:3128')
  })

  test('are read as curl reads them', async (context) => {
    await needsCurl(context)
    const proxy = await eitherWay()
    for (const [variables, scheme, variable, curl = variable !== undefined] of TABLE) {
      const env = named(variables, `127.0.0.1:${proxy.port}`)
      const asked = await curlAsksProxy(env, `${scheme}://127.1.2.3:${proxy.port}/`, proxy)
      expect(asked, `curl with ${JSON.stringify(env)} for ${scheme}`).toBe(curl)
    }
  })

  test.each([
    ['me:pass%20word@', 'me:pass word'],
    ['me:100%25@', 'me:100%'],
    ['me@', 'me:'],
    ['m%C3%A9:p%40ss%3A%2F@', 'mé:p@ss:/'],
    ['', ''],
  ])('%s gives the proxy %j', async (userinfo, credentials) => {
    const proxy = await recordingProxy({ answer: 'HTTP/1.1 403 Forbidden\r\n\r\n' })
    stubProxy({ http_proxy: `http://${userinfo}127.0.0.1:${proxy.port}` })
    await expect(get(ID, { server: 'http://ess.example' })).rejects.toMatchObject({ code: 'proxy-failed' })
    expect(proxy.credentials).toEqual([credentials])
  })
})

/** A proxy that does with each connection what a test says. */
async function rawProxy(onConnection: (client: Socket) => void): Promise<string> {
  return `127.0.0.1:${await listening(createServer(onConnection))}`
}

/** The EssError that a request fails with, in which there is no password. */
async function failure(promise: Promise<unknown>): Promise<EssError> {
  const error = await within(
    DEADLINE_MS,
    'it fails',
    promise.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  )
  if (!(error instanceof EssError)) throw new Error(`expected an EssError, got ${inspect(error)}`)
  expectNoPassword(inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true }) + error.stack)
  return error
}

const answering = (answer: string) => () =>
  rawProxy((client) => void client.once('data', () => client.end(answer)))

describe('trouble with a proxy is said of the proxy', () => {
  test.each([
    ['closes', () => rawProxy((client) => void client.once('data', () => client.end())), /cut off\. Correct/],
    [
      'resets',
      () => rawProxy((client) => void client.once('data', () => client.resetAndDestroy())),
      /cut off\. Correct/,
    ],
    ['speaks no HTTP', answering('SSH-2.0-OpenSSH_9.2\r\n\r\n'), /does not speak HTTP\. Correct/],
    ['ends in its head', answering('HTTP/1.1 200 OK\r\nVia: '), /cut off|not speak HTTP/],
    [
      'is away',
      async () => '127.0.0.1:1',
      /: connection refused\. Correct http_proxy, or .* NO_PROXY=ess\.example\.$/,
    ],
    [
      'says no',
      answering('HTTP/1.1 403 Forbidden\r\n\r\n'),
      /refused a tunnel to ess\.example:81 with HTTP 403/,
    ],
    [
      'wants another password',
      answering('HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n'),
      /refuses the user name and password in http_proxy \(HTTP 407\)/,
    ],
    [
      'wants NTLM',
      answering('HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n'),
      /wants Negotiate authentication \(HTTP 407\)/,
    ],
  ])('where it %s', async (_what, start, words) => {
    const proxy = await start()
    stubProxy({ http_proxy: `http://me:${PASSWORD}@${proxy}` })
    const error = await failure(get(ID, { server: 'http://ess.example:81' }))
    expect(error).toMatchObject({ code: 'proxy-failed', message: expect.stringMatching(words) })
    expect(error.message).toContain(`proxy http://${proxy}`)
  })

  test('where it wants a password and has none', async () => {
    const proxy = await answering('HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n')()
    stubProxy({ https_proxy: proxy })
    expect((await failure(get(ID, { server: 'https://ess.example' }))).message).toBe(
      `The proxy http://${proxy} wants a user name and password (HTTP 407). Put them into https_proxy: http://USER:PASSWORD@${proxy}`,
    )
  })

  test('where it is spoken to in TLS, and does not', async () => {
    const proxy = await recordingProxy()
    stubProxy({ ALL_PROXY: `https://me:${PASSWORD}@127.0.0.1:${proxy.port}` })
    expect(await failure(get(ID, { server: 'http://ess.example' }))).toMatchObject({
      code: 'proxy-failed',
      message: expect.stringMatching(
        /^Cannot use the proxy https:\S+: it does not speak TLS(?: \([a-z ]+\))?\. Correct ALL_PROXY,/,
      ),
    })
  })

  test.each([
    `socks5h://me:${PASSWORD}@127.0.0.1:1080`,
    `socks4://me:${PASSWORD}@127.0.0.1:1080`,
    `http://me:${PASSWORD}@127.0.0.1:99999`,
    `http://me:${PASSWORD}#@127.0.0.1:3128`,
    `http://me:${PASSWORD}/@127.0.0.1:3128`,
    `http://me:${PASSWORD}%@127.0.0.1:3128`,
    `me:${PASSWORD}%zz@127.0.0.1`,
    `http://${PASSWORD}:@`,
    // The parser would go to `http`, or take the host from behind the slashes.
    'http:/127.0.0.1:3128',
    'http:///127.0.0.1:3128',
    '//127.0.0.1:3128',
    '/127.0.0.1:3128',
  ])('where %s is none that we can use', async (value) => {
    stubProxy({ ALL_PROXY: value })
    expect(await failure(get(ID, { server: 'http://ess.example' }))).toMatchObject({
      code: 'proxy-failed',
      message: expect.stringMatching(
        /^Cannot (?:read the address in ALL_PROXY\.|use the proxy \S+ in ALL_PROXY:) /,
      ),
    })
  })

  test('but where it cannot reach the server, of that', async () => {
    stubProxy({ http_proxy: await answering('HTTP/1.1 502 Bad Gateway\r\n\r\n')() })
    expect(await failure(get(ID, { server: 'http://ess.example' }))).toMatchObject({
      code: 'server-unreachable',
      message: expect.stringMatching(
        /^Cannot reach http:\/\/ess\.example: the proxy \S+ cannot reach it either \(HTTP 502\)\. Check /,
      ),
    })
  })

  test('and a certificate behind it is the server’s, with a word about the way', async (context) => {
    needs(context, 'openssl')
    const { createServer: createTlsServer } = await import('node:tls')
    const port = await listening(createTlsServer(await certificate()))
    const proxy = await recordingProxy()
    stubProxy({ https_proxy: proxy.url })
    expect(await failure(get(ID, { server: `https://localhost:${port}` }))).toMatchObject({
      code: 'server-unreachable',
      message: expect.stringMatching(
        /does not trust the authority that signed its certificate \(through the proxy http:\S+\)\. .*NODE_EXTRA_CA_CERTS/,
      ),
    })
  })

  /** The error of a promise; it holds no password, however closely it is looked at. */
})

function expectNoPassword(text: string): void {
  expect(text).not.toContain(PASSWORD)
  expect(text).not.toContain(Buffer.from(`me:${PASSWORD}`).toString('base64').slice(0, 12))
}

test('a proxy that closes ends `ess` with a word, and not with a stack trace', async () => {
  const proxy = await rawProxy((client) => client.destroy())
  const getting = await runEss('https://ess.example', ['get', ID], { env: { https_proxy: proxy } })
  const { code, stderr } = await getting.ended()
  expect([code, stderr]).toEqual([
    6,
    expect.stringMatching(/^ess: Cannot use the proxy [^\n]* \[proxy-failed\]\n$/),
  ])
})

test('bytes that a server says before it is asked come through the tunnel', async () => {
  // In one packet with the proxy's answer.
  const proxy = await rawProxy((client) => {
    client.once('data', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\nSSH-2.0-OpenSSH_9.2\r\n')
    })
  })
  stubProxy({ http_proxy: proxy })
  await expect(get(ID, { server: 'http://ess.example' })).rejects.toMatchObject({ code: 'not-ess' })
})

describe('an interim answer of a proxy is skipped', () => {
  const INTERIM = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'

  /** Answers CONNECT with these packets. */
  const saying = (...packets: readonly string[]) =>
    rawProxy((client) => {
      client.setNoDelay(true)
      client.once('data', async () => {
        for (const packet of packets) {
          await new Promise((resolve) => client.write(packet, resolve))
          await new Promise(setImmediate)
        }
      })
    })

  test.each([
    ['in one packet', [`${INTERIM}HTTP/1.1 200 OK\r\n\r\nSSH-2.0-OpenSSH_9.2\r\n`]],
    ['byte by byte', [...`${INTERIM}HTTP/1.1 200 OK\r\n\r\nSSH-2.0-OpenSSH_9.2\r\n`]],
  ])('before a tunnel, %s, and no byte behind it is lost', async (_how, packets) => {
    stubProxy({ http_proxy: await saying(...packets) })
    await expect(get(ID, { server: 'http://ess.example' })).rejects.toMatchObject({ code: 'not-ess' })
  })

  test.each([
    [
      'a 403',
      'HTTP/1.1 403 Forbidden\r\n\r\n',
      'proxy-failed',
      /refused a tunnel to ess\.example with HTTP 403/,
    ],
    ['a 502', 'HTTP/1.1 502 Bad\r\n\r\n', 'server-unreachable', /cannot reach it either \(HTTP 502\)/],
    [
      'a 407',
      'HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate\r\nproxy-authenticate: NTLM\r\n\r\n',
      'proxy-failed',
      /wants Negotiate authentication/,
    ],
    ['a 101', 'HTTP/1.1 101 Switch\r\n\r\n', 'proxy-failed', /with HTTP 101/],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', 'proxy-failed', /does not speak HTTP\./],
    ['a head without an end', `Via: ${'x'.repeat(20_000)}`, 'proxy-failed', /does not speak HTTP\./],
  ])('before %s', async (_what, final, code, words) => {
    stubProxy({ http_proxy: await saying(INTERIM, final) })
    const error = await failure(get(ID, { server: 'http://ess.example' }))
    expect(error).toMatchObject({ code, message: expect.stringMatching(words) })
  })

  test.each(['end', 'resetAndDestroy'] as const)('before an end by %s', async (how) => {
    const proxy = await rawProxy((client) => {
      client.once('data', () => client.write(INTERIM, () => client[how]()))
    })
    stubProxy({ http_proxy: proxy })
    const error = await failure(get(ID, { server: 'http://ess.example' }))
    expect(error).toMatchObject({ code: 'proxy-failed', message: expect.stringContaining('cut off') })
  })
})

describe('the password in the server’s URL', () => {
  const withPassword = (url: string) => url.replace('//', `//me:${PASSWORD}@`)

  test('goes to the server, percent-decoded', async () => {
    const server = await rawServer()
    const receiving = get(ID, { server: server.url.replace('//', '//me:p%40%25@') })
    // A HEAD, and then the GET.
    for (let connections = 0; connections < 2; connections++) {
      const connection = await server.accept()
      const [, basic = ''] = await connection.until(/authorization: Basic (\S+)\r\n/i)
      expect(Buffer.from(basic, 'base64').toString()).toBe('me:p@%')
      connection.end(problem(404, 'not-found', 'Nothing here.'))
    }
    await expect(receiving).rejects.toMatchObject({ code: 'not-found' })
  })

  test('is not shown while it is waited for, nor when it ends', async () => {
    const server = await rawServer()
    for (const args of [
      ['get', ID],
      ['send', '--json'],
    ]) {
      const run = ess([...args, '--server', withPassword(server.url)], { isWatched: true })
      const isGet = args[0] === 'get'
      const connection = await (isGet ? acceptGet(server) : server.accept())
      if (!isGet) await connection.until(/\r\n\r\n/)
      connection.end('HTTP/1.1 302 Found\r\nLocation: http://me:hunter2@elsewhere.example/\r\n\r\n')
      expect(await run.status).toBe(6)
      expect(run.stderr()).toContain(server.url)
      expect(run.stderr()).toContain('redirects to http://elsewhere.example/')
      expectNoPassword(run.stdout() + run.stderr())
    }
  })

  test.each([
    [['get', ID, '--server', `ftp://me:${PASSWORD}@h`]],
    [['get', ID, '--server', `http://me:${PASSWORD}@h:99999`]],
    [['get', ID, '--server', `http://me:${PASSWORD}@h/?x`]],
    [['get', ID, '--server', `http://me:${PASSWORD}/x@h:1`]],
    [['get', ID, '--server', `http://me:${PASSWORD}%@h:1`]],
    [['get', ID, '--server', `me:${PASSWORD}@`]],
    [['get', `ftp://me:${PASSWORD}@h/${ID}`]],
    [['get', `me:${PASSWORD}@h/short`]],
    [['help', `http://me:${PASSWORD}@h`]],
    [['completion', `http://me:${PASSWORD}@h`]],
    [['send', 'x', '-', '--server', `http://me:${PASSWORD}@h`]],
    [['get', `http://me:${PASSWORD}@h:99999/${ID}`]],
    [['get', ID, '--servr', `http://me:${PASSWORD}@h`]],
    [[`http://me:${PASSWORD}@h/${ID}`]],
  ])('is not in what `ess %s` is refused with', async (args) => {
    const run = ess(args)
    expect(await run.status).toBe(2)
    expect(run.stderr()).toMatch(/^ess: .* \[usage\]\n$/)
    expectNoPassword(run.stderr())
  })

  test('nor in what the library throws', async () => {
    const folder = await tempDir()
    await writeFile(join(folder, 'x'), 'x')
    const failing = ['http://h:99999', 'ftp://h', 'http://127.0.0.1:1'].flatMap((url) => {
      const server = withPassword(url)
      return [
        get(ID, { server }),
        download(ID, { server, to: { file: join(folder, 'y') } }),
        send(join(folder, 'x'), { server }).verdict,
        send(join(folder, 'x'), { server, reserve: true }).verdict,
      ]
    })
    for (const ending of await Promise.allSettled(failing)) {
      const error: unknown = ending.status === 'rejected' ? ending.reason : undefined
      expect(error).toBeInstanceOf(EssError)
      expectNoPassword(inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true }))
    }
  })
})

test('a token is in no error, however closely that is looked at', async () => {
  const server = createServer((client) => void client.once('data', () => client.resetAndDestroy()))
  const url = `http://127.0.0.1:${await listening(server)}`
  for (const options of [{ server: url }, { server: 'http://127.0.0.1:1' }]) {
    const error: unknown = await get(ID, { ...options, token: PASSWORD }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(EssError)
    expectNoPassword(inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true }))
  }
  await once(server.close(), 'close')
})
