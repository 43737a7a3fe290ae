import { writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { run } from '../../../server/cli/run.js'
import { VERSION } from '../../../shared/version.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { recordLog } from '../../helpers/suite-logs.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

/** What `ess-server` prints on a terminal until it is ready, and its port. */
async function screenOf(...argv: readonly string[]): Promise<{ screen: string; port: number }> {
  let [screen, log] = ['', '']
  let stop = () => {}
  const stdout = new PassThrough().on('data', (piece: Buffer) => {
    screen += piece
  })
  const stderr = new PassThrough().on('data', (piece: Buffer) => {
    log += piece
  })
  const ended = run(['--port', '0', '--log', 'off', ...argv], {
    stdout: Object.assign(stdout, { isTTY: true, columns: 80 }),
    stderr,
    env: {},
    onStop: (listener) => {
      stop = listener
    },
  })
  onTestFinished(async () => {
    stop()
    await within(DEADLINE_MS, 'ess-server ends', ended)
    recordLog(log)
  })
  await until('the screen is complete', () => screen.endsWith('ess-server --help shows all options.\n'))
  const [, port] = /^listening on https?:\/\/\S+:(\d+)\n/.exec(screen) ?? []
  return { screen, port: Number(port) }
}

/** The lines to type. */
function commandsIn(screen: string): string[] {
  return [...screen.matchAll(/^ {4}(\S.*)$/gm)].map(([, line = '']) => line)
}

async function tokenFile(): Promise<string> {
  const path = join(await tempDir(), 'tokens')
  await writeFile(path, 'a-token-of-a-sender', { mode: 0o600 })
  return path
}

describe('on a terminal, ess-server shows', () => {
  test('how to send and receive here, and how to let others in, on one screen', async () => {
    const { screen, port } = await screenOf()
    const base = `http://127.0.0.1:${port}`
    expect(commandsIn(screen)).toEqual([
      `ess send file.iso --server ${base}`,
      `curl -NT file.iso ${base}/`,
      'ess get LINK',
      'curl -fo file.iso LINK',
      'ess-server --host 0.0.0.0 --open --port 0 --log off',
      'ess-server --host 0.0.0.0 --send-tokens FILE --port 0 --log off',
    ])
    expect(screen).toContain(`\n\nOr open ${base} in a browser.\n\n`)
    expect(screen).toContain('Only this machine reaches this server.')
    const lines = screen.split('\n')
    expect(lines.length).toBeLessThanOrEqual(24)
    expect(lines.filter((line) => line.length > 80)).toEqual([])
  })

  test('no page where there is none', async () => {
    expect((await screenOf('--web=false')).screen).not.toContain('browser')
  })

  test('the addresses by which other machines reach it, and none that they cannot', async () => {
    const { screen, port } = await screenOf('--host', '0.0.0.0', '--open')
    const [, ...rest] = screen.split('\n')
    const text = rest.join('\n')
    expect(text).not.toContain('0.0.0.0')
    expect(text).not.toContain('127.0.0.1')
    expect(text).not.toContain('Only this machine')
    const others = Object.values(networkInterfaces())
      .flatMap((one = []) => one)
      .filter(({ internal, family }) => !internal && family === 'IPv4')
      .map(({ address }) => `http://${address}:${port}`)
    const shown = commandsIn(text).filter((line) => line.startsWith('http'))
    expect(shown).toEqual(others.slice(0, 4))
    if (others.length > 0) expect(text).toContain(`curl -NT file.iso ${others[0]}/`)
  })

  test('the operator’s own URL, where there is one', async () => {
    const { screen } = await screenOf(
      '--host',
      '0.0.0.0',
      '--open',
      '--base-url',
      'https://send.example.org/',
    )
    expect(commandsIn(screen)).toContain('ess send file.iso --server https://send.example.org')
    expect(commandsIn(screen).at(-1)).toBe('https://send.example.org/')
  })

  test.each([
    ['--base-url', 'https://x.example/sub'],
    ['--trust-proxy', '127.0.0.1'],
    ['--proxy-full-duplex'],
    ['--reservations', '--proxy-hides-cuts'],
  ])('behind a proxy, that others reach it through that: %s %s', async (...argv) => {
    const { screen } = await screenOf(...argv)
    expect(screen).toContain('Other machines reach this server through your proxy, at')
    expect(screen).not.toContain('Only this machine')
    expect(screen).not.toContain('0.0.0.0')
    if (argv[0] === '--base-url') {
      expect(screen).toMatch(/^Send a file \(/m)
      expect(commandsIn(screen).at(-1)).toBe('https://x.example/sub')
    }
  })

  test('the same command line with the others let in, whatever stood in it', async () => {
    const tokens = join(await tempDir(), 'my tokens')
    await writeFile(tokens, 'a-token-of-a-sender', { mode: 0o600 })
    const lines = async (...argv: readonly string[]) =>
      commandsIn((await screenOf(...argv)).screen).filter((line) => line.startsWith('ess-server'))
    expect(await lines('--host', '127.0.0.1', '--open', 'false', '--ttl=5m')).toEqual([
      'ess-server --host 0.0.0.0 --open --port 0 --log off --ttl=5m',
      'ess-server --host 0.0.0.0 --send-tokens FILE --port 0 --log off --ttl=5m',
    ])
    expect(await lines('--host=localhost', '--open')).toEqual([
      'ess-server --host 0.0.0.0 --open --port 0 --log off',
    ])
    expect(await lines('--send-tokens', tokens)).toEqual([
      `ess-server --host 0.0.0.0 --port 0 --log off --send-tokens '${tokens}'`,
    ])
  })

  test('a token where it is needed, and never the one in the file', async () => {
    const tokens = await tokenFile()
    const { screen, port } = await screenOf('--send-tokens', tokens, '--receive-tokens', tokens)
    const base = `http://127.0.0.1:${port}`
    expect(commandsIn(screen)).toEqual([
      `ESS_TOKEN=TOKEN ess send file.iso --server ${base}`,
      `curl -u :TOKEN -NT file.iso ${base}/`,
      `ESS_TOKEN=TOKEN ess get LINK --server ${base}`,
      'curl -u :TOKEN -fo file.iso LINK',
      `ess-server --host 0.0.0.0 --port 0 --log off --send-tokens ${tokens} --receive-tokens ${tokens}`,
    ])
    expect(screen).not.toContain('a-token-of-a-sender')
  })

  test('the two steps of curl, where a link has to be reserved', async () => {
    const { screen, port } = await screenOf('--reservations', '--early-response', 'false')
    expect(commandsIn(screen).slice(0, 3)).toEqual([
      `ess send file.iso --server http://127.0.0.1:${port}`,
      `curl -X POST http://127.0.0.1:${port}/reserve`,
      'curl -fT file.iso ADDRESS',
    ])
  })
})

describe('GET / shows', () => {
  const usage = async (port: number) => (await exchange(port, requestHead('GET /'))).body

  test('no token where none is needed, and no limit where there is none', async () => {
    const { port } = await screenOf()
    const text = await usage(port)
    expect(text).not.toContain('TOKEN')
    expect(text).toContain('Files may be of any size.')
  })

  test('a token in the lines that need one', async () => {
    const { port } = await screenOf('--send-tokens', await tokenFile(), '--max-upload-bytes', '10GiB')
    const text = await usage(port)
    // The host that the request named.
    const base = 'http://localhost'
    expect(text).toContain('To send you need a TOKEN')
    expect(commandsIn(text)).toEqual([
      `curl -u :TOKEN -NT file.iso ${base}/`,
      `tar c folder | curl -u :TOKEN -NT - ${base}/folder.tar`,
      `curl -fo file.iso ${base}/ID/file.iso`,
      `ESS_TOKEN=TOKEN ess send file.iso --server ${base}`,
      `ess get ${base}/ID/file.iso`,
      `ESS_TOKEN=TOKEN npx ${base}/ess-${VERSION}.tgz send file.iso`,
      `npm i -g ${base}/ess.tgz`,
    ])
    expect(text).toContain('Files may be of at most 10.0 GiB.')
  })
})
