import { once } from 'node:events'
import { copyFile, rename, symlink, writeFile } from 'node:fs/promises'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, DEFAULT_CIPHERS, type SecureVersion, type TLSSocket } from 'node:tls'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type CertificateReport, createService, listen, type TlsOptions } from '../../../server/index.js'
import { checkCertificate } from '../../../server/listen/tls.js'
import { carrierOf } from '../../../server/node/linger.js'
import { descriptorOf } from '../../../server/node/socket-inside.js'
import { loadLibc } from '../../../server/relay/splice/libc.js'
import { certificate } from '../../helpers/certificate.js'
import { type Answer, exchange, requestHead } from '../../helpers/http-exchange.js'
import { connectSession } from '../../helpers/http2-peer.js'
import { needs } from '../../helpers/needs.js'
import { speakTls } from '../../helpers/raw-peer.js'
import { run } from '../../helpers/run.js'
import { ESS_SERVER } from '../../helpers/start-server.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'
import { chunk, connectReceiver, openSender, serve } from '../serve.js'

beforeEach((context) => needs(context, 'openssl'))

const DAY_MS = 24 * 60 * 60 * 1000

/** The files of a pair, which may be those of two. */
async function pairOf(certOf = certificate(), keyOf = certOf): Promise<TlsOptions> {
  return { certFile: (await certOf).path, keyFile: (await keyOf).keyPath }
}

describe('a certificate is judged', () => {
  test('good, with its subject, its hosts and its last day', async () => {
    const report = await checkCertificate(await pairOf(certificate('/O=Us/CN=send.example.org')))
    expect(report).toMatchObject({
      subject: 'O=Us, CN=send.example.org',
      names: ['DNS:localhost', 'IP Address:127.0.0.1'],
      isInTime: true,
      problems: [],
    })
    const days = ((report.notAfter?.getTime() ?? 0) - Date.now()) / DAY_MS
    expect(days).toBeGreaterThan(1.9)
    expect(days).toBeLessThan(2.1)
  })

  test.each([
    [3, 'expired on'],
    [-3, 'is not valid before'],
  ])('by the clock, at its making and %i days: %s', async (days, words) => {
    const pair = await pairOf()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + days * DAY_MS })
    onTestFinished(() => void vi.useRealTimers())
    const { isInTime, problems, isUsable } = await checkCertificate(pair)
    expect([isInTime, isUsable]).toEqual([false, true])
    expect(problems).toEqual([expect.stringContaining(words)])
  })

  const BAD: Record<string, [words: RegExp, make: (pair: TlsOptions) => Promise<TlsOptions>]> = {
    'that is not there': [
      /Cannot read .*: there is no such file\./,
      async (pair) => ({ ...pair, certFile: '/nowhere' }),
    ],
    'whose key is not there': [
      /Cannot read .*: there is no such file\./,
      async (pair) => ({ ...pair, keyFile: '/nowhere' }),
    ],
    'that is a folder': [/it is a folder/, async (pair) => ({ ...pair, certFile: await tempDir() })],
    'that is a key': [/There is no certificate in/, async (pair) => ({ ...pair, certFile: pair.keyFile })],
    'whose key is a certificate': [
      /There is no private key in/,
      async (pair) => ({ ...pair, keyFile: pair.certFile }),
    ],
    'with the key of another': [
      /The key in .* does not belong to the certificate in/,
      async (pair) => ({ ...pair, keyFile: (await certificate()).keyPath }),
    ],
    'cut off in the middle': [
      /^A certificate in .* is damaged\. Copy it again\.$/,
      async (pair) => {
        const certFile = join(await tempDir(), 'cut.pem')
        await writeFile(certFile, '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n')
        return { ...pair, certFile }
      },
    ],
    'whose key is a picture': [
      /^There is no private key in .*\. It should be a PEM file\.$/,
      async (pair) => {
        const keyFile = join(await tempDir(), 'report.pdf')
        await writeFile(keyFile, '%PDF-1.7\n')
        return { ...pair, keyFile }
      },
    ],
    'whose key is cut off': [
      /^The private key in .* is damaged\. Copy it again\.$/,
      async (pair) => {
        const keyFile = join(await tempDir(), 'cut.pem')
        await writeFile(keyFile, '-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n')
        return { ...pair, keyFile }
      },
    ],
    'whose key has a passphrase': [
      /has a passphrase/,
      async (pair) => {
        const keyFile = join(await tempDir(), 'key.pem')
        await writeFile(keyFile, '-----BEGIN ENCRYPTED PRIVATE KEY-----\n')
        return { ...pair, keyFile }
      },
    ],
  }
  test.each(Object.entries(BAD))('of no use when it is one %s', async (_what, [words, make]) => {
    const { problems, isUsable } = await checkCertificate(await make(await pairOf()))
    expect(problems).toEqual([expect.stringMatching(words)])
    expect(isUsable).toBe(false)
  })

  test('usable, but out of order, when a stranger stands behind it', async () => {
    const [own, other] = [await certificate(), await certificate('/CN=other')]
    const certFile = join(await tempDir(), 'chain.pem')
    await writeFile(certFile, Buffer.concat([own.cert, other.cert]))
    const { problems, isUsable } = await checkCertificate({ certFile, keyFile: own.keyPath })
    expect(problems).toEqual([expect.stringContaining('out of order')])
    expect(isUsable).toBe(true)
  })
})

async function serveTls(tls: TlsOptions) {
  const service = createService()
  const server = await listen(service, { port: 0, tls })
  onTestFinished(() => within(DEADLINE_MS, 'the server stops', server.stopNow()))
  speakTls(server.port)
  return { service, server, port: server.port }
}

/** Shakes hands, and gives what the server has shown. */
async function shakeHands(
  port: number,
  maxVersion: SecureVersion = 'TLSv1.3',
  ciphers = DEFAULT_CIPHERS,
  ecdhCurve = 'auto',
): Promise<TLSSocket> {
  const connection = connectTls({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    maxVersion,
    ciphers,
    ecdhCurve,
  })
  onTestFinished(() => void connection.destroy())
  const shaken = new Promise<void>((resolve, reject) => {
    connection.once('secureConnect', resolve).once('error', reject)
  })
  await within(DEADLINE_MS, 'the handshake', shaken)
  return connection
}

const subjectOf = (connection: TLSSocket) => connection.getPeerCertificate().subject.CN

describe('a server over TLS', () => {
  test('says https, in its own address and in the links', async () => {
    const { server, port } = await serveTls(await pairOf())
    expect(server.url).toBe(`https://127.0.0.1:${port}`)
    const sender = await openSender(port)
    expect(sender.url).toBe(`https://localhost/${sender.id}`)
  })

  test('resets the TCP connection below when the sender is lost', async () => {
    const { port } = await serveTls(await pairOf())
    const sender = await openSender(port)
    const receiver = await connectReceiver(port, sender)
    await sender.write(chunk('half'))
    await receiver.until(/half/)
    sender.reset()
    expect(await receiver.ending()).toBe('rst')
  })

  test.runIf(process.platform === 'linux')(
    'knows of a reset right behind the last byte, though Node does not say so',
    async () => {
      const libc = await loadLibc()
      const { port, service } = await serveTls(await pairOf())
      const ends: string[] = []
      service.on('socket:end', (_socket, { outcome }) => ends.push(outcome))
      service.on('error:socket', (_socket, { outcome }) => ends.push(outcome))
      let leave = () => {}
      // A program exits that has not read all of it. Behind the last byte, Node writes nothing once, and loses the error.
      service.on('socket:connected', (_socket, { socket: connection }) => {
        const write = connection.write.bind(connection) as (...args: unknown[]) => boolean
        const tapped = (...args: [string | Uint8Array]) => {
          if (args[0].length === 0) {
            // Its kernel acknowledges the last byte some 40 ms later. In this turn of the event loop, as it has to be.
            const fd = descriptorOf(carrierOf(connection)) ?? -1
            const end = performance.now() + DEADLINE_MS
            while (libc.unacknowledged(fd) > 0 && performance.now() < end) {}
            leave()
          }
          return write(...args)
        }
        Object.assign(connection, { write: tapped })
      })
      for (let round = 1; round <= 3; round++) {
        const sender = await openSender(port, { length: 5 })
        const carrier = connect(port, '127.0.0.1').on('error', () => undefined)
        leave = () => void carrier.resetAndDestroy()
        onTestFinished(() => leave())
        const receiver = connectTls({ socket: carrier, rejectUnauthorized: false }).on(
          'error',
          () => undefined,
        )
        receiver.write(requestHead(`GET /${sender.id}`))
        await sender.write('hell')
        await new Promise((resolve) => receiver.once('data', resolve))
        await sender.write('o')
        await until('the transfer ends', () => ends.length === round)
        expect(ends.at(-1)).toBe('receiver-lost')
      }
    },
  )

  test('speaks TLS 1.2, and not where 1.3 is the least', async () => {
    const pair = await pairOf()
    const lenient = await serveTls(pair)
    expect((await shakeHands(lenient.port, 'TLSv1.2')).getProtocol()).toBe('TLSv1.2')
    const strict = await serveTls({ ...pair, minVersion: '1.3' })
    await expect(shakeHands(strict.port, 'TLSv1.2')).rejects.toThrow()
    expect((await shakeHands(strict.port)).getProtocol()).toBe('TLSv1.3')
  })

  test.each([
    ['all of TLS 1.3', 'TLSv1.3', DEFAULT_CIPHERS, 'TLS_AES_128_GCM_SHA256'],
    [
      'AES-256 before AES-128',
      'TLSv1.3',
      'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256',
      'TLS_AES_128_GCM_SHA256',
    ],
    ['AES-256 alone', 'TLSv1.3', 'TLS_AES_256_GCM_SHA384', 'TLS_AES_256_GCM_SHA384'],
    ['ChaCha20 alone', 'TLSv1.3', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'],
    ['all of TLS 1.2', 'TLSv1.2', DEFAULT_CIPHERS, 'ECDHE-ECDSA-AES128-GCM-SHA256'],
    ['AES-256 of TLS 1.2', 'TLSv1.2', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
  ] as const)('offered %s, takes the least costly of them', async (_what, version, offered, taken) => {
    const { port } = await serveTls(await pairOf())
    expect((await shakeHands(port, version, offered)).getCipher().name).toBe(taken)
  })

  test('hangs up on a client that speaks no TLS, and serves the next one', async () => {
    const { port } = await serveTls(await pairOf())
    const plain = connect(port, '127.0.0.1')
    const gone = new Promise<void>((resolve) =>
      plain.once('error', () => undefined).once('close', () => resolve()),
    )
    plain.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await within(DEADLINE_MS, 'the server hangs up', gone)
    expect((await openSender(port)).id).not.toBe('')
  })

  test('stops at once, also while hands are being shaken', async () => {
    const service = createService()
    const server = await listen(service, { port: 0, tls: await pairOf() })
    const newcomer = connect(server.port, '127.0.0.1')
    newcomer.on('error', () => undefined)
    await within(
      DEADLINE_MS,
      'it connects',
      new Promise<void>((resolve) => newcomer.once('connect', resolve)),
    )
    // Accepted, and known to the server, when a later one is.
    await shakeHands(server.port)
    await within(DEADLINE_MS, 'the server stops', server.stopNow())
  })

  test('does not begin with a pair that is of no use', async () => {
    const tls = { ...(await pairOf()), keyFile: (await certificate()).keyPath }
    await expect(listen(createService(), { port: 0, tls })).rejects.toThrow(
      /does not belong to the certificate/,
    )
  })
})

describe('a certificate that changes', () => {
  /** A server whose files can be replaced, and what it has said of them. */
  async function changing() {
    const told: [CertificateReport, boolean][] = []
    const folder = await tempDir()
    const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
    const replace = async (subject: string) => {
      const next = await certificate(subject)
      await copyFile(next.keyPath, files.keyFile)
      await copyFile(next.path, files.certFile)
    }
    await replace('/CN=first')
    const served = await serveTls({ ...files, onReload: (report, isTaken) => told.push([report, isTaken]) })
    const shown = async () => subjectOf(await shakeHands(served.port))
    expect(await shown()).toBe('first')
    return { ...served, ...files, folder, told, replace, shown }
  }

  test('is shown to the next connection, and the ones before it go on', async () => {
    const { port, shown, replace, told } = await changing()
    const sender = await openSender(port)
    const receiver = await connectReceiver(port, sender)
    await replace('/CN=second')
    await until('the new one is shown', async () => (await shown()) === 'second')
    expect(told).toMatchObject([[{ subject: 'CN=second' }, true]])
    await sender.write(`${chunk('hello')}0\r\n\r\n`)
    await receiver.until(/hello/)
    receiver.end()
    await sender.until(/"delivered"/)
  })

  test('by way of a link, as certbot does it, is seen', async () => {
    const { certFile, keyFile, folder, shown } = await changing()
    const next = await certificate('/CN=linked')
    for (const [file, target] of [
      [keyFile, next.keyPath],
      [certFile, next.path],
    ] as const) {
      await symlink(target, join(folder, 'new'))
      await rename(join(folder, 'new'), file)
    }
    await until('the new one is shown', async () => (await shown()) === 'linked')
  })

  test('into one of no use is not taken, and the reason is told', async () => {
    const { server, certFile, shown, told } = await changing()
    await writeFile(certFile, 'broken')
    await until('it is told', () => told.length > 0)
    expect(told).toMatchObject([[{ problems: [expect.stringContaining('no certificate')] }, false]])
    expect(await shown()).toBe('first')
    await server.reload()
    expect(told.length).toBe(2)
    expect(await shown()).toBe('first')
  })

  test('is read at once when that is asked for', async () => {
    const { server, shown, replace } = await changing()
    await replace('/CN=second')
    await server.reload()
    expect(await shown()).toBe('second')
  })
})

test('in an https server of the embedder’s a lost sender cuts its receiver off', async () => {
  const service = createService()
  const server = createHttpsServer(await certificate(), service.handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    service.stopNow()
    server.closeAllConnections()
    await within(DEADLINE_MS, 'it closes', new Promise((resolve) => server.close(resolve)))
  })
  // A server that listens on TCP has this kind of address.
  const { port } = server.address() as AddressInfo
  speakTls(port)
  const sender = await openSender(port)
  const receiver = await connectReceiver(port, sender)
  await sender.write(chunk('half'))
  await receiver.until(/half/)
  sender.reset()
  await receiver.ending()
  expect(receiver.text()).not.toMatch(/0\r\n\r\n$/)
})

describe('of ciphers and curves', () => {
  /** Mozilla's intermediate ones, and others that OpenSSL can still speak. */
  const TAKEN = ['ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-RSA-CHACHA20-POLY1305']
  const REFUSED = [
    'AES128-SHA',
    'AES256-SHA',
    'AES128-GCM-SHA256',
    'AES256-GCM-SHA384',
    'AES128-CCM8',
    'AES128-SHA256',
    'ARIA128-GCM-SHA256',
    'CAMELLIA128-SHA256',
    'ECDHE-RSA-AES128-SHA',
    'ECDHE-RSA-AES128-SHA256',
    'ECDHE-RSA-AES256-SHA384',
    'ECDHE-ARIA128-GCM-SHA256',
    'DHE-RSA-AES128-SHA',
  ]

  test('with an RSA certificate, only those with forward secrecy and authentication are taken', async () => {
    const { port } = await serveTls(await pairOf(certificate(undefined, 'rsa')))
    const taken: string[] = []
    for (const cipher of [...TAKEN, ...REFUSED]) {
      await shakeHands(port, 'TLSv1.2', `${cipher}:@SECLEVEL=0`).then(
        () => taken.push(cipher),
        () => undefined,
      )
    }
    expect(taken).toEqual(TAKEN)
  })

  test.each([
    ['X25519', true],
    ['P-256', true],
    ['P-384', true],
    ['P-521', false],
  ])('%s is taken: %s', async (ecdhCurve, isTaken) => {
    const { port } = await serveTls(await pairOf())
    const shaken = shakeHands(port, 'TLSv1.3', DEFAULT_CIPHERS, ecdhCurve)
    if (isTaken) expect((await shaken).authorized).toBe(false)
    else await expect(shaken).rejects.toThrow(/handshake failure/i)
  })

  test('what Node was started with replaces them', async () => {
    const { path, keyPath } = await certificate(undefined, 'rsa')
    const server = await run(
      'ess-server',
      process.execPath,
      [ESS_SERVER, '--port', '0', '--tls-cert', path, '--tls-key', keyPath],
      { env: { NODE_OPTIONS: '--tls-cipher-list=ECDHE-RSA-AES256-SHA384' } },
    )
    const [, port] = await server.untilStdout(/^listening on https:\/\/127\.0\.0\.1:(\d+)\n/)
    const connection = await shakeHands(Number(port), 'TLSv1.2', 'ECDHE-RSA-AES256-SHA384')
    expect(connection.getCipher().name).toBe('ECDHE-RSA-AES256-SHA384')
  })
})

describe('browsers are told to use HTTPS alone', () => {
  const BROWSER = { Accept: 'text/html', 'Sec-Fetch-Mode': 'navigate' }
  const hstsOf = (answer: Answer) => answer.headers['strict-transport-security']

  test.each([
    ['send.example.org', 'max-age=2592000'],
    ['send.example.org:443', 'max-age=2592000'],
    ['send.example.org:8443', undefined],
    ['192.0.2.7:9000', undefined],
    ['[2001:db8::1]', undefined],
  ])('where they come to %s: %s', async (Host, hsts) => {
    const { port } = await serveTls(await pairOf())
    const sender = await openSender(port)
    for (const path of ['/', `/${sender.id}`, '/Ab3_-fGhIj4k'])
      expect(hstsOf(await exchange(port, requestHead(`GET ${path}`, { ...BROWSER, Host }))), path).toBe(hsts)
    expect(hstsOf(await exchange(port, requestHead('GET /', { Host })))).toBe(hsts)
  })

  test('for as long as the operator says, and over HTTP/2', async () => {
    const pair = await pairOf()
    for (const hstsMaxAge of [0, 63_072_000]) {
      const { port } = await serveTls({ ...pair, hstsMaxAge })
      const { session } = await connectSession(port)
      const stream = session.request({ ':path': '/', ':authority': 'send.example.org' })
      const [headers] = await within(DEADLINE_MS, 'the answer', once(stream, 'response'))
      expect(headers['strict-transport-security']).toBe(`max-age=${hstsMaxAge}`)
      stream.resume()
    }
    await expect(listen(createService(), { port: 0, tls: { ...pair, hstsMaxAge: -1 } })).rejects.toThrow(
      '"hstsMaxAge" must be a whole number of seconds, at least 0, not -1.',
    )
  })

  test('and programs are not, nor are browsers without TLS', async () => {
    const { port } = await serveTls(await pairOf())
    expect(hstsOf(await exchange(port, requestHead('GET /Ab3_-fGhIj4k')))).toBeUndefined()
    const plain = await serve()
    expect(hstsOf(await exchange(plain.port, requestHead('GET /', BROWSER)))).toBeUndefined()
  })
})
