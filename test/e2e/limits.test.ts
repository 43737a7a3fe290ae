import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { PROBLEMS } from '../../shared/index.js'
import { bytesOf, sha256OfFile, writeFileOf } from '../helpers/bytes.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import {
  CURL_HTTP_ERROR,
  CURL_PARTIAL_FILE,
  connectReceiver,
  expectCutOff,
  expectDelivered,
  expectReceived,
  expectRefused,
  expectSenderFailed,
  PAIRS,
  sparseFile,
  spawnSender,
  startReceiver,
  startSender,
  TOOLS,
  untilReceiving,
} from '../helpers/peers.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { runCurl } from '../helpers/run-curl.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS } from '../helpers/within.js'

const ENDLESS = 8 * 1024 ** 3
const LIMIT = 100_000

beforeEach((context) => needs(context, 'curl'))

async function fileOf(size: number): Promise<{ path: string; sha256: string }> {
  const path = join(await tempDir(), 'file')
  return { path, sha256: await writeFileOf(path, size) }
}

describe('ttl', () => {
  test.each(TOOLS)('a socket without a receiver expires: %s is told', async (tool) => {
    const server = await startServerHere('--ttl', '1')
    const sender = await startSender(tool, server, 'held')
    await expectSenderFailed(sender, 'expired')
    await expectRefused(await startReceiver('curl', sender.url), 'gone')
    await expectRefused(await startReceiver('ess', sender.url), 'gone')
  })

  test('curl reads why in the text form, below a URL that is still the first line', async () => {
    const server = await startServerHere()
    const sender = await runCurl(['--data-binary', 'hello', `${server.url}/?ttl=1`])
    const { code, stdout } = await sender.ended()
    expect(stdout.toString()).toMatch(/^http\S+\n# waiting for .*for 1 s\n(# .*\n)*# failed: .+\n$/)
    expect(code).toBe(CURL_PARTIAL_FILE)
  })

  test('`ess send --ttl` shortens it', async () => {
    const server = await startServerHere()
    await expectSenderFailed(await startSender('ess', server, 'held', ['--ttl', '1']), 'expired')
  })

  test('a curl that has filled every buffer is told too', async () => {
    const server = await startServerHere('--ttl', '1', '--max-upload-bytes', '0')
    const sender = await startSender('curl', server, { file: await sparseFile(ENDLESS) })
    await expectSenderFailed(sender, 'expired')
  })

  test('a transfer that has begun outlives it', async () => {
    const server = await startServerHere('--ttl', '1')
    const sender = await startSender('curl', server, 'held')
    const receiver = await connectReceiver('curl', sender)
    sender.stdin.write(bytesOf(1000))
    // A second socket, opened later: when it has expired, the first one would have, too.
    await expectSenderFailed(await startSender('curl', server, 'held'), 'expired')
    sender.stdin.end(bytesOf(1000))
    await expectReceived(receiver)
    await expectDelivered(sender, 2000)
  })
})

describe('a limit on the size', () => {
  const FLAGS = ['--max-upload-bytes', String(LIMIT)]

  test.each(PAIRS)('exactly the limit passes from $sender to $receiver', async (pair) => {
    const { path, sha256 } = await fileOf(LIMIT)
    const server = await startServerHere(...FLAGS)
    for (const source of [{ file: path }, { pipe: path }]) {
      const sender = await startSender(pair.sender, server, source)
      const receiver = await startReceiver(pair.receiver, sender.url)
      await expectReceived(receiver)
      await expectDelivered(sender, LIMIT)
      expect(await sha256OfFile(receiver.path)).toBe(sha256)
    }
  })

  test.each(TOOLS)('one byte more, declared, is refused before %s has a URL', async (tool) => {
    const server = await startServerHere(...FLAGS)
    const sender = await spawnSender(tool, server, { file: (await fileOf(LIMIT + 1)).path })
    const { code, stdout, stderr } = await sender.ended()
    expect(code).toBe(tool === 'curl' ? CURL_HTTP_ERROR : PROBLEMS['too-large'].exit)
    expect(stdout.toString()).not.toContain(`${server.url}/`)
    expect(`${stdout}${stderr}`).toMatch(/413|too-large/)
  })

  test('one byte more, declared, costs no byte: the 413 comes without a 100', async () => {
    const server = await startServerHere(...FLAGS)
    const declared = { 'Content-Length': String(LIMIT + 1), Expect: '100-continue' }
    const answer = await exchange(server.port, requestHead('POST /', declared))
    expect(answer).toMatchObject({ status: 413, headers: { connection: 'close' } })
    expect(answer.body).toMatch(/ \[too-large\]\n$/)
  })

  test.each(PAIRS)('one byte more, found out midway, fails $sender and $receiver', async (pair) => {
    const { path } = await fileOf(LIMIT + 1)
    const server = await startServerHere(...FLAGS)
    const sender = await startSender(pair.sender, server, { pipe: path })
    const receiver = await startReceiver(pair.receiver, sender.url)
    await expectCutOff(receiver)
    await expectSenderFailed(sender, 'too-large')
  })

  test.each(PAIRS)('far more, found out midway, fails $sender and $receiver', async (pair) => {
    const server = await startServerHere('--max-upload-bytes', '1MiB')
    const sender = await startSender(pair.sender, server, { pipe: await sparseFile(ENDLESS) })
    const receiver = await startReceiver(pair.receiver, sender.url)
    await expectCutOff(receiver)
    await expectSenderFailed(sender, 'too-large')
  })
})

describe('a transfer in which nothing moves', () => {
  test.each(PAIRS)('because the sender stalls, fails $sender and $receiver', async (pair) => {
    const server = await startServerHere('--stall-timeout', '1')
    const sender = await startSender(pair.sender, server, 'held')
    const receiver = await connectReceiver(pair.receiver, sender)
    sender.stdin.write(bytesOf(100_000))
    await untilReceiving(receiver)
    await expectCutOff(receiver)
    await expectSenderFailed(sender, 'stalled')
  })

  test.each(PAIRS)('because the receiver stalls, fails $sender and $receiver', async (pair) => {
    const server = await startServerHere('--stall-timeout', '1', '--max-upload-bytes', '0')
    const sender = await startSender(pair.sender, server, { file: await sparseFile(ENDLESS) })
    const receiver = await connectReceiver(pair.receiver, sender)
    await untilReceiving(receiver)
    receiver.kill('SIGSTOP')
    await expectSenderFailed(sender, 'stalled')
    receiver.kill('SIGCONT')
    await expectCutOff(receiver)
  })

  test('because the sender never starts, is a problem for the receiver', async () => {
    const server = await startServerHere('--stall-timeout', '1')
    const sender = await startSender('curl', server, 'held')
    const receiver = await connectReceiver('curl', sender)
    await expectSenderFailed(sender, 'stalled')
    await expectRefused(receiver, 'stalled')
  })
})

describe('a cap on sockets', () => {
  test.each(TOOLS)('refuses %s politely, and takes it when there is room again', async (tool) => {
    const { path } = await fileOf(1000)
    const server = await startServerHere('--max-sockets', '1')
    const first = await startSender('curl', server, { file: path })

    const refused = await (await spawnSender(tool, server, { file: path })).ended()
    expect(refused.code).toBe(tool === 'curl' ? CURL_HTTP_ERROR : PROBLEMS['too-many-sockets'].exit)
    expect(refused.stdout.toString()).not.toContain(`${server.url}/`)

    await expectReceived(await startReceiver('curl', first.url))
    await expectDelivered(first, 1000)
    const second = await startSender(tool, server, { file: path })
    await expectReceived(await startReceiver('curl', second.url))
    await expectDelivered(second, 1000)
  })

  test('says 503 and when to come back', async () => {
    const server = await startServerHere('--max-sockets', '1')
    const first = await connectRaw(server.port)
    await first.write(requestHead('POST /', { 'Content-Length': '1' }))
    await first.until(/# waiting/, DEADLINE_MS)
    const answer = await exchange(server.port, requestHead('POST /', { 'Content-Length': '1' }))
    expect(answer).toMatchObject({
      status: 503,
      headers: { connection: 'close', 'retry-after': expect.stringMatching(/^[1-9]\d*$/) },
    })
    expect(answer.body).toMatch(/ \[too-many-sockets\]\n$/)
  })
})
