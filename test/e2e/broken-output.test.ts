import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { Outlet } from '../../server/ops/outlet.js'
import { childEnv } from '../helpers/child-env.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { type Program, run } from '../helpers/run.js'
import { ESS_SERVER, NO_CLIENT_LIMITS } from '../helpers/start-server.js'
import { tempDir } from '../helpers/temp-dir.js'
import { until } from '../helpers/within.js'
import { openReceiver, openSender, type RawSender } from '../server/serve.js'

beforeEach((context) => needs(context, 'bash', 'mkfifo', 'tee'))

/** Runs a line of bash, in which "$@" is `ess-server --port 0`. */
async function shell(line: string, ...flags: readonly string[]): Promise<Program> {
  const server = [process.execPath, ESS_SERVER, '--port', '0', ...flags]
  return await run(line, 'bash', ['-c', line, 'bash', ...server])
}

async function portOf(program: Program): Promise<number> {
  return Number((await program.untilStdout(/^listening on http:\/\/127\.0\.0\.1:(\d+)\n/))[1])
}

/** A sender whose receiver has half of its file, and what sends and checks the rest. */
async function halfway(port: number) {
  const sender = await openSender(port, { length: 10 })
  const receiver = await openReceiver(port, `/${sender.id}`)
  await sender.until(/"event":"connected"/)
  await sender.write('01234')
  await receiver.until(/01234$/)
  return { sender, finish: () => finish(sender, receiver) }
}

async function finish(sender: RawSender, receiver: Awaited<ReturnType<typeof openReceiver>>): Promise<void> {
  await sender.write('56789')
  expect(await receiver.ending()).toBe('fin')
  expect(receiver.text()).toMatch(/0123456789$/)
  receiver.end()
  await sender.until(/"event":"delivered"/)
}

async function lostLines(admin: string): Promise<number> {
  const { body } = await exchange(Number(new URL(admin).port), requestHead('GET /metrics'))
  return Number(/^ess_log_lines_lost_total (\d+)$/m.exec(body)?.[1])
}

describe('a server whose log', () => {
  test.each([
    ['has lost its reader', '"$@" 2> >(exec true)'],
    ['is on a full disk', '"$@" 2> /dev/full'],
  ])('%s goes on, counts what is lost, and drains as promised', async (_what, line) => {
    const server = await shell(`exec ${line}`, '--admin', '127.0.0.1:0')
    const port = await portOf(server)
    const [, admin = ''] = await server.untilStdout(/^admin on (\S+)\n/m)
    const { finish } = await halfway(port)
    const lost = await lostLines(admin)
    expect(lost).toBeGreaterThanOrEqual(2)
    server.kill('SIGTERM')
    await until('the server stops', async () =>
      (await exchange(port, requestHead('GET /health'))).body.includes('stopping'),
    )
    await finish()
    expect(await server.ended()).toMatchObject({ code: 0, signal: null })
  })

  test('gets a new reader says how many lines are missing', async () => {
    const fifo = join(await tempDir(), 'log')
    await (await run('mkfifo', 'mkfifo', [fifo])).ended()
    const first = await run('the first reader', 'cat', [fifo])
    const server = await shell(`exec "$@" 2> "${fifo}"`, '--log', 'json')
    const port = await portOf(server)
    const miss = () => exchange(port, requestHead('GET /nothing-here'))
    await first.untilStdout(/relay by/)
    first.kill('SIGKILL')
    await first.ended()
    await miss()
    await miss()
    const second = await run('the second reader', 'cat', [fifo])
    // It may not have opened it yet.
    await until('a line is read', async () => {
      await miss()
      return second.stdout().includes('not-found')
    })
    const [, lost] = await second.untilStdout(/"lost":(\d+),"msg":"lines of this log could not be written"/)
    expect(Number(lost)).toBeGreaterThanOrEqual(2)
    const others = second
      .stdout()
      .split('\n')
      .filter((line) => !line.startsWith('{'))
    // The one that ends what a full disk might have cut, and the one after the last line.
    expect(others).toEqual(['', ''])
    server.kill('SIGTERM')
    expect(await server.ended()).toMatchObject({ code: 0 })
  })

  test('is not read any more does not keep it from stopping', async () => {
    const server = await shell(
      'exec "$@" 2> >(trap "" TERM; exec sleep 20 > /dev/null 2>&1)',
      ...NO_CLIENT_LIMITS,
    )
    const port = await portOf(server)
    // As many as one may ask ahead, of each connection: more lines than a pipe takes.
    const peers = await Promise.all(Array.from({ length: 40 }, () => connectRaw(port)))
    for (const peer of peers)
      await peer.write('GET /nothing-here HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(33))
    for (const peer of peers)
      await until('all are refused', () => peer.text().split('HTTP/1.1 4').length > 33)
    for (const peer of peers) peer.reset()
    server.kill('SIGTERM')
    expect(await server.ended()).toMatchObject({ code: 0, signal: null })
  })
})

test('Ctrl-S in its terminal stops the words of a server, and nothing else', async (context) => {
  needs(context, 'script')
  const command = `${process.execPath} ${ESS_SERVER} --port 0`
  const terminal = await run('a terminal', 'script', ['-qfc', command, '/dev/null'], { stdin: 'open' })
  const port = Number((await terminal.untilStdout(/^listening on http:\/\/127\.0\.0\.1:(\d+)\r?\n/m))[1])
  const miss = (path: string) => exchange(port, requestHead(`${path} /nothing-here`))
  terminal.stdin.write('\x13')
  // In case that it stops a moment later.
  await miss('GET')
  expect(await miss('PATCH')).toMatchObject({ status: 405 })
  expect(await miss('PATCH')).toMatchObject({ status: 405 })
  terminal.stdin.write('\x11')
  await terminal.untilStdout(/PATCH.*PATCH/s)
  terminal.stdin.write('\x03')
  expect(await terminal.ended()).toMatchObject({ code: 0 })
})

/** Reads nothing until it is told to, and then hands on all of it. */
const READER = `
  const stay = setInterval(() => {}, 1000)
  process.on('SIGUSR2', () => process.stdin.pipe(process.stdout))
  console.log('ready')
`

test('what a stopped reader leaves does not grow in memory, and is told when it reads on', async () => {
  const reader = spawn(process.execPath, ['-e', READER], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: childEnv(),
  })
  onTestFinished(() => void reader.kill('SIGKILL'))
  let read = ''
  reader.stdout.on('data', (piece: Buffer) => {
    read += piece
  })
  await until('the reader is there', () => read.includes('ready'))
  const outlet = new Outlet(reader.stdin)
  const told: number[] = []
  outlet.onMended((lost) => told.push(lost))
  const line = `${'x'.repeat(999)}\n`
  for (let count = 0; count < 2000; count++) outlet.write(line)
  expect(reader.stdin.writableLength).toBeLessThan(300_000)
  expect(outlet.lost).toBeGreaterThan(1000)
  reader.kill('SIGUSR2')
  await until('the reader has what waited', () => told.length > 0)
  expect(told).toEqual([outlet.lost])
  await until('the reader has all of it', () => read.length >= 1000 * (2000 - outlet.lost))
})

test('Ctrl-C on `ess-server |& tee log` drains, though tee dies of it first', async () => {
  const folder = await tempDir()
  const log = join(folder, 'log')
  // A terminal sends SIGINT to all of its foreground's processes; bash waits for them.
  const script = `trap : INT; "$@" |& tee "${log}"; echo "\${PIPESTATUS[@]}" > "${folder}/statuses"`
  const child = spawn('bash', ['-c', script, 'bash', process.execPath, ESS_SERVER, '--port', '0'], {
    detached: true,
    stdio: 'ignore',
    env: childEnv(),
  })
  const group = -(child.pid ?? 0)
  onTestFinished(() => {
    // Gone already, where all went well.
    if (child.exitCode === null) process.kill(group, 'SIGKILL')
  })
  const listening = /^listening on http:\/\/127\.0\.0\.1:(\d+)$/m
  const text = () => readFile(log, 'utf8').catch(() => '')
  await until('the server listens', async () => listening.test(await text()))
  const port = Number(listening.exec(await text())?.[1])
  const { finish } = await halfway(port)
  process.kill(group, 'SIGINT')
  await until('the server stops', async () =>
    (await exchange(port, requestHead('GET /health'))).body.includes('stopping'),
  )
  await finish()
  await until('all have ended', () => child.exitCode !== null)
  // tee by its signal, the server as after any drain.
  expect(await readFile(join(folder, 'statuses'), 'utf8')).toBe('0 130\n')
})

describe('stdout', () => {
  test('on a full disk is told of in the log, and ends nothing', async () => {
    const server = await shell('exec "$@" > /dev/full')
    await server.untilStderr(/standard output is gone \(ENOSPC\); the server goes on/)
    server.kill('SIGTERM')
    expect(await server.ended()).toMatchObject({ code: 0, signal: null })
  })

  test.each(['--help', '--version', '--check'])('on a full disk makes %s fail', async (flag) => {
    const asked = await shell('exec "$@" > /dev/full', flag)
    const { code, stderr } = await asked.ended()
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'ess-server: Cannot write to standard output (ENOSPC).\n',
    })
  })

  test('whose reader has left is no failure of --help', async () => {
    const asked = await shell('set -o pipefail; "$@" | true', '--help')
    expect(await asked.ended()).toMatchObject({ code: 0, stderr: '' })
  })
})
