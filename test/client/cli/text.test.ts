import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { beforeEach, describe, expect, test } from 'vitest'
import { shownText } from '../../../client/cli/shown-text.js'
import { MAX_TEXT_BYTES } from '../../../shared/index.js'
import { ess } from '../../helpers/client-io.js'
import { rawServer } from '../../helpers/client-raw-server.js'
import { downloadHead, ID, openDownload, openUpload } from '../../helpers/client-wire.js'
import { needs } from '../../helpers/needs.js'
import { run } from '../../helpers/run.js'
import { ESS, essOnTerminal, runEss } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { shellInTmux } from '../../helpers/tmux.js'

const TEXT_HEADERS = ['Content-Type: text/plain; charset=utf-8', 'Content-Disposition: attachment']

/** What `ess send` uploads with these arguments: its head, and its size. */
async function upload(args: readonly string[], stdin?: PassThrough) {
  const server = await rawServer()
  const program = ess(['send', '--server', server.url, ...args], stdin === undefined ? {} : { stdin })
  const connection = await openUpload(server)
  program.interrupt()
  expect(await program.status).toBe(130)
  return connection.text()
}

function piped(...blocks: readonly (string | Buffer)[]): PassThrough {
  const stdin = new PassThrough()
  for (const block of blocks) stdin.write(block)
  return stdin.end()
}

describe('ess send --text', () => {
  test.each([
    ['its operands, with a space between them', ['--text', 'see', 'you  at', '8'], undefined, 13],
    ['operands after --', ['--text', '--', '--ttl'], undefined, 5],
    ['a text in any script', ['--text', 'Grüße 👋'], undefined, 12],
    ['what is piped in', ['--text'], piped('one\n', 'two\n'), 8],
    ['what is piped in, by its usual name', ['--text', '-'], piped('one\n'), 4],
    ['a text of 1 MiB', ['--text'], piped(Buffer.alloc(MAX_TEXT_BYTES, 'x')), MAX_TEXT_BYTES],
  ] as const)('sends %s', async (_what, args, stdin, bytes) => {
    const head = await upload(args, stdin)
    expect(head).toMatch(/^content-type: text\/plain; charset=utf-8\r$/im)
    expect(head).toMatch(/^content-disposition: attachment\r$/im)
    expect(head).toMatch(new RegExp(`^content-length: ${bytes}\r$`, 'im'))
  })

  test.each([
    ['an empty text', ['--text', ''], undefined, 'The text is empty. Write it after --text, or pipe it in.'],
    ['an empty pipe', ['--text'], piped(), 'The text is empty. Write it after --text, or pipe it in.'],
    [
      'a byte more than 1 MiB',
      ['--text'],
      piped(Buffer.alloc(MAX_TEXT_BYTES + 1, 'x')),
      'A text has at most 1 MiB, and this one is longer. Send it as a file: leave out --text.',
    ],
    [
      'a text that is not UTF-8',
      ['--text'],
      piped(Buffer.from([0x68, 0xff])),
      'The text is not UTF-8. Send it as a file: leave out --text.',
    ],
    [
      'a name',
      ['--text', 'hello', '--name', 'f'],
      undefined,
      "--text and --name don't go together: a text has no name. Leave out one of them.",
    ],
  ] as const)('refuses %s', async (_what, args, stdin, message) => {
    const program = ess(['send', ...args], stdin === undefined ? {} : { stdin })
    expect(await program.status).toBe(2)
    expect(program.stdout()).toBe('')
    expect(program.stderr()).toBe(`ess: ${message} [usage]\n`)
  })

  test('of an endless pipe reads no more than a text can have', async () => {
    const stdin = new PassThrough({ highWaterMark: 1 })
    const program = ess(['send', '--text'], { stdin })
    const write = () => void (stdin.destroyed || stdin.write(Buffer.alloc(100_000, 'x'), write))
    write()
    expect(await program.status).toBe(2)
    expect(program.stderr()).toContain('at most 1 MiB')
  })

  test('is interrupted while it waits for the text', async () => {
    const program = ess(['send', '--text'], { stdin: new PassThrough() })
    program.interrupt()
    expect(await program.status).toBe(130)
  })

  test('of an operand that is not UTF-8 is refused', async (context) => {
    needs(context, 'bash')
    const line = `exec '${process.execPath}' '${ESS}' send --text "$(printf 'a\\377')"`
    const { code, stderr } = await (await run('ess', 'bash', ['-c', line])).ended()
    expect([code, stderr]).toEqual([
      2,
      'ess: The text is not UTF-8. Send it as a file: leave out --text. [usage]\n',
    ])
  })
})

describe('a text that is received', () => {
  beforeEach((context) => needs(context, 'script'))

  const HOSTILE = 'one\ttwo\r\n\u001b[2J\u202egpj.exe \u0007end'

  async function sendHostile() {
    const server = await startServerHere()
    const sender = await runEss(server.url, ['send', '--text'], { stdin: HOSTILE })
    const [link] = await sender.untilStdout(/http:\/\/[\d.]+:\d+\/[\w-]{12}/)
    return { sender, link }
  }

  test('is printed on a terminal, without what a terminal would obey, and becomes no file', async () => {
    const { sender, link } = await sendHostile()
    const cwd = await tempDir()
    const receiver = await essOnTerminal(cwd, ['get', link], true)
    const { code, stdout } = await receiver.ended()
    expect(code).toBe(0)
    expect(stdout.toString().replaceAll('\r\n', '\n')).toBe(
      [
        `The transfer has begun: ${HOSTILE.length + 2} B.`,
        'one\ttwo',
        '\\u{1b}[2J\\u{202e}gpj.exe \\u{7}end',
        `Received a text, ${HOSTILE.length + 2} B.`,
        '',
      ].join('\n'),
    )
    expect(await readdir(cwd)).toEqual([])
    expect((await sender.ended()).code).toBe(0)
  })

  test('is the very bytes in a pipe', async () => {
    const { link } = await sendHostile()
    expect((await (await runEss(undefined, ['get', link])).ended()).stdout.toString()).toBe(HOSTILE)
  })

  test.each([
    ['a file', 'text.txt', 'text.txt'],
    ['a folder', '.', /^ess-[\w-]{12}$/],
  ])('is the very bytes in %s that -o names, on a terminal too', async (_what, output, expected) => {
    const { link } = await sendHostile()
    const cwd = await tempDir()
    expect((await (await essOnTerminal(cwd, ['get', link, '-o', output], true)).ended()).code).toBe(0)
    const [name = ''] = await readdir(cwd)
    expect(name).toMatch(expected)
    expect(await readFile(join(cwd, name), 'utf8')).toBe(HOSTILE)
  })
})

/** A terminal in this process, as stdout. */
function terminal() {
  let text = ''
  const stdout = new Writable({
    write(chunk, _encoding, callback) {
      text += chunk
      callback()
    },
  })
  return { stdout: Object.assign(stdout, { isTTY: true }), text: () => text }
}

describe('on a terminal', () => {
  /** Receives a download with these headers, and gives what is printed and which files there are. */
  async function receive(headers: readonly string[], body: string | Buffer) {
    const server = await rawServer()
    const cwd = await tempDir()
    const { stdout, text } = terminal()
    const program = ess(['get', ID, '--server', server.url], { cwd, stdout })
    const look = await server.accept()
    await look.until(/^HEAD /)
    look.end(downloadHead(...headers))
    const connection = await openDownload(server, ...headers)
    connection.write(body)
    connection.end()
    expect(await program.status).toBe(0)
    return { text: text(), files: await readdir(cwd) }
  }

  test.each([
    ['a text of 1 MiB', TEXT_HEADERS, MAX_TEXT_BYTES, true],
    ['a longer one', TEXT_HEADERS, MAX_TEXT_BYTES + 1, false],
    ['a text with a name', [TEXT_HEADERS[0], 'Content-Disposition: attachment; filename="f"'], 5, false],
    ['plain text that does not say its charset', ['Content-Type: text/plain', TEXT_HEADERS[1]], 5, false],
    [
      'plain text in another charset',
      ['Content-Type: text/plain; charset=latin1', TEXT_HEADERS[1]],
      5,
      false,
    ],
    ['another type', ['Content-Type: application/json; charset=utf-8', TEXT_HEADERS[1]], 5, false],
  ])('%s is printed only if it is meant to be', async (_what, headers, bytes, isPrinted) => {
    const body = Buffer.alloc(bytes, 'x')
    const lines = headers.filter((line) => line !== undefined)
    const { text, files } = await receive([`Content-Length: ${bytes}`, ...lines], body)
    expect(text === `${body}\n`).toBe(isPrinted)
    expect(files).toHaveLength(isPrinted ? 0 : 1)
  })

  test('a text without its length becomes a file', async () => {
    const server = await rawServer()
    const cwd = await tempDir()
    const { stdout, text } = terminal()
    const program = ess(['get', ID, '--server', server.url], { cwd, stdout })
    const headers = [...TEXT_HEADERS, 'Transfer-Encoding: chunked']
    const look = await server.accept()
    await look.until(/^HEAD /)
    look.end(downloadHead(...headers))
    const connection = await openDownload(server, ...headers)
    connection.end('5\r\nhello\r\n0\r\n\r\n')
    expect(await program.status).toBe(0)
    expect(text()).toBe('')
    expect(await readdir(cwd)).toEqual([`ess-${ID}`])
  })

  test('a text that is cut is not printed', async () => {
    const server = await rawServer()
    const { stdout, text } = terminal()
    const program = ess(['get', ID, '--server', server.url], { cwd: await tempDir(), stdout })
    const headers = [...TEXT_HEADERS, 'Content-Length: 9']
    const look = await server.accept()
    await look.until(/^HEAD /)
    look.end(downloadHead(...headers))
    const connection = await openDownload(server, ...headers)
    connection.write('hello')
    connection.end()
    expect(await program.status).toBe(5)
    expect(text()).toBe('')
  })
})

test('a text is printed once, however its blocks come, and memory that is used again does no harm', async () => {
  const printed: string[] = []
  const writable = shownText(6, async (text) => void printed.push(text))
  const memory = Buffer.alloc(2)
  for (const piece of ['ab', 'c\n', 'de']) {
    memory.write(piece)
    await new Promise((resolve) => writable.write(memory, resolve))
  }
  await new Promise((resolve) => writable.write('', resolve))
  expect(printed).toEqual(['abc\nde\n'])
})

test('a text that cannot be printed fails its stream', async () => {
  const writable = shownText(1, async () => {
    throw new Error('no terminal')
  })
  const failure = new Promise((resolve) => writable.once('error', resolve))
  writable.write('x')
  expect(await failure).toMatchObject({ message: 'no terminal' })
})

test('a text is typed on a terminal, after a line that says how to end it', async (context) => {
  needs(context, 'tmux', 'bash')
  const server = await startServerHere()
  const cwd = await tempDir()
  const shell = await shellInTmux(cwd, { ESS_SERVER: server.url, TERM: 'xterm', LANG: 'C.UTF-8' })
  await shell.type(`clear; '${process.execPath}' '${ESS}' send --text > link`)
  await shell.untilScreen(/Type your text\. To end it, press Enter and then Ctrl-D\./)
  await shell.type('see you at 8')
  await shell.press('C-d')
  await shell.untilScreen(/Waiting for the receiver/)
  const link = await readFile(join(cwd, 'link'), 'utf8')
  const { stdout } = await (await runEss(undefined, ['get', link])).ended()
  expect(stdout.toString()).toBe('see you at 8\n')
  await shell.untilScreen(/✔ Delivered a text, 13 B\./)
})
