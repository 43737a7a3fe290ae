import { appendFile, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { ess } from '../../helpers/client-io.js'
import { rawServer } from '../../helpers/client-raw-server.js'
import { ID, LAST_CHUNK, openDownload, openUpload, tell } from '../../helpers/client-wire.js'
import { tempDir } from '../../helpers/temp-dir.js'

async function folderWith(name: string, content: string): Promise<string> {
  const cwd = await tempDir()
  await writeFile(join(cwd, name), content)
  return cwd
}

/** An output that nobody reads any more. */
function brokenPipe(): Writable {
  return new Writable({
    write: (_bytes, _encoding, callback) =>
      callback(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
  })
}

/** `| head -1` */
function readsOneLine(): Writable {
  let lines = 0
  return new Writable({
    write: (_bytes, _encoding, callback) =>
      callback(lines++ === 0 ? null : Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
  })
}

test('send prints the URL at once and nothing else', async () => {
  const server = await rawServer()
  const run = ess(['send', 'f', '--server', server.url], { cwd: await folderWith('f', 'hello') })
  const connection = await openUpload(server, { url: `${server.url}/${ID}/f` })
  await run.untilStdout(/\n/)
  tell(connection, { event: 'connected' })
  await connection.until(/hello$/)
  tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
  connection.end(LAST_CHUNK)
  expect(await run.status).toBe(0)
  expect(run.stdout()).toBe(`${server.url}/${ID}/f\n`)
  expect(run.stderr()).toBe('')
})

test.each([
  [[], 'ess: This server keeps a link for at most 10 min; you asked for 27 h 46 min.\n'],
  [['--quiet'], ''],
])('send %j says on stderr that its ttl was cut', async (flags, words) => {
  const server = await rawServer()
  const run = ess(['send', 'f', '--ttl', '99999', ...flags, '--server', server.url], {
    cwd: await folderWith('f', 'hello'),
  })
  const connection = await openUpload(server, { ttl: 600, ttlAsked: 99_999 })
  tell(connection, { event: 'connected' })
  await connection.until(/hello$/)
  tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
  connection.end(LAST_CHUNK)
  expect(await run.status).toBe(0)
  expect(run.stderr()).toBe(words)
})

test('send --json prints the events as they came', async () => {
  const server = await rawServer()
  const run = ess(['send', 'f', '--json'], {
    cwd: await folderWith('f', 'hello'),
    env: { ESS_SERVER: server.url.replace('http://', '') },
  })
  const connection = await openUpload(server, { later: 'member' })
  tell(connection, { event: 'connected' })
  await connection.until(/hello$/)
  tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
  connection.end(LAST_CHUNK)
  expect(await run.status).toBe(0)
  const events = run
    .stdout()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(events.map(({ event }) => event)).toEqual(['opened', 'connected', 'delivered'])
  expect(events[0]).toMatchObject({ later: 'member' })
})

test('send --json ends with a failed event, whichever side noticed', async () => {
  const server = await rawServer()
  const cwd = await folderWith('f', 'hello')
  const missing = ess(['send', 'nowhere', '--json', '--server', server.url], { cwd })
  expect(await missing.status).toBe(8)
  expect(JSON.parse(missing.stdout())).toMatchObject({
    event: 'failed',
    problem: { type: 'urn:ess:problem:file-unreadable' },
  })
  const cut = ess(['send', 'f', '--json', '--server', server.url], { cwd })
  const connection = await openUpload(server)
  await cut.untilStdout(/opened/)
  connection.end()
  expect(await cut.status).toBe(5)
  const lines = cut.stdout().trimEnd().split('\n')
  expect(lines).toHaveLength(2)
  expect(JSON.parse(lines[1] ?? '')).toMatchObject({
    event: 'failed',
    problem: { type: 'urn:ess:problem:connection-lost' },
  })
  const told = ess(['send', 'f', '--json', '--server', server.url], { cwd })
  const other = await openUpload(server)
  tell(other, {
    event: 'failed',
    problem: { type: 'urn:ess:problem:expired', title: 'Nobody came' },
    bytes: 0,
  })
  other.end()
  expect(await told.status).toBe(4)
  expect(told.stdout().match(/failed/g)).toHaveLength(1)
})

test('a failure is one line, with nothing in it that a terminal would obey', async () => {
  const server = await rawServer()
  const run = ess(['send', 'f', '--server', server.url], { cwd: await folderWith('f', 'hello') })
  const connection = await openUpload(server)
  const detail = 'gone\u001b[2J\nand more'
  tell(connection, {
    event: 'failed',
    problem: { type: 'urn:ess:problem:gone', title: 't', detail },
    bytes: 0,
  })
  connection.end()
  expect(await run.status).toBe(4)
  expect(run.stderr()).toBe('ess: gone [2J and more [gone]\n')
})

for (const flags of [[], ['--json'], ['--quiet']])
  test(`send ${flags.join(' ')} whose link has no reader cancels, and the server sees a reset`, async () => {
    const server = await rawServer()
    const cwd = await folderWith('f', 'hello')
    const run = ess(['send', 'f', ...flags, '--server', server.url], { cwd, stdout: brokenPipe() })
    const connection = await openUpload(server)
    expect(await run.status).toBe(8)
    expect(run.stderr()).toBe(
      'ess: Cannot write the link: the program that reads it has exited. The transfer was cancelled. [file-unwritable]\n',
    )
    expect(await connection.ending()).toBe('rst')
  })

test('send goes on when the reader of its link, or of its events, has read that and left', async () => {
  const server = await rawServer()
  const cwd = await folderWith('f', 'hello')
  for (const flags of [[], ['--json']]) {
    const run = ess(['send', 'f', ...flags, '--server', server.url], { cwd, stdout: readsOneLine() })
    const connection = await openUpload(server)
    tell(connection, { event: 'connected' })
    await connection.until(/hello$/)
    tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
    connection.end(LAST_CHUNK)
    expect([await run.status, run.stderr()]).toEqual([0, ''])
  }
})

test('get to an output without a reader is a local failure, and the server sees a reset', async () => {
  const server = await rawServer()
  const run = ess(['get', ID, '--server', server.url], { stdout: brokenPipe() })
  const connection = await openDownload(server, 'Content-Length: 9')
  connection.write('hello')
  expect(await run.status).toBe(8)
  expect(run.stderr()).toBe(
    'ess: Cannot write the output: the program that reads it has exited. The link is used up: ask the sender to send the file again. [file-unwritable]\n',
  )
  expect(await connection.ending()).toBe('rst')
})

test('get writes to standard output when that is no terminal, and to a file when told', async () => {
  const server = await rawServer()
  const cwd = await tempDir()
  const piped = ess(['get', ID, '--server', server.url], { cwd })
  ;(await openDownload(server, 'Content-Length: 5')).end('hello')
  expect(await piped.status).toBe(0)
  expect([piped.stdout(), piped.stderr()]).toEqual(['hello', ''])
  expect(await readdir(cwd)).toEqual([])
  const filed = ess(['get', ID, '-o', 'x', '--server', server.url], { cwd })
  ;(await openDownload(server, 'Content-Length: 5')).end('hello')
  expect(await filed.status).toBe(0)
  expect([filed.stdout(), filed.stderr()]).toEqual(['', ''])
  expect(await readFile(join(cwd, 'x'), 'utf8')).toBe('hello')
})

for (const what of ['send', 'get'] as const)
  test(`an interrupted ${what} is 130, and the other side learns it at once`, async () => {
    const server = await rawServer()
    const cwd = await folderWith('f', 'hello')
    const run = ess([what, what === 'send' ? 'f' : ID, '--server', server.url], { cwd })
    const connection =
      what === 'send' ? await openUpload(server) : await openDownload(server, 'Content-Length: 9')
    if (what === 'send') await run.untilStdout(/\n/)
    else {
      connection.write('hello')
      await run.untilStdout(/hello/)
    }
    run.interrupt()
    expect(await run.status).toBe(130)
    expect(run.stderr()).toMatch(/^ess: .* \[interrupted\]\n$/)
    expect(await connection.ending()).toBe('rst')
  })

const RED = '\u001b[31m'
const GREEN = '\u001b[32m'

test('ESS_SERVER is named when it is what is wrong', async () => {
  const run = ess(['send', 'f'], { env: { ESS_SERVER: 'ftp://h' } })
  expect(await run.status).toBe(2)
  expect(run.stderr()).toContain('ESS_SERVER is "ftp://h"')
})

test('send without a file on a terminal is usage', async () => {
  const run = ess(['send'], { stdin: Object.assign(new PassThrough(), { isTTY: true }) })
  expect(await run.status).toBe(2)
  expect(run.stderr()).toContain('There is nothing to send. Name a file')
})

for (const operands of [[], ['-']])
  test(`send ${operands.join(' ')} sends what is piped in`, async () => {
    const server = await rawServer()
    const stdin = new PassThrough()
    stdin.end('piped')
    const run = ess(['send', ...operands, '--server', server.url], { stdin })
    const connection = await openUpload(server)
    tell(connection, { event: 'connected' })
    await connection.until(/piped\r\n0\r\n\r\n$/)
    tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
    connection.end(LAST_CHUNK)
    expect(await run.status).toBe(0)
    expect(stdin.destroyed).toBe(true)
  })

test('get --wait 0 asks for no wait, as the server takes it', async () => {
  const server = await rawServer()
  const run = ess(['get', ID, '-o', '-', '--wait', '0', '--server', server.url])
  const connection = await openDownload(server, 'Content-Length: 0')
  expect(connection.text()).toMatch(new RegExp(`^GET /${ID}\\?wait=0 `))
  expect(await run.status).toBe(0)
})

test('a file is not sent into itself', async () => {
  const server = await rawServer()
  const cwd = await folderWith('f', 'hello')
  const file = await open(join(cwd, 'f'), 'a')
  const stdout = Object.assign(new PassThrough(), { fd: file.fd })
  const run = ess(['send', 'f', '--server', server.url], { cwd, stdout })
  expect(await run.status).toBe(2)
  expect(run.stderr()).toContain('Standard output goes to f, the file that is to be sent.')
  await file.close()
  expect(server.connections()).toBe(0)
})

test('on a terminal there are hints, a last line, and nothing to put right', async () => {
  const server = await rawServer()
  const cwd = await folderWith("it's.txt", 'hello')
  const env = { NO_COLOR: '1', TERM: 'xterm' }
  const run = ess(['send', "it's.txt", '--server', server.url], { cwd, env, isWatched: true })
  const connection = await openUpload(server, { url: `${server.url}/${ID}/it's.txt` })
  await run.untilStdout(/\n/)
  tell(connection, { event: 'connected' })
  await connection.until(/hello$/)
  tell(connection, { event: 'progress', bytes: 5, total: 5 })
  tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
  connection.end(LAST_CHUNK)
  expect(await run.status).toBe(0)
  expect(run.stdout()).toBe(`${server.url}/${ID}/it's.txt\n`)
  expect(run.stderr()).toContain(`ess get ${server.url}/${ID}\n`)
  expect(run.stderr()).toContain(`curl -fo 'it'\\''s.txt' '${server.url}/${ID}/it%27s.txt'\n`)
  expect(run.stderr()).toContain('Waiting for the receiver, 10 min left.')
  expect(run.stderr()).toMatch(/✔ Delivered it's\.txt, 5 B\.\n$/)
  expect(run.stderr()).not.toContain(RED)
  expect(run.stderr()).not.toContain(GREEN)
  expectAsFound(run.stderr())
})

test('on a terminal a failure takes the spinner away', async () => {
  const server = await rawServer()
  const cwd = await folderWith('f', 'hello')
  const run = ess(['send', 'f', '--server', server.url], { cwd, isWatched: true })
  const connection = await openUpload(server)
  await run.untilStdout(/\n/)
  connection.end()
  expect(await run.status).toBe(5)
  expect(run.stderr()).toContain(`${RED}ess:`)
  expect(run.stderr()).toMatch(/ .* \[connection-lost\]\n$/)
  expectAsFound(run.stderr())
})

for (const [flag, env] of [
  ['--quiet', {}],
  ['--no-progress', {}],
] as const)
  test(`nothing is drawn with ${flag} ${JSON.stringify(env)}`, async () => {
    const server = await rawServer()
    const cwd = await folderWith('f', 'hello')
    const run = ess(['send', 'f', flag, '--server', server.url], { cwd, env, isWatched: true })
    const connection = await openUpload(server)
    tell(connection, { event: 'connected' })
    await connection.until(/hello$/)
    tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
    connection.end(LAST_CHUNK)
    expect(await run.status).toBe(0)
    expect(run.stderr()).toBe('')
  })

test('on a terminal that cannot be drawn on, plain lines tell the same in order', async () => {
  const server = await rawServer()
  const cwd = await folderWith('f', 'hello')
  const env = { TERM: 'dumb' }
  const run = ess(['send', 'f', '--server', server.url], { cwd, env, isWatched: true })
  const connection = await openUpload(server)
  tell(connection, { event: 'waiting', secondsLeft: 570 })
  tell(connection, { event: 'connected' })
  await connection.until(/hello$/)
  tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
  connection.end(LAST_CHUNK)
  expect(await run.status).toBe(0)
  const [link = '', ...others] = run.stdout().split('\n')
  expect(others).toEqual([''])
  expect(run.stderr()).toBe(
    [
      'To receive it on this machine, open the link, or type either of these:',
      `ess get ${link}`,
      `curl -fo 'f' '${link}'`,
      'The link works once. Keep this running until the file is delivered.',
      'Waiting for the receiver, 10 min left.',
      'The transfer has begun: 5 B.',
      'Delivered f, 5 B.',
      '',
    ].join('\n'),
  )
})

test('a failure there is the same line as in a log', async () => {
  const server = await rawServer()
  const cwd = await folderWith('f', 'hello')
  const env = { TERM: 'dumb' }
  const run = ess(['send', 'f', '--server', server.url], { cwd, env, isWatched: true })
  const connection = await openUpload(server)
  await run.untilStdout(/\n/)
  connection.end()
  expect(await run.status).toBe(5)
  expect(run.stderr()).toMatch(/\ness: The connection to .* was lost .* \[connection-lost\]\n$/)
})

test('a file that grows while it is sent is exit 8', async () => {
  const server = await rawServer()
  const cwd = await folderWith('f', 'hello')
  const run = ess(['send', 'f', '--server', server.url], { cwd })
  const connection = await openUpload(server)
  await run.untilStdout(/\n/)
  await appendFile(join(cwd, 'f'), '!')
  tell(connection, { event: 'connected' })
  expect(await run.status).toBe(8)
  expect(run.stderr()).toMatch(
    /^ess: .*f changed while it was sent: it had 5 bytes, and then at least 6\. .* \[file-changed\]\n$/,
  )
})

/** Something was drawn, line wrap came back each time, the cursor was never hidden, and what was drawn was erased. */
function expectAsFound(text: string): void {
  const frames = text.split('\u001b[?7l').slice(1)
  expect(frames.length).toBeGreaterThan(0)
  for (const frame of frames) expect(frame).toContain('\u001b[K\u001b[?7h\r')
  expect(text).not.toContain('\u001b[?25')
  expect(text.lastIndexOf('\r\u001b[K')).toBeGreaterThan(text.lastIndexOf('\u001b[?7h'))
}
