import { mkdir, readFile, rmdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ess } from '../helpers/client-io.js'
import { rawServer } from '../helpers/client-raw-server.js'
import { ID, openDownload, problem } from '../helpers/client-wire.js'
import { type Program, run } from '../helpers/run.js'
import { ESS } from '../helpers/run-ess.js'
import { ESS_SERVER } from '../helpers/start-server.js'
import { tempDir } from '../helpers/temp-dir.js'

describe('a configuration that cannot be read', () => {
  // What root can't read either; another user's closed HOME fails at the same place.
  const KINDS = {
    'is a folder': async (path: string) => void (await mkdir(path)),
    'is a link to itself': (path: string) => symlink(path, path),
  }

  async function home(make: (path: string) => Promise<void>): Promise<string> {
    const folder = await tempDir()
    await mkdir(join(folder, '.config', 'ess'), { recursive: true })
    await make(join(folder, '.config', 'ess', 'config.json'))
    return folder
  }

  test.each(Object.entries(KINDS))('and %s matters only where it is needed', async (_what, make) => {
    const server = await rawServer()
    const HOME = await home(make)
    const needless: readonly (readonly [readonly string[], Readonly<Record<string, string>>])[] = [
      [[ID, '--server', server.url], { HOME }],
      [[ID], { HOME, ESS_SERVER: server.url }],
      [[`${server.url}/${ID}`], { HOME }],
      [[ID, '--server', server.url], { XDG_CONFIG_HOME: join(HOME, '.config') }],
    ]
    for (const [args, env] of needless) {
      const { status, stderr } = ess(['get', ...args, '-o', '-'], { env })
      ;(await openDownload(server, 'Content-Length: 5')).end('hello')
      expect([await status, stderr()]).toEqual([0, ''])
    }
    const needed = ess(['get', ID], { env: { HOME } })
    expect(await needed.status).toBe(2)
    expect(needed.stderr()).toMatch(
      /^ess: .*Cannot read .*config\.json: .*\. Make it readable, or name your server with --server or ESS_SERVER\./,
    )
  })

  test('is named where the server wants a token', async () => {
    const server = await rawServer()
    const HOME = await home(KINDS['is a folder'])
    const asked = ess(['get', ID, '-o', '-', '--server', server.url], { env: { HOME } })
    for (const method of [/^HEAD /, /^GET /]) {
      const connection = await server.accept()
      await connection.until(method)
      connection.end(problem(401, 'unauthorized', 'a token is needed'))
    }
    expect(await asked.status).toBe(3)
    expect(asked.stderr()).toMatch(
      /unauthorized.*\n.*ESS_TOKEN.*\ness: Cannot read .*config\.json: it is a folder/,
    )
  })
})

test.each([
  ['HOME', { HOME: 'home' }],
  ['XDG_CONFIG_HOME', { XDG_CONFIG_HOME: 'home/.config' }],
  ['HOME, and an empty XDG_CONFIG_HOME', { HOME: 'home', XDG_CONFIG_HOME: '' }],
])('a relative %s has nothing read from the current folder', async (_what, env) => {
  const cwd = await tempDir()
  await mkdir(join(cwd, 'home', '.config', 'ess'), { recursive: true })
  await writeFile(join(cwd, 'home', '.config', 'ess', 'config.json'), 'not JSON')
  const program = await run('ess', process.execPath, [ESS, 'get', 'short'], {
    cwd,
    env: { XDG_CONFIG_HOME: undefined, ...env },
  })
  expect(await program.ended()).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('its id of 12 characters'),
  })
})

describe('in a folder that has been removed', () => {
  async function there(main: string, ...args: readonly string[]): Promise<Program> {
    const gone = join(await tempDir(), 'gone')
    await mkdir(gone)
    // A shell that starts in such a folder says so itself.
    const line = 'echo ready >&2; read go; exec "$0" "$@"'
    const program = await run(args.join(' '), 'sh', ['-c', line, process.execPath, main, ...args], {
      cwd: gone,
      stdin: 'open',
    })
    await program.untilStderr(/^ready\n/)
    await rmdir(gone)
    program.stdin.end('go\n')
    return program
  }

  test.each([ESS, ESS_SERVER])('%s helps', async (main) => {
    const { code, stdout, stderr } = await (await there(main, '--help')).ended()
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'ready\n' })
    expect(stdout.toString()).toMatch(/options/i)
  })

  test('ess-server serves', async () => {
    const server = await there(ESS_SERVER, '--port', '0')
    await server.untilStdout(/^listening on/)
    server.kill('SIGTERM')
    expect((await server.ended()).code).toBe(0)
  })

  test('a whole path is all that is needed', async () => {
    const server = await rawServer()
    const path = join(await tempDir(), 'x')
    const receiver = await there(ESS, 'get', ID, '--server', server.url, '-o', path)
    ;(await openDownload(server, 'Content-Length: 5')).end('hello')
    expect((await receiver.ended()).code).toBe(0)
    expect(await readFile(path, 'utf8')).toBe('hello')
  })

  test.each([
    [['send', 'f'], 'The current folder is gone, and f was to be in it.'],
    [['get', ID, '-o', 'f'], 'The current folder is gone, and f was to be in it.'],
    [['send', '/dev/null', '--token-file', 't'], 'The current folder is gone, and t was to be in it.'],
  ])('%s says that the folder is gone', async (args, words) => {
    const { code, stderr } = await (await there(ESS, ...args, '--server', 'http://127.0.0.1:1')).ended()
    expect(code).toBe(2)
    expect(stderr).toContain(words)
  })
})
