import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { childEnv } from '../../helpers/child-env.js'
import { rawServer } from '../../helpers/client-raw-server.js'
import { ID, openDownload, openUpload, tell } from '../../helpers/client-wire.js'
import { needs } from '../../helpers/needs.js'
import { type Ending, type Program, run } from '../../helpers/run.js'
import { ESS, runEss } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { until } from '../../helpers/within.js'

/** What a shell's `$?` is after each signal. */
const STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGQUIT: 131 } as const
const SIGNALS = Object.keys(STATUS) as (keyof typeof STATUS)[]

/** Long enough for cleaning up on a busy machine, and far shorter than anything that is waited for here. */
const END_MS = 8_000

/** A shell shows both of these as the same number. */
function shellStatus({ code, signal }: Ending): number | undefined {
  if (code !== null) return code
  return SIGNALS.includes(signal as never) ? STATUS[signal as keyof typeof STATUS] : undefined
}

async function expectEndedBy(program: Program, signal: keyof typeof STATUS): Promise<void> {
  program.kill(signal)
  const ending = await program.ended(END_MS)
  expect(shellStatus(ending)).toBe(STATUS[signal])
  expect(ending.stderr).toMatch(/^ess: .* \[interrupted\]\n$/)
}

async function fifo(context: Parameters<typeof needs>[0]): Promise<string> {
  needs(context, 'mkfifo')
  const path = join(await tempDir(), 'fifo')
  expect(await (await run('mkfifo', 'mkfifo', [path])).ended()).toMatchObject({ code: 0 })
  return path
}

/** `ess` as a shell starts it, with `redirections`; the process is `ess` itself. */
function byShell(
  args: string,
  redirections: string,
  env: Readonly<Record<string, string>>,
): Promise<Program> {
  return run(`ess ${args}`, 'sh', ['-c', `exec '${process.execPath}' '${ESS}' ${args} ${redirections}`], {
    env: childEnv(env),
  })
}

beforeEach((context) => needs(context, 'sh'))

test.each(SIGNALS)('%s ends each command with the status that a shell shows for it', async (signal) => {
  const server = await rawServer()
  const folder = await tempDir()
  await writeFile(join(folder, 'f'), 'hello')
  const sender = await runEss(server.url, ['send', join(folder, 'f')])
  const upload = await openUpload(server)
  await sender.untilStdout(/\n/)
  const receiver = await runEss(server.url, ['get', ID, '-o', join(folder, 'x')])
  const download = await openDownload(server, 'Content-Length: 9')
  download.write('hello')
  await until('the part is there', async () => (await readdir(folder)).includes(`x.${ID}.part`))
  await Promise.all([expectEndedBy(sender, signal), expectEndedBy(receiver, signal)])
  expect(await Promise.all([upload.ending(), download.ending()])).toEqual(['rst', 'rst'])
  expect(await readdir(folder)).toEqual(['f'])
})

test('a FIFO that has no writer yet is sent at once, and a signal ends it', async (context) => {
  const path = await fifo(context)
  const server = await rawServer()
  const sender = await runEss(server.url, ['send', path])
  // Elsewhere open(2) waits for the writer.
  if (process.platform === 'linux') {
    tell(await openUpload(server), { event: 'connected' })
    await sender.untilStdout(/\n/)
  }
  await expectEndedBy(sender, 'SIGTERM')
})

test('what is written into a FIFO later is sent', async (context) => {
  const path = await fifo(context)
  const server = await startServerHere()
  const sender = await runEss(server.url, ['send', path])
  if (process.platform === 'linux') await sender.untilStdout(/\n/)
  await run('a writer', 'sh', ['-c', `echo hello > '${path}'`])
  const [url] = await sender.untilStdout(/http.*/)
  const receiver = await runEss(server.url, ['get', url, '-o', '-'])
  expect(await receiver.ended()).toMatchObject({ code: 0, stdout: Buffer.from('hello\n') })
  expect(await sender.ended()).toMatchObject({ code: 0 })
})

test('a FIFO without a reader does not use the link up, and a signal ends the wait', async (context) => {
  const path = await fifo(context)
  const server = await rawServer()
  const receiver = await runEss(server.url, ['get', ID, '-o', path])
  // With a reader it asks at once, which shows that it had come as far as that.
  const other = await runEss(server.url, ['get', ID, '-o', '-'])
  const asked = await openDownload(server, 'Content-Length: 5')
  asked.end('hello')
  expect(await other.ended()).toMatchObject({ code: 0 })
  await expectEndedBy(receiver, 'SIGTERM')
  // The other's HEAD and GET.
  expect(server.connections()).toBe(2)
})

test.each(['Content-Length: 300000', 'Transfer-Encoding: chunked'])(
  'a reader of a FIFO gets all of a download (%s), and one that is stuck is no reason to stay',
  async (framing) => {
    const folder = await tempDir()
    const path = join(folder, 'fifo')
    expect(await (await run('mkfifo', 'mkfifo', [path])).ended()).toMatchObject({ code: 0 })
    const server = await rawServer()
    const bytes = Buffer.alloc(300_000, 'x')
    const receiver = await runEss(server.url, ['get', ID, '-o', path])
    const reader = await run('a reader', 'sh', ['-c', `cat '${path}'`])
    const connection = await openDownload(server, framing)
    const isChunked = framing.startsWith('Transfer')
    if (isChunked) connection.write(`${bytes.length.toString(16)}\r\n`)
    connection.write(bytes)
    connection.end(isChunked ? '\r\n0\r\n\r\n' : '')
    expect(await receiver.ended()).toMatchObject({ code: 0 })
    expect((await reader.ended()).stdout.equals(bytes)).toBe(true)

    const stuck = await run(
      'a reader that is stuck',
      'sh',
      ['-c', `exec 3<'${path}'; echo open; read line`],
      {
        stdin: 'open',
      },
    )
    const other = await runEss(server.url, ['get', ID, '-o', path])
    await stuck.untilStdout(/open/)
    const held = await openDownload(server, framing.replace('300000', '900000'))
    if (isChunked) held.write(`${(900_000).toString(16)}\r\n`)
    held.write(bytes)
    await expectEndedBy(other, 'SIGTERM')
    expect(await held.ending()).toBe('rst')
  },
)

test('a device that says nothing ends with its transfer, and with a signal', async (context) => {
  if (process.platform !== 'linux') context.skip('needs /dev/ptmx')
  const server = await rawServer()
  const sender = await runEss(server.url, ['send', '/dev/ptmx'])
  const connection = await openUpload(server)
  tell(connection, { event: 'connected' })
  tell(connection, {
    event: 'failed',
    problem: { type: 'urn:ess:problem:receiver-lost', title: 't' },
    bytes: 0,
  })
  expect((await sender.ended(END_MS)).code).toBe(5)
  const other = await runEss(server.url, ['send', '/dev/ptmx'])
  tell(await openUpload(server), { event: 'connected' })
  await other.untilStdout(/\n/)
  await expectEndedBy(other, 'SIGTERM')
})

test.each([
  ['a server that is silent', (url: string) => ({ ESS_SERVER: url })],
  ['a proxy that is silent', (url: string) => ({ ESS_SERVER: 'http://ess.test', http_proxy: url })],
])('a signal ends the wait for %s', async (_what, environment) => {
  const server = await rawServer()
  for (const args of ['send /dev/null', `get ${ID} -o -`]) {
    const program = await byShell(args, '', environment(server.url))
    await (await server.accept()).until(/\r\n\r\n/)
    await expectEndedBy(program, 'SIGTERM')
  }
})

test.each(['Content-Length: 9000000', 'Transfer-Encoding: chunked'])(
  'a signal ends a download (%s) whose output takes nothing',
  async (framing) => {
    const folder = await tempDir()
    const path = join(folder, 'fifo')
    expect(await (await run('mkfifo', 'mkfifo', [path])).ended()).toMatchObject({ code: 0 })
    const server = await rawServer()
    const program = await byShell(`get ${ID}`, `3<>'${path}' >'${path}'`, { ESS_SERVER: server.url })
    const connection = await openDownload(server, framing)
    if (framing.startsWith('Transfer')) connection.write(`${(9_000_000).toString(16)}\r\n`)
    connection.write(Buffer.alloc(500_000))
    await expectEndedBy(program, 'SIGTERM')
    expect(await connection.ending()).toBe('rst')
  },
)

test.each(['', '--json', '--reserve'])(
  'a link that cannot be written cancels the transfer at once (ess send %s)',
  async (flag) => {
    const server = await startServerHere('--reservations')
    const program = await byShell(`send ${flag} '${process.execPath}'`, '>/dev/full', {
      ESS_SERVER: server.url,
    })
    const { code, stderr } = await program.ended()
    expect(code).toBe(8)
    expect(stderr).toBe(
      'ess: Cannot write the link: the disk is full. The transfer was cancelled. [file-unwritable]\n',
    )
    await until('the server knows', () =>
      /ended .*"outcome":"(?:sender-lost|cancelled)"/.test(server.stderr()),
    )
  },
)

test.each([
  ['help that is written nowhere', '--help', '>/dev/full', 8],
  ['a closed stdout', '--help', '>&-', 0],
  ['a closed stderr', 'send --ttl no', '2>&-', 2],
  ['a stderr that takes nothing', 'send --ttl no', '2>/dev/full', 2],
  ['all of them closed', 'get', '<&- >&- 2>&-', 2],
])('%s has a status all the same', async (_what, args, redirections, status) => {
  const program = await byShell(args, redirections, {})
  expect((await program.ended()).code).toBe(status)
})
