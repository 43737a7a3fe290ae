import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeIdentity, recipientOf } from '../../../client/seal/age.js'
import { ess } from '../../helpers/client-io.js'
import { rawServer } from '../../helpers/client-raw-server.js'
import { openUpload } from '../../helpers/client-wire.js'
import { runEss } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'

const KEY = /#AGE-SECRET-KEY-1[A-Z0-9]{58}$/

/** A folder with a file `f` and a configuration. */
async function place(config: unknown = {}): Promise<{ cwd: string; XDG_CONFIG_HOME: string }> {
  const cwd = await tempDir()
  await writeFile(join(cwd, 'f'), 'hello')
  await writeFile(join(cwd, 'pw'), 'sesame\n')
  await mkdir(join(cwd, 'ess'))
  await writeFile(join(cwd, 'ess', 'config.json'), JSON.stringify(config))
  return { cwd, XDG_CONFIG_HOME: cwd }
}

describe('what encrypts', () => {
  test.each<[string, string[], Record<string, string>, unknown, boolean]>([
    ['nothing', [], {}, {}, false],
    ['-e', ['-e'], {}, {}, true],
    ['--encrypt', ['--encrypt'], {}, {}, true],
    ['the variable', [], { ESS_ENCRYPT: 'true' }, {}, true],
    ['the variable, as 1', [], { ESS_ENCRYPT: '1' }, {}, true],
    ['the configuration', [], {}, { encrypt: true }, true],
    ['--password alone', ['--password'], { ESS_PASSWORD_FILE: 'pw' }, {}, true],
    ['a file of a password, which says nothing', [], { ESS_PASSWORD_FILE: 'pw' }, {}, false],
    ['the flag over the variable', ['--no-encrypt'], { ESS_ENCRYPT: 'true' }, {}, false],
    ['the flag over the configuration', ['--no-encrypt'], {}, { encrypt: true }, false],
    ['the variable over the configuration', [], { ESS_ENCRYPT: 'false' }, { encrypt: true }, false],
    ['the variable, as 0', [], { ESS_ENCRYPT: '0' }, { encrypt: true }, false],
    ['an empty variable', [], { ESS_ENCRYPT: '' }, { encrypt: true }, true],
    [
      'the configuration for another server, too',
      [],
      {},
      { encrypt: true, server: 'http://127.0.0.2:1' },
      true,
    ],
  ])('%s: %j %j %j', async (_what, flags, env, config, isSealed) => {
    const server = await rawServer()
    const { cwd, XDG_CONFIG_HOME } = await place(config)
    const run = ess(['send', 'f', ...flags, '--server', server.url], {
      cwd,
      env: { ...env, XDG_CONFIG_HOME },
    })
    const connection = await openUpload(server, { url: `${server.url}/AbCdEfGhIjKl` })
    await run.untilStdout(/\n/)
    run.interrupt()
    expect(await run.status).toBe(130)
    expect(/^ess-sealed: /im.test(connection.text())).toBe(isSealed)
    // A sealed upload names nothing.
    expect(/filename/i.test(connection.text())).toBe(!isSealed)
    const isKeyInLink = isSealed && !flags.includes('--password')
    expect(KEY.test(run.stdout().trim())).toBe(isKeyInLink)
  })

  test.each([
    [{ ESS_ENCRYPT: 'yes' }, {}, 'ESS_ENCRYPT must be true or false, not "yes".'],
    [
      {},
      { encrypt: 'true' },
      'has a value for "encrypt" that is not true or false. Write one of them, without quotes.',
    ],
    [{}, { encrpyt: true }, 'has a key that ess doesn\'t know, "encrpyt". Did you mean "encrypt"?'],
  ])('%j %j is refused', async (env, config, message) => {
    const { cwd, XDG_CONFIG_HOME } = await place(config)
    const run = ess(['send', 'f'], { cwd, env: { ...env, XDG_CONFIG_HOME } })
    expect([await run.status, run.stdout()]).toEqual([2, ''])
    expect(run.stderr()).toContain(message)
  })

  test.each([
    [[], true],
    [['--quiet'], false],
    [['--no-encrypt'], false],
    [['--encrypt'], false],
  ])('a configuration that cannot be read may have said so: %j is told %s', async (flags, isTold) => {
    const server = await rawServer()
    const { cwd, XDG_CONFIG_HOME } = await place()
    const own = join(XDG_CONFIG_HOME, 'other')
    await mkdir(join(own, 'ess', 'config.json'), { recursive: true })
    const env = { XDG_CONFIG_HOME: own }
    const run = ess(['send', 'f', ...flags, '--server', server.url], { cwd, env })
    await openUpload(server)
    await run.untilStdout(/\n/)
    run.interrupt()
    expect(await run.status).toBe(130)
    expect(run.stderr().includes('ess: This is not encrypted. Your configuration may say otherwise')).toBe(
      isTold,
    )
  })
})

test('--json tells the whole link, and no key in any other event', async () => {
  const server = await startServerHere()
  const { cwd } = await place()
  const run = ess(['send', 'f', '-e', '--json', '--server', server.url], { cwd })
  await run.untilStdout(/opened.*\n/)
  const { url } = JSON.parse(run.stdout().split('\n')[0] ?? '')
  expect(url).toMatch(KEY)
  const receiver = ess(['get', url, '-o', 'copy'], { cwd })
  expect([await receiver.status, receiver.stderr()]).toEqual([0, ''])
  expect(await readFile(join(cwd, 'copy'), 'utf8')).toBe('hello')
  expect(await run.status).toBe(0)
  expect(run.stdout().split('\n').slice(1).join('\n')).not.toContain('AGE-SECRET-KEY')
  expect(server.stderr()).not.toContain('AGE-SECRET-KEY')
})

test('--to and --to-file seal for several keys, and -i opens with any of them', async () => {
  const server = await startServerHere()
  const { cwd } = await place()
  const keys = await Promise.all([makeIdentity(), makeIdentity(), makeIdentity()])
  const [one = '', two = '', three = ''] = await Promise.all(keys.map(recipientOf))
  await writeFile(join(cwd, 'team.txt'), `# The team\n\n${two}\r\n${three}\n`)
  for (const [index, key] of keys.entries())
    await writeFile(join(cwd, `key${index}.txt`), `# created: today\n# public key: …\n${key}\n`)
  for (const index of keys.keys()) {
    const sender = ess(['send', 'f', '--to', one, '--to-file', 'team.txt', '--server', server.url], { cwd })
    await sender.untilStdout(/\n/)
    const link = sender.stdout().trim()
    expect(link).not.toContain('#')
    const identities = index === 0 ? ['-i', 'key0.txt'] : ['-i', 'key0.txt', '--identity', `key${index}.txt`]
    const receiver = ess(['get', link, ...identities, '-f', '-o', 'copy'], { cwd })
    expect([await receiver.status, receiver.stderr()]).toEqual([0, ''])
    expect(await sender.status).toBe(0)
  }
})

test.each([
  [['--to', 'f'], 2, '--to takes a public key, and f is a file. To read keys from it, write --to-file f'],
  [['--to', 'alice'], 2, '--to must be a public key of age, age1… or age1pq1…, not alice.'],
  [['--to-file', 'nowhere'], 8, 'The file that --to-file names does not exist. Correct its path.'],
  [['--to-file', 'f'], 2, 'Line 1 of f must be a public key of age, age1… or age1pq1…, not hello.'],
  [['--to-file', 'pw', '--to-file', '.'], 2, 'Line 1 of pw must be a public key of age'],
  [['--to-file', '.'], 8, 'Cannot read the keys in .: it is a folder. Name a file that you may read.'],
])('ess send %j is refused before anything is sent', async (flags, status, message) => {
  const server = await rawServer()
  const { cwd } = await place()
  const run = ess(['send', 'f', ...flags, '--server', server.url], { cwd })
  expect([await run.status, run.stdout()]).toEqual([status, ''])
  expect(run.stderr()).toContain(message)
  expect(server.connections()).toBe(0)
})

test('a folder and a pipe are sealed too, and what is told of them is of what is inside', async () => {
  const server = await startServerHere()
  const { cwd } = await place()
  await mkdir(join(cwd, 'photos'))
  await writeFile(join(cwd, 'photos', 'one.jpg'), 'a photo')
  const there = await tempDir()
  const folder = await runEss(server.url, ['send', '-e', 'photos', '--json'], { cwd })
  const [, link = ''] = await folder.untilStdout(/"url":"([^"]+)"/)
  expect(await (await runEss(undefined, ['get', link, '-o', there])).ended()).toMatchObject({ code: 0 })
  expect(await readFile(join(there, 'photos', 'one.jpg'), 'utf8')).toBe('a photo')
  const pipe = await runEss(server.url, ['send', '-e', '--name', 'a.txt'], { stdin: 'piped', cwd })
  const [url] = await pipe.untilStdout(/http\S+/)
  expect(await (await runEss(undefined, ['get', url, '-o', `${there}/`])).ended()).toMatchObject({ code: 0 })
  expect(await readFile(join(there, 'a.txt'), 'utf8')).toBe('piped')
})
