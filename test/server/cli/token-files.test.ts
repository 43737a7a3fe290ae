import { createHash } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseTokens } from '../../../server/cli/token-files.js'
import { tokenIn } from '../../../server/request/tokens.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw } from '../../helpers/raw-peer.js'
import { startServer } from '../../helpers/start-server.js'
import { type ServerHere, startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { BROWSER } from '../../helpers/visitors.js'
import { until } from '../../helpers/within.js'
import { openSender } from '../serve.js'

const ONE = 'one-token-of-a-sender'
const TWO = 'another-token-of-a-sender'
const UNKNOWN = 'abcdefghijkl'

const sha256 = (token: string) => createHash('sha256').update(token).digest('hex')
const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

describe('a file of tokens', () => {
  test.each([
    ['plain', `${ONE}\n`],
    ['hashed, as printf %s TOKEN | sha256sum does', `sha256:${sha256(ONE)}\n`],
    ['hashed, in capitals', `SHA256:${sha256(ONE).toUpperCase()}`],
    ['with a comment, an empty line and words behind it', `# who\n\n  ${ONE}  anna, until May\n`],
    ['as Windows writes it', `\ufeff${ONE}\r\n`],
  ])('may have them %s', (_how, text) => {
    expect(parseTokens(text, 'FILE').map((digest) => digest.toString('hex'))).toEqual([sha256(ONE)])
  })

  test.each([
    ['', 'There is no token in FILE.'],
    ['# nobody\n\n', 'There is no token in FILE.'],
    [`${ONE}\nshort-secret-15`, /^Line 2 of FILE is too short: a token has at least 16 characters\./],
    ['sha256:0123', 'Line 1 of FILE must be "sha256:" and 64 hexadecimal digits.'],
    ['müller-müller-müller', 'Line 1 of FILE must be printable ASCII.'],
  ])('%j is refused without its words being shown', (text, message) => {
    const reading = () => parseTokens(text, 'FILE')
    expect(reading).toThrow(message)
    expect(reading).not.toThrow(/short-secret|0123|müller/)
  })
})

test.each([
  [`Bearer ${ONE}`, ONE],
  [`bEaReR   ${ONE} `, ONE],
  [basic('', ONE), ONE],
  [basic('anna', ONE), ONE],
  [basic('anna', `${ONE}:more`), `${ONE}:more`],
  [basic('anna', ONE).replace('Basic', 'BASIC'), ONE],
  [basic(ONE, ''), undefined],
  [`Basic ${Buffer.from(ONE).toString('base64')}`, undefined],
  ['Basic', undefined],
  ['Bearer', undefined],
  [ONE, undefined],
  [`Digest ${ONE}`, undefined],
  [`Bearer ${ONE} ${TWO}`, undefined],
  ['', undefined],
  [undefined, undefined],
])('in the Authorization %j the token is %j', (authorization, token) => {
  expect(tokenIn(authorization)).toBe(token)
})

async function statusOf(
  server: Pick<ServerHere, 'port'>,
  token: string,
  target = 'POST /?ttl=0',
): Promise<number> {
  // What may not send is refused first; what may, for its ttl.
  const headers = { 'Content-Length': '1', Authorization: `Bearer ${token}` }
  return (await exchange(server.port, requestHead(target, headers))).status
}

async function tokenFile(text: string, mode = 0o600): Promise<string> {
  const file = join(await tempDir(), 'tokens')
  await writeFile(file, text, { mode })
  return file
}

describe('ess-server --send-tokens', () => {
  test.each([
    ['a Bearer token', { Authorization: `Bearer ${ONE}` }],
    ['a password', { Authorization: basic('anybody', TWO) }],
  ])('takes %s, and the link needs no token', async (_what, headers) => {
    const server = await startServerHere('--send-tokens', await tokenFile(`${ONE}\nsha256:${sha256(TWO)}\n`))
    const sender = await openSender(server.port, { length: 5, headers })
    const receiving = exchange(server.port, requestHead(`GET /${sender.id}`))
    await sender.until(/"connected"/)
    await sender.write('hello')
    expect(await receiving).toMatchObject({ status: 200, body: 'hello' })
  })

  test('refuses in the same words without a token and with a wrong one, before any byte and before the 100', async () => {
    const server = await startServerHere('--send-tokens', await tokenFile(ONE))
    const answers = []
    for (const authorization of [undefined, `Bearer ${ONE}x`, basic('', TWO), `Bearer ${ONE.slice(1)}`]) {
      const peer = await connectRaw(server.port)
      const headers = { 'Content-Length': '5', Expect: '100-continue' }
      await peer.write(
        requestHead('PUT /notes.txt', { ...headers, ...(authorization && { Authorization: authorization }) }),
      )
      await peer.ending()
      answers.push(peer.text().replace(/^Date: .*\r\n/m, ''))
    }
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toMatch(/^HTTP\/1\.1 401 /)
    expect(answers[0]).toContain('\r\nWWW-Authenticate: Basic realm="ESS", charset="UTF-8"\r\n')
    expect(answers[0]).toContain('\r\nWWW-Authenticate: Bearer realm="ESS"\r\n')
    expect(answers[0]).toMatch(
      /\r\n\r\nYou need a valid token to send .*ESS_TOKEN.* -u :TOKEN\. \[unauthorized\]\n$/,
    )
  })

  test('leaves the usage, the health and a preflight open, which allows Authorization then', async () => {
    const tokens = await tokenFile(ONE)
    const server = await startServerHere('--send-tokens', tokens, '--receive-tokens', tokens)
    for (const target of ['GET /', 'GET /health'])
      expect((await exchange(server.port, requestHead(target))).status).toBe(200)
    const preflight = await exchange(server.port, requestHead('OPTIONS /', { Origin: 'https://a.example' }))
    expect(preflight.status).toBe(204)
    expect(preflight.headers['access-control-allow-headers']).toMatch(/, Authorization$/)
  })

  test('lets an upload resource be used with its own token alone', async () => {
    const server = await startServerHere('--reservations', '--send-tokens', await tokenFile(ONE))
    expect((await exchange(server.port, requestHead('POST /reserve'))).status).toBe(401)
    const headers = { Authorization: `Bearer ${ONE}`, Accept: 'application/json' }
    const { body } = await exchange(server.port, requestHead('POST /reserve', headers))
    const { upload } = JSON.parse(body) as Record<string, string> // A reservation, whose members are text.
    const place = new URL(upload ?? '').pathname
    expect((await exchange(server.port, requestHead(`DELETE ${place}`))).status).toBe(204)
  })

  test('reads the file again when it is written, and when it is replaced', async () => {
    const tokens = await tokenFile(ONE)
    const server = await startServerHere('--send-tokens', tokens)
    expect([await statusOf(server, ONE), await statusOf(server, TWO)]).toEqual([400, 401])
    await writeFile(tokens, TWO)
    await until('the new token is taken', async () => (await statusOf(server, TWO)) === 400)
    expect(await statusOf(server, ONE)).toBe(401)
    await writeFile(`${tokens}.new`, `${ONE}\n`)
    await rename(`${tokens}.new`, tokens)
    await until('the first one is back', async () => (await statusOf(server, ONE)) === 400)
    expect(await statusOf(server, TWO)).toBe(401)
  })

  test('reads the file again on SIGHUP, and keeps the old tokens where the new file is of no use', async () => {
    const tokens = await tokenFile(ONE)
    const server = await startServer('--send-tokens', tokens)
    for (const text of ['', 'short', undefined]) {
      await (text === undefined ? rm(tokens) : writeFile(tokens, text))
      const kept = () => server.stderr().match(/the old tokens stay/g)?.length ?? 0
      const before = kept()
      server.signal('SIGHUP')
      await until('it says that it keeps them', () => kept() > before)
      expect(await statusOf(server, ONE)).toBe(400)
    }
    await writeFile(tokens, TWO)
    server.signal('SIGHUP')
    await until('the new token is taken', async () => (await statusOf(server, TWO)) === 400)
  })

  test.each(['text', 'json'])('has neither token nor Authorization in its log as %s', async (format) => {
    const tokens = await tokenFile(`${ONE} anna\n`, 0o644)
    const server = await startServer('--send-tokens', tokens, '--receive-tokens', tokens, '--log', format)
    await openSender(server.port, { length: 5, headers: { Authorization: basic('anna', ONE) } })
    await statusOf(server, TWO)
    await statusOf(server, TWO, `GET /${UNKNOWN}`)
    await statusOf(server, ONE, `GET /${UNKNOWN}`)
    server.signal('SIGHUP')
    await until('it has read again', () => server.stderr().includes('read again'))
    await server.stop()
    const log = server.stderr()
    expect(log).toContain('unauthorized')
    // Said once when it starts, and again when it has read again.
    expect(log).toContain('every user of this machine can read')
    for (const secret of [ONE, TWO, sha256(ONE), 'anna', basic('anna', ONE).slice(6)])
      expect(log).not.toContain(secret)
    expect(log).not.toMatch(/authorization|bearer|basic/i)
  })
})

test('ess-server --receive-tokens wants one for a link, its head, its button and its page', async () => {
  const server = await startServerHere('--receive-tokens', await tokenFile(ONE))
  const sender = await openSender(server.port, { length: 0 })
  const ask = (target: string, headers = {}) => exchange(server.port, requestHead(target, headers))
  for (const method of ['GET', 'HEAD', 'POST'])
    expect((await ask(`${method} /${sender.id}`)).status).toBe(401)
  expect((await ask(`GET /${sender.id}`, BROWSER)).status).toBe(401)
  // Whether there is such a link is nobody's business.
  expect((await ask(`GET /${UNKNOWN}`)).status).toBe(401)
  const Authorization = basic('', ONE)
  expect(await ask(`GET /${sender.id}`, { ...BROWSER, Authorization })).toMatchObject({
    status: 406,
    body: expect.stringContaining('<button>'),
  })
  expect((await ask(`GET /${sender.id}`, { Authorization })).status).toBe(200)
})
