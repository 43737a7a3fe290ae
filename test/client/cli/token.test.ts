import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { get, send } from '../../../client/index.js'
import { ess } from '../../helpers/client-io.js'
import { type RawServer, rawServer } from '../../helpers/client-raw-server.js'
import { ID, problem } from '../../helpers/client-wire.js'
import { runEss } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'

const TOKEN = 'a-token-that-nobody-else-has'

/** The Authorization of the next request, which is refused. */
async function nextAuthorization(server: RawServer): Promise<string | undefined> {
  const connection = await server.accept()
  const [head] = await connection.until(/^.*?\r\n\r\n/s)
  connection.end(problem(401, 'unauthorized', 'Expected a token'))
  return /\r\nauthorization: (.*)\r\n/i.exec(head)?.[1]
}

async function folder(): Promise<string> {
  const cwd = await tempDir()
  await writeFile(join(cwd, 'f'), 'hello')
  await writeFile(join(cwd, 'token'), `${TOKEN}\n`)
  await writeFile(join(cwd, 'other'), 'the-other-token')
  return cwd
}

describe('ess sends the token', () => {
  test.each<[string, string[], Record<string, string>, string | undefined, string?]>([
    ['of ESS_TOKEN', [], { ESS_TOKEN: TOKEN }, TOKEN, 'ESS_TOKEN'],
    ['of --token-file', ['--token-file', 'token'], {}, TOKEN, 'the file that --token-file names'],
    ['of ESS_TOKEN_FILE', [], { ESS_TOKEN_FILE: 'token' }, TOKEN, 'the file that ESS_TOKEN_FILE names'],
    [
      'of the flag before the environment',
      ['--token-file', 'token'],
      { ESS_TOKEN: 'x', ESS_TOKEN_FILE: 'other' },
      TOKEN,
      'the file that --token-file names',
    ],
    [
      'of ESS_TOKEN before that of a file',
      [],
      { ESS_TOKEN: TOKEN, ESS_TOKEN_FILE: 'other' },
      TOKEN,
      'ESS_TOKEN',
    ],
    ['of nowhere, where the variables are empty', [], { ESS_TOKEN: '', ESS_TOKEN_FILE: '' }, undefined],
  ])('%s', async (_where, flags, env, token, named) => {
    const server = await rawServer()
    const cwd = await folder()
    for (const command of [
      ['send', 'f'],
      ['send', 'f', '--reserve'],
      ['get', ID, '-o', 'x'],
    ]) {
      const run = ess([...command, ...flags, '--server', server.url], { cwd, env })
      // The HEAD that asks for the size has the token too.
      for (let requests = command[0] === 'get' ? 2 : 1; requests > 0; requests--)
        expect(await nextAuthorization(server)).toBe(token && `Bearer ${token}`)
      expect(await run.status).toBe(3)
      const words =
        named === undefined
          ? /You need a token to (?:send|receive) here\. The operator of the server has it\. Put it into ESS_TOKEN, or/
          : new RegExp(`This server doesn't accept the token in ${named}\\. Check it, or ask`)
      expect(run.stderr()).toMatch(
        new RegExp(`^ess: Expected a token \\[unauthorized\\]\ness: ${words.source}.*\n$`),
      )
    }
  })

  test('to no other origin than its server', async () => {
    const [server, stranger] = [await rawServer(), await rawServer()]
    const env = { ESS_TOKEN: TOKEN, ESS_SERVER: server.url }
    const pasted = ess(['get', `${stranger.url}/${ID}/f`, '-o', 'x'], { cwd: await folder(), env })
    for (const _method of ['HEAD', 'GET']) expect(await nextAuthorization(stranger)).toBeUndefined()
    expect(await pasted.status).toBe(3)
    expect(pasted.stderr()).toContain(
      `yours goes only to ${server.url}. If it is for ${stranger.url}, add --server ${stranger.url}.\n`,
    )
    const own = ess(['get', `${server.url}/${ID}/f`, '-o', 'x'], { cwd: await folder(), env })
    for (const _method of ['HEAD', 'GET']) expect(await nextAuthorization(server)).toBe(`Bearer ${TOKEN}`)
    expect(await own.status).toBe(3)
  })

  test('not to an upload resource elsewhere', async () => {
    const [server, stranger] = [await rawServer(), await rawServer()]
    const sending = ess(['send', 'f', '--reserve', '--server', server.url], {
      cwd: await folder(),
      env: { ESS_TOKEN: TOKEN },
    })
    const connection = await server.accept()
    await connection.until(/\r\n\r\n/)
    const upload = `${stranger.url}/uploads/x`
    const body = JSON.stringify({ id: ID, url: `${server.url}/${ID}`, upload, events: `${upload}/events` })
    connection.end(
      `HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    expect(await nextAuthorization(stranger)).toBeUndefined()
    expect(await sending.status).toBe(3)
  })
})

describe('the configuration', () => {
  async function configOf(config: unknown): Promise<{ XDG_CONFIG_HOME: string }> {
    const home = await tempDir()
    await mkdir(join(home, 'ess'))
    await writeFile(
      join(home, 'ess', 'config.json'),
      typeof config === 'string' ? config : JSON.stringify(config),
    )
    await writeFile(join(home, 'ess', 'mine'), TOKEN)
    return { XDG_CONFIG_HOME: home }
  }

  test.each([{ token: TOKEN }, { tokenFile: 'mine' }])('names a server and its token: %j', async (token) => {
    const server = await rawServer()
    const env = await configOf({ server: server.url, ...token })
    const cwd = await folder()
    const first = ess(['send', 'f'], { cwd, env })
    expect(await nextAuthorization(server)).toBe(`Bearer ${TOKEN}`)
    expect(await first.status).toBe(3)
    const second = ess(['get', ID, '--token-file', 'other'], { cwd, env })
    for (const _method of ['HEAD', 'GET'])
      expect(await nextAuthorization(server)).toBe('Bearer the-other-token')
    expect(await second.status).toBe(3)
  })

  test('is found in the home, where XDG_CONFIG_HOME says nothing', async () => {
    const server = await rawServer()
    const { XDG_CONFIG_HOME } = await configOf({ server: server.url, token: TOKEN })
    const HOME = await tempDir()
    await rename(XDG_CONFIG_HOME, join(HOME, '.config'))
    const run = ess(['send', 'f'], { cwd: await folder(), env: { HOME, XDG_CONFIG_HOME: '' } })
    expect(await nextAuthorization(server)).toBe(`Bearer ${TOKEN}`)
    expect(await run.status).toBe(3)
  })

  test('gives its token to no server but its own', async () => {
    const [own, other] = [await rawServer(), await rawServer()]
    const env = await configOf({ server: own.url, token: TOKEN })
    const cwd = await folder()
    for (const settings of [
      { argv: ['--server', other.url], env },
      { argv: [], env: { ...env, ESS_SERVER: other.url } },
    ]) {
      const run = ess(['send', 'f', ...settings.argv], { cwd, env: settings.env })
      expect(await nextAuthorization(other)).toBeUndefined()
      expect(await run.status).toBe(3)
    }
  })

  test.each([
    [`{"token": "${TOKEN}"`, /config\.json is not JSON\./],
    ['[]', /config\.json must hold an object\./],
    [{ tokens: TOKEN }, /has a key that ess doesn't know, "tokens"\. Did you mean "token"\?/],
    [{ token: 1 }, /has a value for "token" that is not text/],
    [{ token: `${TOKEN} ${TOKEN}` }, /: a token is printable ASCII without spaces\./],
    [{ server: 'ftp://x' }, /The server in config\.json is "ftp:\/\/x", but ess speaks http and https/],
  ])('%j is a usage error, which does not show a token', async (config, message) => {
    const run = ess(['send', 'f'], { cwd: await folder(), env: await configOf(config) })
    expect(await run.status).toBe(2)
    expect(run.stderr()).toMatch(message)
    expect(run.stderr()).not.toContain(TOKEN)
  })
})

describe('before it connects to anything', () => {
  test.each([
    ['a blank', 'two words'],
    ['a line end', 'one\ntwo'],
    ['what is not ASCII', 'schlüssel'],
  ])('ess refuses a token with %s, without showing it', async (_what, token) => {
    const cwd = await folder()
    await writeFile(join(cwd, 'token'), token)
    for (const settings of [
      { argv: [], env: { ESS_TOKEN: token } },
      { argv: ['--token-file', 'token'], env: {} },
    ]) {
      // Nothing listens there, and that would be another exit status.
      const run = ess(['send', 'f', '--server', 'http://127.0.0.1:1', ...settings.argv], {
        cwd,
        env: settings.env,
      })
      expect(await run.status).toBe(2)
      expect(run.stderr()).toMatch(/: a token is printable ASCII without spaces\./)
      expect(run.stderr()).not.toContain(token)
    }
  })

  test.each([
    ['--token-file', ['--token-file', TOKEN], {}],
    ['ESS_TOKEN_FILE', [], { ESS_TOKEN_FILE: TOKEN }],
  ])('a token where %s wants the name of a file is not shown', async (named, argv, env) => {
    const cwd = await folder()
    const run = ess(['send', 'f', '--server', 'http://127.0.0.1:1', ...argv], { cwd, env })
    expect(await run.status).toBe(8)
    expect(run.stderr()).toBe(
      `ess: The file that ${named} names does not exist. Correct its path. [file-unreadable]\n`,
    )
  })

  test('an empty name of a file is not the current folder', async () => {
    const run = ess(['send', 'f', '--token-file', ''], { cwd: await folder() })
    expect(await run.status).toBe(2)
    expect(run.stderr()).toBe('ess: --token-file is empty. Name the file of your token. [usage]\n')
  })

  test('ess says which file of a token is there and cannot be read', async () => {
    const cwd = await folder()
    const run = ess(['send', 'f', '--server', 'http://127.0.0.1:1', '--token-file', '.'], { cwd })
    expect(await run.status).toBe(8)
    expect(run.stderr()).toBe(
      'ess: Cannot read the token in .: it is a folder. Name a file that you may read. [file-unreadable]\n',
    )
  })

  test('the library refuses such a token, and one beside a password in the URL', async () => {
    const bad = { server: 'http://127.0.0.1:1', token: 'a b' }
    await expect(get(ID, bad)).rejects.toMatchObject({ code: 'usage' })
    await expect(send(join(await folder(), 'f'), bad).verdict).rejects.toMatchObject({ code: 'usage' })
    await expect(get(ID, { server: 'http://a:b@127.0.0.1:1', token: TOKEN })).rejects.toMatchObject({
      code: 'usage',
    })
  })
})

test.each([[[]], [['--reserve']]])(
  'a closed circle sends and receives by its token, with %j',
  async (flags) => {
    const cwd = await folder()
    const tokens = join(cwd, 'token')
    const server = await startServerHere(
      '--reservations',
      '--send-tokens',
      tokens,
      '--receive-tokens',
      tokens,
    )
    const env = { ESS_TOKEN: TOKEN }
    const stranger = await runEss(server.url, ['send', 'f', ...flags], { cwd })
    expect((await stranger.ended()).code).toBe(3)
    const sender = await runEss(server.url, ['send', 'f', '--json', ...flags], { cwd, env })
    const [, id = ''] = await sender.untilStdout(/"id":"([^"]+)"/)
    const uninvited = await (await runEss(server.url, ['get', id, '-o', 'y'], { cwd })).ended()
    expect(uninvited.code).toBe(3)
    expect(uninvited.stderr).toBe(
      'ess: You need a token to receive here. The operator of the server has it. Put it into ESS_TOKEN, or into a file for --token-file. [unauthorized]\n',
    )
    const mistaken = await (
      await runEss(server.url, ['send', 'f', ...flags], { cwd, env: { ESS_TOKEN: 'another-one' } })
    ).ended()
    expect(mistaken.code).toBe(3)
    expect(mistaken.stderr).toBe(
      "ess: This server doesn't accept the token in ESS_TOKEN. Check it, or ask the operator of the server for another. [unauthorized]\n",
    )
    const receiver = await runEss(server.url, ['get', id], { cwd, env })
    const received = await receiver.ended()
    expect({ code: received.code, text: received.stdout.toString() }).toEqual({ code: 0, text: 'hello' })
    const sent = await sender.ended()
    expect(sent.code).toBe(0)
    for (const text of [
      sent.stdout.toString(),
      sent.stderr,
      received.stderr,
      uninvited.stderr,
      server.stderr(),
    ])
      expect(text).not.toContain(TOKEN)
  },
)
