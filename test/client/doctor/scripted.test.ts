import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { createSecureServer as createHttp2Front } from 'node:http2'
import { createServer as createTlsServer } from 'node:https'
import { connect, createServer as createTcpServer, type Server } from 'node:net'
import { createServer as createTlsFront } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { CauseName } from '../../../client/doctor/causes.js'
import { examine, type Line } from '../../../client/doctor/doctor.js'
import { VERSION } from '../../../shared/version.js'
import { chainFor } from '../../helpers/authority.js'
import { certificate } from '../../helpers/certificate.js'
import { ess } from '../../helpers/client-io.js'
import { type Examined, examined, examinedByProcess, read } from '../../helpers/doctor.js'
import { freePort } from '../../helpers/free-port.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { until } from '../../helpers/within.js'

/** Listens on a free port until the test is over. */
async function listening(server: Server, host = '127.0.0.1', port = 0): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  onTestFinished(() => {
    if ('closeAllConnections' in server && typeof server.closeAllConnections === 'function')
      server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

type Twist = (
  incoming: IncomingMessage,
  answer: IncomingMessage,
  response: ServerResponse,
) => boolean | undefined

/** A proxy in front of `port`. `onRequest` may answer by itself; `onAnswer` may pass an answer on in its own way. */
async function scriptedProxy(
  port: number,
  onRequest: (incoming: IncomingMessage, response: ServerResponse) => boolean,
  onAnswer: Twist = () => false,
): Promise<string> {
  const server = createServer((incoming, response) => {
    if (onRequest(incoming, response)) return
    const { method, url, headers } = incoming
    const asking = request({ port, method, path: url, headers, agent: false }, (answer) => {
      if (onAnswer(incoming, answer, response)) return
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      response.flushHeaders()
      answer.pipe(response)
      answer.on('error', () => response.destroy())
    })
    asking.on('error', () => response.destroy())
    asking.flushHeaders()
    incoming.pipe(asking)
    incoming.on('error', () => asking.destroy())
    response.on('close', () => asking.destroy())
    response.on('error', () => {})
  })
  // Every head passes as it is.
  server.on('checkContinue', (incoming, response) => {
    response.writeContinue()
    server.emit('request', incoming, response)
  })
  return `http://127.0.0.1:${await listening(server)}`
}

function expectCauses({ status, problems, report }: Examined, ...causes: readonly CauseName[]): void {
  expect({ status, problems }, report).toEqual({ status: causes.length === 0 ? 0 : 6, problems: causes })
}

/** The line of one check. */
function lineOf({ lines }: Pick<Examined, 'lines'>, check: string): Line | undefined {
  return lines.find((line) => line.check === check)
}

/** Answers everything with this. */
async function answering(
  status: number,
  headers: Readonly<Record<string, string>>,
  body = '',
): Promise<string> {
  const server = createServer((_incoming, response) => response.writeHead(status, headers).end(body))
  return `http://127.0.0.1:${await listening(server)}`
}

describe('the doctor names the culprit when', () => {
  test("a body limit is Cloudflare's", async () => {
    const { port } = await startServerHere('--max-upload-bytes', '0')
    const url = await scriptedProxy(
      port,
      ({ headers }, response) => {
        response.setHeader('server', 'cloudflare')
        response.setHeader('cf-ray', '8a1')
        if (Number(headers['content-length'] ?? 0) <= 100_000_000) return false
        response.writeHead(413, { 'content-type': 'text/html', connection: 'close' }).end('<html>413</html>')
        return true
      },
      (_incoming, answer, response) => {
        response.writeHead(answer.statusCode ?? 502, [...answer.rawHeaders, 'server', 'cloudflare'])
        response.flushHeaders()
        answer.pipe(response)
        answer.on('error', () => response.destroy())
        return true
      },
    )
    const found = await examined(url)
    expectCauses(found, 'body-limit')
    expect(lineOf(found, 'size')?.words).toContain('more than 100.0 MB')
    expect(found.mends.join('\n')).toMatch(/^cloudflare: .*grey cloud/)
  })

  test('a captive portal redirects', async () => {
    const found = await examined(await answering(302, { location: 'http://login.example/guest' }))
    expectCauses(found, 'redirected')
    expect(found.mends.join('\n')).toContain('sign in')
    expect(lineOf(found, 'early response')).toMatchObject({ verdict: 'skipped', words: '' })
  })

  test('plain HTTP is sent on to https', async () => {
    expectCauses(await examined(await answering(301, { location: 'https://127.0.0.1/' })), 'redirected-https')
  })

  test('another program answers', async () => {
    expectCauses(
      await examined(await answering(200, { 'content-type': 'text/html' }, '<h1>Hi</h1>')),
      'not-ess',
    )
  })

  test("another program's health is fine", async () => {
    const url = await answering(200, { 'content-type': 'application/json' }, '{"status":"ok"}')
    expectCauses(await examined(url), 'not-ess')
  })

  test('the path is wrong', async () => {
    const { url } = await startServerHere()
    const found = await examined(`${url}/share`)
    expectCauses(found, 'not-ess')
    expect(lineOf(found, 'server')?.words).toMatch(/^It is ESS, but it serves nothing at .*\/share\.$/)
  })

  test('what answers is no HTTP', async () => {
    const port = await listening(
      createTcpServer((socket) => socket.on('error', () => {}).end('220 smtp ready\r\n')),
    )
    expectCauses(await examined(`http://127.0.0.1:${port}`), 'not-ess')
  })

  test('the server stops', async () => {
    const url = await answering(503, { 'content-type': 'application/json' }, '{"status":"stopping"}')
    expectCauses(await examined(url), 'stopping')
  })

  test('nothing listens', async () => {
    const found = await examined(`http://127.0.0.1:${await freePort()}`)
    expectCauses(found, 'port-unused')
    expect(found.mends.join('\n')).toMatch(/^ess-server: ess-server /m)
    expect(found.mends.join('\n')).not.toContain('--open')
  })

  test('the name is not known', async () => {
    const found = await examinedWith('http://no.invalid:9', async () => {
      throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' })
    })
    expectCauses(found, 'name-unknown')
  })

  test('IPv6 is dead and IPv4 works', async () => {
    const { port } = await startServerHere()
    const found = await examinedWith(`http://localhost.localdomain:${port}`, async () => [
      { address: '127.0.0.1', family: 4 },
      { address: '::1', family: 6 },
    ])
    expect(found.problems, found.report).toContain('address-dead')
    expect(lineOf(found, 'port')?.words).toMatch(/^127\.0\.0\.1 answers on port \d+, but ::1 /)
    expect(found.mends).toContain('ess-server: --host ::')
  })

  test('the clocks differ by hours', async () => {
    const { port } = await startServerHere()
    const url = await scriptedProxy(
      port,
      (_incoming, response) => {
        response.sendDate = false
        return false
      },
      (_incoming, answer, response) => {
        const late = new Date(Date.now() - 3 * 3_600_000).toUTCString()
        const fields = answer.rawHeaders.map((text, index, all) =>
          /^date$/i.test(all[index - 1] ?? '') ? late : text,
        )
        response.writeHead(answer.statusCode ?? 502, fields)
        response.flushHeaders()
        answer.pipe(response)
        answer.on('error', () => response.destroy())
        return true
      },
    )
    const found = await examined(url)
    expectCauses(found, 'clock-off')
    expect(lineOf(found, 'clock')?.words).toContain("The server's clock is 3 h behind this one.")
  })

  test('answers are kept back until they are whole', async () => {
    const { port } = await startServerHere('--reservations', '--early-response=false')
    const url = await scriptedProxy(
      port,
      () => false,
      ({ url = '' }, answer, response) => {
        if (!/^\/[\w-]{12}$/.test(url)) return false
        const pieces: Buffer[] = []
        answer.on('data', (piece: Buffer) => pieces.push(piece))
        answer.on('end', () => {
          response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
          response.end(Buffer.concat(pieces))
        })
        answer.on('error', () => response.destroy())
        return true
      },
    )
    expectCauses(await examined(url), 'response-buffered')
  })

  test('answers are kept back, the status stream too', async () => {
    const { port } = await startServerHere('--reservations', '--early-response=false')
    const url = await scriptedProxy(
      port,
      () => false,
      ({ method }, answer, response) => {
        if (method !== 'GET') return false
        const pieces: Buffer[] = []
        answer.on('data', (piece: Buffer) => pieces.push(piece))
        answer.on('end', () => {
          response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
          response.end(Buffer.concat(pieces))
        })
        answer.on('error', () => response.destroy())
        return true
      },
    )
    const found = await examined(url)
    expectCauses(found, 'both-buffered')
    expect(found.mends.join('\n')).toMatch(/^nginx: proxy_request_buffering off; proxy_buffering off;/m)
  })

  test.each([
    ['a refusal that is no 413', 403, []],
    ['a refusal that is no 413, with reservations', 403, ['--reservations', '--early-response=false']],
    ['a cut', undefined, []],
    ['a cut, with reservations', undefined, ['--reservations', '--early-response=false']],
  ])('uploads of some size end in %s', async (_what, status, flags) => {
    const { port } = await startServerHere('--max-upload-bytes', '0', ...flags)
    const url = await scriptedProxy(port, ({ headers, socket }, response) => {
      if (Number(headers['content-length'] ?? 0) < 10_000_000) return false
      if (status === undefined) socket.destroy()
      else response.writeHead(status, { connection: 'close' }).end('no')
      return true
    })
    const found = await examined(url)
    expectCauses(found, 'body-limit')
    expect(lineOf(found, 'size')?.words).toBe(
      `An upload of more than 1.0 MB ${status === undefined ? 'gets no answer' : 'is refused with HTTP 403, and not by ESS'}.`,
    )
  })

  test.each([
    ['PUT', (method: string, path: string) => method === 'PUT' && !path.startsWith('/uploads/')],
    ['a file name in the query', (_: string, path: string) => path.includes('filename=')],
    ['the status stream of a reservation', (_: string, path: string) => path.endsWith('/events')],
  ])('%s is refused in front', async (_what, isRefused) => {
    const { port } = await startServerHere('--reservations', '--early-response=false')
    const url = await scriptedProxy(port, ({ method = '', url: path = '' }, response) => {
      if (!isRefused(method, path)) return false
      response.writeHead(403, { 'content-type': 'text/html' }).end('no')
      return true
    })
    const found = await examined(url)
    expectCauses(found, 'request-refused')
    expect(found.report).toContain('is refused with HTTP 403, and not by ESS.')
  })

  test.each([429, 503])('a proxy has a limit of its own, with HTTP %s', async (status) => {
    const { port } = await startServerHere('--reservations')
    let asked = 0
    const url = await scriptedProxy(port, (_incoming, response) => {
      asked++
      if (asked < 9 || asked % 2 === 0) return false
      response.writeHead(status, { 'content-type': 'text/html', connection: 'close' }).end('slow down')
      return true
    })
    const found = await examined(url)
    expectCauses(found, 'proxy-limits')
    expect(found.report).toContain(`Some requests were refused with HTTP ${status}, and not by ESS.`)
  })

  test.each([{ flags: [] }, { flags: ['--reservations', '--early-response=false'] }])(
    'requests reach two servers in turn ($flags)',
    async ({ flags }) => {
      const servers = [await startServerHere(...flags), await startServerHere(...flags)]
      let turn = 0
      const relay = createTcpServer((near) => {
        const far = connect(servers[turn++ % 2]?.port ?? 0, '127.0.0.1')
        near.on('error', () => far.resetAndDestroy()).on('close', () => far.destroy())
        far.on('error', () => near.resetAndDestroy()).on('close', () => near.destroy())
        near.pipe(far).pipe(near)
      })
      const found = await examined(`http://127.0.0.1:${await listening(relay)}`)
      expect(found.problems, found.report).toContain('servers-many')
      expect(found.problems).not.toContain('transfer-broken')
    },
  )

  test('the connection is closed without an answer', async () => {
    const port = await listening(createTcpServer((socket) => socket.on('error', () => {}).end()))
    const found = await examined(`http://127.0.0.1:${port}`)
    expectCauses(found, 'closed-early')
    expect(found.mends).toContain('haproxy: server one 127.0.0.1:9000')
  })

  test('only one page may reserve', async () => {
    const flags = ['--reservations', '--early-response=false', '--required-referer', 'https://a.example/']
    const found = await examined((await startServerHere(...flags)).url)
    expectCauses(found, 'referer-wanted')
    expect(found.mends).toEqual(['ess-server: leave out --required-referer'])
  })

  test('the early response is kept back, whose head is not', async () => {
    const { port } = await startServerHere('--reservations')
    const url = await scriptedProxy(
      port,
      () => false,
      ({ method, url }, answer, response) => {
        if (method !== 'POST' || !url?.startsWith('/?') || answer.statusCode !== 201) return false
        response.writeHead(201, answer.rawHeaders)
        response.flushHeaders()
        answer.on('data', () => {}).on('error', () => response.destroy())
        return true
      },
    )
    expectCauses(await examined(url), 'response-buffered')
  })

  test('a receiver that leaves is kept from the server', async () => {
    const { port } = await startServerHere()
    const server = createServer((incoming, response) => {
      const { method, url, headers } = incoming
      const asking = request({ port, method, path: url, headers, agent: false }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
        response.flushHeaders()
        // It takes the download to its end, whether or not anything is left to take it.
        answer.on('data', (piece: Buffer) => void response.write(piece))
        answer.on('end', () => response.end()).on('error', () => response.destroy())
      })
      asking.on('error', () => response.destroy())
      asking.flushHeaders()
      incoming.pipe(asking)
      incoming.on('error', () => asking.destroy())
      response.on('error', () => {})
    })
    server.on('checkContinue', (incoming, response) => {
      response.writeContinue()
      server.emit('request', incoming, response)
    })
    expectCauses(await examined(`http://127.0.0.1:${await listening(server)}`), 'leaving-hidden')
  })

  test('the server has another base URL', async () => {
    const { url } = await startServerHere('--base-url', `http://127.0.0.1:${await freePort()}`)
    const found = await examined(url)
    expectCauses(found, 'link-elsewhere')
    expect(found.mends.join('\n')).toContain(`ess-server: --base-url ${url} `)
  })

  test('an early response is off and reservations do not come through', async () => {
    const { port } = await startServerHere('--early-response=false', '--reservations')
    const url = await scriptedProxy(port, ({ url: path }, response) => {
      if (!path?.startsWith('/reserve')) return false
      response.writeHead(404).end()
      return true
    })
    const found = await examined(url)
    expectCauses(found, 'no-reservations')
    expect(found.mends).toContain('you: Let the proxy pass /reserve and all below /uploads/.')
  })

  test('the server wants a token, or another one', async () => {
    const file = `${await tempDir()}/tokens`
    const token = 'correct-horse-battery-staple'
    await (await import('node:fs/promises')).writeFile(file, `${token}\n`, { mode: 0o600 })
    const { url } = await startServerHere('--send-tokens', file, '--receive-tokens', file)
    expectCauses(await examined(url), 'token-missing')
    expectCauses(await examined(url, { env: { ESS_TOKEN: 'another-token-entirely' } }), 'token-wrong')
    expectCauses(await examined(url, { env: { ESS_TOKEN: token } }))
  })
})

/** Examines with a name service of the test's own. */
async function examinedWith(url: string, lookup: NonNullable<Parameters<typeof examine>[1]['lookup']>) {
  const lines: Line[] = []
  for await (const line of examine(url, { signal: new AbortController().signal, lookup })) lines.push(line)
  const stdout = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
  const found = read(stdout)
  return { status: found.problems.length === 0 ? 0 : 6, report: stdout, ...found }
}

describe('of a version', () => {
  test('that is another one, the doctor tells both, and it is no fault', async () => {
    const { port } = await startServerHere()
    const url = await scriptedProxy(port, ({ url: path }, response) => {
      if (path !== '/health') return false
      response.setHeader('content-type', 'application/json')
      response.end('{"status":"ok","relay":"splice","version":"99.1.0"}')
      return true
    })
    const found = await examined(url)
    expectCauses(found)
    expect(lineOf(found, 'version')).toMatchObject({
      verdict: 'note',
      words: `The server is 99.1.0, and this client is ${VERSION}.`,
    })
  })
})

describe('of TLS', () => {
  /** Examines an ess-server with these files by a process, which trusts `root`. */
  async function examinedByTls(
    cert: string,
    key: string,
    root: string,
    host = 'localhost',
  ): Promise<Examined> {
    const { port } = await startServerHere('--tls-cert', cert, '--tls-key', key)
    return await examinedByProcess(`https://${host}:${port}`, { NODE_EXTRA_CA_CERTS: root })
  }

  test('the doctor has no complaint about a whole chain, and sees HTTP/2', async () => {
    const { full, key, root } = await chainFor('localhost', 20)
    const found = await examinedByTls(full, key, root)
    expectCauses(found)
    expect(lineOf(found, 'TLS')?.words).toMatch(
      /^TLSv1\.3; the certificate is good for (?:19|20) more days\.$/,
    )
    expect(lineOf(found, 'HTTP/2')?.words).toMatch(/^Offered/)
  })

  test('it names a chain that is not whole', async () => {
    const { leaf, key, root } = await chainFor('localhost', 20)
    const found = await examinedByTls(leaf, key, root)
    expectCauses(found, 'tls-chain')
    expect(found.mends).toContain('nginx: ssl_certificate /etc/letsencrypt/live/NAME/fullchain.pem;')
  })

  test('it names an authority that is not known, whose chain was sent', async () => {
    const { full, key } = await chainFor('localhost', 20)
    const { root } = await chainFor('other.example', 20)
    const found = await examinedByTls(full, key, root)
    expectCauses(found, 'tls-self-signed')
    expect(lineOf(found, 'TLS')?.words).toBe(
      'The certificate goes back to root, which is no known authority.',
    )
  })

  test('it names a certificate that a client should have', async () => {
    const { full, key, root } = await chainFor('localhost', 20)
    const [cert, pem, ca] = await Promise.all([readFile(full), readFile(key), readFile(root)])
    const server = createTlsServer({ cert, key: pem, ca, requestCert: true, rejectUnauthorized: true })
    server.on('tlsClientError', () => {})
    const found = await examinedByProcess(`https://localhost:${await listening(server)}`, {
      NODE_EXTRA_CA_CERTS: root,
    })
    expectCauses(found, 'client-certificate')
  })

  test('it names HTTP/2 that is offered in front of a server without it', async () => {
    const { full, key, root } = await chainFor('localhost', 20)
    const [cert, pem] = await Promise.all([readFile(full), readFile(key)])
    const port = await freePort()
    const server = await startServerHere('--base-url', `https://localhost:${port}`)
    const front = createTlsFront({ cert, key: pem, ALPNProtocols: ['h2', 'http/1.1'] }, (near) => {
      const far = connect(server.port, '127.0.0.1')
      near.on('error', () => far.resetAndDestroy()).on('close', () => far.destroy())
      far.on('error', () => near.destroy()).on('close', () => near.destroy())
      near.pipe(far).pipe(near)
    })
    await listening(front, '127.0.0.1', port)
    const found = await examinedByProcess(`https://localhost:${port}`, { NODE_EXTRA_CA_CERTS: root })
    expect(found.problems, found.report).toContain('http2-broken')
    expect(found.mends.join('\n')).toContain('alpn http/1.1')
  })

  test('it names HTTP/2 by which an upload of unknown length is refused', async () => {
    const { full, key, root } = await chainFor('localhost', 20)
    const [cert, pem] = await Promise.all([readFile(full), readFile(key)])
    const port = await freePort()
    const server = await startServerHere('--base-url', `https://localhost:${port}`)
    const front = createHttp2Front({ cert, key: pem, allowHTTP1: true }, (incoming, response) => {
      const fields = Object.entries(incoming.headers).filter(([name]) => !name.startsWith(':'))
      const headers = {
        ...Object.fromEntries(fields),
        host: `localhost:${port}`,
        'x-forwarded-proto': 'https',
      }
      const asking = request(
        { port: server.port, method: incoming.method, path: incoming.url, headers, agent: false },
        (answer) => {
          const { connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...own } = answer.headers
          response.writeHead(answer.statusCode ?? 502, own)
          answer.pipe(response)
          answer.on('error', () => incoming.socket.destroy())
        },
      )
      asking.on('error', () => {}).flushHeaders()
      incoming.pipe(asking)
      incoming.on('error', () => {})
      response.on('close', () => asking.destroy())
    })
    front.on('checkContinue', (incoming, response) => {
      response.writeContinue()
      front.emit('request', incoming, response)
    })
    await listening(front, '127.0.0.1', port)
    const found = await examinedByProcess(`https://localhost:${port}`, { NODE_EXTRA_CA_CERTS: root })
    expect(found.problems, found.report).toContain('http2-lengths')
    expect(found.mends.join('\n')).toContain('you: Until it is mended: curl --http1.1')
  })

  test('it names a certificate that has expired, and one that soon will', async () => {
    const expired = await chainFor('localhost', -1)
    expectCauses(await examinedByTls(expired.full, expired.key, expired.root), 'tls-expired')
    const soon = await chainFor('localhost', 3)
    expectCauses(await examinedByTls(soon.full, soon.key, soon.root), 'tls-soon')
  })

  test('it names a certificate for another name', async () => {
    const { full, key, root } = await chainFor('send.example.org', 20)
    const found = await examinedByTls(full, key, root)
    expectCauses(found, 'tls-name')
    expect(lineOf(found, 'TLS')?.words).toContain('is for send.example.org, not for localhost')
  })

  test('it names a certificate that no authority signed', async () => {
    const { path, keyPath } = await certificate()
    const { port } = await startServerHere('--tls-cert', path, '--tls-key', keyPath)
    expectCauses(await examined(`https://localhost:${port}`), 'tls-self-signed')
  })

  test('it names a version of TLS that is too old', async () => {
    const { key, cert } = await certificate('/CN=localhost', 'rsa')
    const options = {
      key,
      cert,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL:@SECLEVEL=0',
    } as const
    const port = await listening(createTlsServer(options, (_incoming, response) => void response.end()))
    const found = await examined(`https://localhost:${port}`)
    expectCauses(found, 'tls-old')
    expect(lineOf(found, 'TLS')?.words).toBe('The server speaks TLSv1.1.')
  })

  test('it names https in front of a plain port, and http in front of TLS', async () => {
    const { port } = await startServerHere()
    expectCauses(await examined(`https://127.0.0.1:${port}`), 'tls-plain')
    const { path, keyPath } = await certificate()
    const secure = await startServerHere('--tls-cert', path, '--tls-key', keyPath)
    expectCauses(await examined(`http://127.0.0.1:${secure.port}`), 'tls-wanted')
  })

  test('it names links of http behind TLS', async () => {
    const { full, key, root } = await chainFor('localhost', 20)
    const { port } = await startServerHere()
    const [certPem, keyPem] = await Promise.all([readFile(full), readFile(key)])
    const server = createTlsServer({ cert: certPem, key: keyPem }, (incoming, response) => {
      const { method, url, headers } = incoming
      const asking = request({ port, method, path: url, headers, agent: false }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
        response.flushHeaders()
        answer.pipe(response)
        answer.on('error', () => response.destroy())
      })
      asking.on('error', () => response.destroy())
      asking.flushHeaders()
      incoming.pipe(asking)
      incoming.on('error', () => asking.destroy())
      response.on('close', () => asking.destroy())
      response.on('error', () => {})
    })
    server.on('checkContinue', (incoming, response) => {
      response.writeContinue()
      server.emit('request', incoming, response)
    })
    const found = await examinedByProcess(`https://localhost:${await listening(server)}`, {
      NODE_EXTRA_CA_CERTS: root,
    })
    expectCauses(found, 'link-http')
    expect(found.mends.join('\n')).toMatch(/ess-server: --base-url https:\/\/localhost:\d+ /)
  })
})

test('idle connections that are cut are told by --long, and those that heartbeats keep are not', async () => {
  const { port } = await startServerHere('--heartbeat', '1', '--reservations')
  const idle = async (url: string) => {
    const lines: Line[] = []
    const { signal } = new AbortController()
    for await (const line of examine(url, { signal, longMs: 2_500 })) lines.push(line)
    return lines.find(({ check }) => check === 'idle')
  }
  expect(await idle(`http://127.0.0.1:${port}`)).toMatchObject({
    verdict: 'ok',
    words: expect.stringMatching(/ a waiting sender and a waiting receiver are still connected\.$/),
  })
  const brief = await startServerHere('--ttl', '1', '--reservations')
  expect(await idle(brief.url)).toMatchObject({
    verdict: 'note',
    words: 'The links expired after 1 s, and nothing was cut before that.',
  })
  const cutting = await scriptedProxy(port, (_incoming, response) => {
    response.socket?.setTimeout(1_500, () => response.socket?.destroy())
    return false
  })
  expect(await idle(cutting)).toMatchObject({
    verdict: 'problem',
    cause: 'idle-cut',
    words: expect.stringMatching(/^A waiting receiver was cut after 2 s\.$/),
  })
})

test('the doctor leaves nothing behind: every transfer of its own has ended', async () => {
  const server = await startServerHere('--reservations')
  expectCauses(await examined(server.url))
  const count = (words: string) => server.stderr().split(`INFO: ${words} `).length - 1
  await until('every transfer has ended', () => count('ended') === count('opened') + count('reserved'))
  expect(count('ended')).toBeGreaterThan(5)
  expect(server.stderr().match(/"request":/g)?.length).toBeLessThan(80)
})

test('the report is in words, one line a check, and ends with what it comes to', async () => {
  const { url } = await startServerHere()
  const good = ess(['doctor', url])
  expect(await good.status).toBe(0)
  expect(good.stdout()).toMatch(
    /^ok: proxy: .*\n(?:(?:ok|note|skipped): .+\n){19}All is well\. Only --long sees .*\.\n$/,
  )
  const bad = ess(['doctor', await answering(200, {}, 'x')])
  expect(await bad.status).toBe(6)
  expect(bad.stdout()).toMatch(
    /^problem: server: \/health was answered .* \[not-ess\]\n {2}Another program answers at this address\.\n {2}Fix: Correct /m,
  )
  expect(bad.stdout()).toMatch(/\n1 problem; \d+ checks had to be skipped\.\n$/)
  expect(good.stdout()).toContain("The server's refusals arrive in its own words.\n")
  const quiet = ess(['doctor', '-q'], { env: { ESS_SERVER: url } })
  expect({ status: await quiet.status, stdout: quiet.stdout() }).toEqual({ status: 0, stdout: '' })
  expect(await ess(['doctor', 'a', 'b']).status).toBe(2)
})

test('a proxy of the environment is named, and all is seen through it', async () => {
  const server = await startServerHere()
  const tunnels = createServer((_incoming, response) => response.writeHead(405).end())
  tunnels.on('connect', (incoming, socket) => {
    const [, port] = (incoming.url ?? '').split(':')
    const upstream = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(upstream).pipe(socket)
    })
    upstream.on('error', () => socket.destroy()).on('close', () => socket.destroy())
    socket.on('error', () => upstream.resetAndDestroy()).on('close', () => upstream.destroy())
  })
  const proxy = `http://127.0.0.1:${await listening(tunnels)}`
  const found = await examinedByProcess(`http://send.invalid:${server.port}`, { http_proxy: proxy })
  expectCauses(found)
  expect(lineOf(found, 'proxy')).toMatchObject({ verdict: 'note', words: expect.stringContaining(proxy) })
  const dead = `http://127.0.0.1:${await freePort()}`
  expectCauses(await examinedByProcess(server.url, { http_proxy: dead }), 'client-proxy')
})

test('an interruption ends it at once, with the status of an interruption', async () => {
  const port = await listening(createTcpServer((socket) => socket.on('error', () => {})))
  const run = ess(['doctor', `http://127.0.0.1:${port}`])
  await run.untilStdout(/^ok: TLS/m)
  run.interrupt()
  expect(await run.status).toBe(130)
})

test('on a slow line, it waits longer for an answer', async () => {
  const { port } = await startServerHere()
  let probes = 0
  const url = await scriptedProxy(
    port,
    () => false,
    ({ url: path, headers }, answer, response) => {
      // The first probe, for a token, takes longer than one on a line without delay may.
      const delayMs = path === '/health' ? 300 : headers['content-range'] && probes++ === 0 ? 2_700 : 0
      setTimeout(() => {
        response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
        response.flushHeaders()
        answer.pipe(response)
        answer.on('error', () => response.destroy())
      }, delayMs)
      return true
    },
  )
  const found = await examined(url)
  expectCauses(found)
  expect(lineOf(found, 'token')?.words).toBe('None is asked for.')
})

test('an interruption while a check waits ends it at once, too', async () => {
  let downloads = 0
  const { port } = await startServerHere('--reservations', '--early-response=false')
  const url = await scriptedProxy(port, ({ method, url: path = '' }, response) => {
    if (method !== 'GET' || path === '/health') return false
    if (!path.endsWith('/events')) downloads++
    // The status stream begins, and says nothing.
    response.writeHead(200, { 'content-type': 'application/x-ndjson' }).flushHeaders()
    return true
  })
  const run = ess(['doctor', url])
  await until('two downloads are asked for', () => downloads === 2)
  run.interrupt()
  expect(await run.status).toBe(130)
  expect(run.stderr()).toContain('Stopped before the last check.')
})

test('a token beside a password is a mistake of the command line', async () => {
  const run = ess(['doctor', 'http://user:secret@127.0.0.1:9'], { env: { ESS_TOKEN: 'a-token' } })
  expect(await run.status).toBe(2)
  expect(run.stdout() + run.stderr()).not.toContain('secret')
})
