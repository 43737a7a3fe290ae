import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Interruptions } from '../../../client/cli/interruptions.js'
import { CONNECTION_LOST, RECEIVER_LOST, summary } from '../../../client/cli/screen.js'
import { type Look, openScreen } from '../../../client/cli/terminal.js'
import { needs } from '../../helpers/needs.js'
import type { Program } from '../../helpers/run.js'
import { essOnTerminal, runEss } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { startTcpProxy, type TcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { until } from '../../helpers/within.js'

const MIB = 1024 * 1024
const SIZE = 16 * MIB

describe('the last line', () => {
  test.each([
    [{ ms: 500, interruptions: 1 }, 'f, 60.0 MB, after 1 interruption.'],
    [{ ms: 4_700, interruptions: 2 }, 'f, 60.0 MB in 4.7 s, after 2 interruptions.'],
    [{ ms: 2_000, begun: 20_000_000 }, 'f, 60.0 MB, the last 40.0 MB in 2.0 s (20.0 MB/s).'],
    [
      { ms: 2_000, begun: 20_000_000, interruptions: 1 },
      'f, 60.0 MB, the last 40.0 MB in 2.0 s, after 1 interruption.',
    ],
  ])('says what was in its way: %o', (course, words) => {
    expect(summary('f', { bytes: 60_000_000, ...course })).toBe(words)
  })

  test('counts a loss once, however often it is told', () => {
    const interruptions = new Interruptions()
    for (const isLost of [true, true, false, false, true]) {
      if (isLost) interruptions.lost()
      else interruptions.resumed()
    }
    expect(interruptions.count).toBe(2)
  })
})

describe('the screen of an interruption', () => {
  async function screenOf(look: Look) {
    const stderr = Object.assign(new PassThrough(), { columns: 80 })
    let text = ''
    stderr.on('data', (chunk) => {
      text += chunk
    })
    const screen = await openScreen({ stderr, env: { NO_COLOR: '1' } }, look)
    onTestFinished(() => screen.clear())
    return { screen, text: () => text }
  }

  test('is drawn in the place of the bar, and the bar goes on where it was', async () => {
    const { screen, text } = await screenOf('drawn')
    screen.moving(100)
    screen.moved(50)
    screen.interrupted(CONNECTION_LOST, 118)
    expect(text()).toContain('Connection lost, trying again. 1 min 58 s left.\u001b[K')
    const before = text().length
    screen.resumed(50)
    expect(text().slice(before)).toContain('50%')
  })

  test('gives way to the wait for the receiver if that is what was interrupted', async () => {
    const { screen, text } = await screenOf('drawn')
    screen.waiting({ title: 'title', lines: ['line'], advice: 'advice' }, 600)
    screen.interrupted(CONNECTION_LOST, 20)
    const before = text().length
    screen.resumed(0)
    expect(text().slice(before)).toContain('Waiting for the receiver, 10 min left.')
  })

  test('is one line on a terminal that cannot be drawn on, however often it is told', async () => {
    const { screen, text } = await screenOf('plain')
    screen.moving(100)
    screen.interrupted(RECEIVER_LOST, 118)
    screen.interrupted(RECEIVER_LOST, 88)
    screen.resumed(50)
    screen.resumed(50)
    expect(text()).toBe(
      "The transfer has begun: 100 B.\nThe receiver's connection is lost; waiting for it, 1 min 58 s left.\nGoing on from 50 B.\n",
    )
  })

  test('is one line without one, however often it is told', async () => {
    const { screen, text } = await screenOf('terse')
    screen.interrupted(CONNECTION_LOST, 121)
    screen.interrupted(CONNECTION_LOST, 120)
    screen.resumed(0)
    screen.moving(100)
    for (const secondsLeft of [119, 118, 88]) screen.interrupted(CONNECTION_LOST, secondsLeft)
    screen.resumed(50)
    screen.resumed(50)
    expect(text()).toBe(
      'ess: Connection lost, trying again. 2 min left.\ness: Waiting for the receiver again.\ness: Connection lost, trying again. 1 min 58 s left.\ness: Going on from 50 B.\n',
    )
  })

  test('is none without one where the next try mends it', async () => {
    const { screen, text } = await screenOf('terse')
    screen.moving(100)
    screen.interrupted(CONNECTION_LOST, 118)
    screen.resumed(50)
    expect(text()).toBe('')
  })

  test('is none with --quiet', async () => {
    const { screen, text } = await screenOf('silent')
    screen.moving(100)
    screen.interrupted(CONNECTION_LOST, 118)
    screen.resumed(50)
    screen.goesOn(50, 'Going on from 50 B.')
    expect(text()).toBe('')
  })
})

async function proxyTo(port: number, bytesPerSecond: number): Promise<TcpProxy> {
  const proxy = await startTcpProxy(port)
  onTestFinished(() => proxy.close())
  await proxy.strike({ kind: 'throttle', bytesPerSecond })
  return proxy
}

async function film(): Promise<string> {
  const path = join(await tempDir(), 'film.mkv')
  await writeFile(path, randomBytes(SIZE))
  return path
}

test('both sides read of a cut, that it goes on, and how often that was', async (context) => {
  needs(context, 'script')
  const server = await startServerHere('--resume-within', '30')
  const path = await film()
  const [here, there] = [await tempDir(), await tempDir()]
  const sender = await essOnTerminal(here, ['send', path, '--server', server.url])
  await until(
    'the link is there',
    async () => (await readFile(join(here, 'out'), 'utf8').catch(() => '')) !== '',
  )
  const link = (await readFile(join(here, 'out'), 'utf8')).trim()
  const proxy = await proxyTo(server.port, 8 * MIB)
  const struck = proxy.arm({ kind: 'rst' }, 'down', 4 * MIB)
  const throughProxy = link.replace(`:${server.port}/`, `:${proxy.port}/`)
  const receiver = await essOnTerminal(there, ['get', throughProxy, '-o', 'copy'])
  await struck
  const lines = async (program: Program) => {
    const { code, stdout } = await program.ended()
    expect(code, stdout.toString()).toBe(0)
    return stdout.toString().replaceAll('\r', '')
  }
  expect(await lines(receiver)).toMatch(
    /^The transfer has begun: 16\.8 MB\.\nConnection lost, trying again\. 3 min left\.\nGoing on from \d\.\d MB\.\n(?:.*%.*\n)?Received copy, 16\.8 MB.*, after 1 interruption\.\n$/,
  )
  expect(await lines(sender)).toMatch(
    // It may come back before its loss is noticed.
    /The transfer has begun: 16\.8 MB\.\n(?:The receiver's connection is lost; waiting for it, 30 s left\.\nGoing on from \d\.\d MB\.\n)?(?:.*%.*\n)?Delivered film\.mkv, 16\.8 MB.*, after 1 interruption\.\n$/,
  )
  expect((await readFile(join(there, 'copy'))).equals(await readFile(path))).toBe(true)
})

test('a sender reads that its receiver is away, and serves it again', async (context) => {
  needs(context, 'script')
  const server = await startServerHere('--resume-within', '30')
  const path = await film()
  const here = await tempDir()
  const sender = await essOnTerminal(here, ['send', path, '--server', server.url])
  await sender.untilStdout(/Waiting for the receiver/)
  const link = (await readFile(join(here, 'out'), 'utf8')).trim()
  const proxy = await proxyTo(server.port, 4 * MIB)
  const throughProxy = link.replace(`:${server.port}/`, `:${proxy.port}/`)
  const first = await runEss(undefined, ['get', throughProxy, '-o', '-'])
  await first.untilStdout(/./s)
  first.kill('SIGKILL')
  await sender.untilStdout(/\nThe receiver's connection is lost; waiting for it, 30 s left\.\r?\n/)
  const second = await runEss(undefined, ['get', link, '-o', '-'])
  expect((await second.ended()).stdout.equals(await readFile(path))).toBe(true)
  expect((await sender.ended()).stdout.toString()).toMatch(
    /waiting for it, 30 s left\.\r?\nGoing on from 0 B\.\r?\nDelivered .*, after 1 interruption\.\r?\n$/,
  )
})

test('a link that loses its connection while it waits says that it waits again', async (context) => {
  needs(context, 'script')
  const server = await startServerHere('--resume-within', '30')
  const proxy = await proxyTo(server.port, 100 * MIB)
  const here = await tempDir()
  const sender = await essOnTerminal(here, [
    'send',
    await film(),
    '--server',
    `http://127.0.0.1:${proxy.port}`,
  ])
  await sender.untilStdout(/Waiting for the receiver, .* left\./)
  await proxy.strike({ kind: 'rst' })
  await sender.untilStdout(/Connection lost, trying again\. .* left\.\r?\nWaiting for the receiver again\./)
  const link = (await readFile(join(here, 'out'), 'utf8')).trim()
  const receiver = await runEss(undefined, ['get', link, '-o', '-'])
  expect((await receiver.ended()).stdout.length).toBe(SIZE)
  expect((await sender.ended()).stdout.toString()).toMatch(
    /The transfer has begun: 16\.8 MB\.\r?\n(?:.*\n)*Delivered .*, after 1 interruption\.\r?\n$/,
  )
})

describe('Ctrl-C tells the other side at once', () => {
  async function transfer(args: readonly string[], to: readonly string[], input?: string) {
    // Longer than any test.
    const server = await startServerHere('--resume-within', '600', '--reservations')
    const sender = await runEss(server.url, ['send', '--json', ...args], {
      ...(input !== undefined && { stdin: { file: input } }),
    })
    const [, id = ''] = await sender.untilStdout(/"id":"([^"]+)"/)
    const proxy = await proxyTo(server.port, 2 * MIB)
    const receiver = await runEss(`http://127.0.0.1:${proxy.port}`, ['get', id, ...to])
    await sender.untilStdout(/"progress","bytes":[1-9]/)
    return { sender, receiver, proxy }
  }

  test('behind a reservation', async () => {
    const { sender, receiver } = await transfer(['--reserve', await film()], ['-o', '-'])
    await receiver.untilStdout(/./s)
    sender.kill('SIGINT')
    expect((await sender.ended()).code).toBe(130)
    expect((await receiver.ended()).code).toBe(5)
  })

  test('from a pipe, and into one', async () => {
    const { sender, receiver } = await transfer([], ['-o', '-'], await film())
    await receiver.untilStdout(/./s)
    receiver.kill('SIGINT')
    expect((await receiver.ended()).code).toBe(130)
    const { code, stdout } = await sender.ended()
    expect(code).toBe(5)
    expect(stdout.toString()).toMatch(
      /"failed".*"detail":"The receiver stopped the download\. Send the file again for a new link\."/,
    )
  })

  test('at a sender that waits for its receiver', async () => {
    const { sender, receiver } = await transfer([await film()], ['-o', '-'])
    receiver.kill('SIGKILL')
    await sender.untilStdout(/"interrupted","side":"receiver"/)
    sender.kill('SIGINT')
    expect((await sender.ended()).code).toBe(130)
  })
})
