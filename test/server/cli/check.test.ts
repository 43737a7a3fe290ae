import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { OPTIONS, type OptionRow } from '../../../client/cli/options.js'
import { runChecks } from '../../../server/cli/check.js'
import { run } from '../../../server/cli/run.js'
import { EssError } from '../../../shared/index.js'
import { certificate } from '../../helpers/certificate.js'
import { secretFile } from '../../helpers/start-nodes.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'

/** A stream that keeps what is written to it. */
function keeper() {
  const kept: Buffer[] = []
  const stream = new PassThrough().on('data', (piece: Buffer) => kept.push(piece))
  return { stream, text: () => Buffer.concat(kept).toString() }
}

/** `ess-server --check`, and what it says line by line. */
async function check(...argv: readonly string[]) {
  return await checkIn({}, ...argv)
}

async function checkIn(env: Readonly<Record<string, string>>, ...argv: readonly string[]) {
  const [stdout, stderr] = [keeper(), keeper()]
  const io = {
    stdout: stdout.stream,
    stderr: stderr.stream,
    env,
    onStop: () => {
      throw new Error('Expected a check, got a server that waits to be stopped')
    },
  }
  const status = await within(DEADLINE_MS, '--check ends', run(['--check', ...argv], io))
  expect(stderr.text()).toBe('')
  return { status, lines: stdout.text().trimEnd().split('\n') }
}

/** Holds a port until it is given back, or the test is over. */
async function holdPort() {
  const server = createServer()
  const giveBack = () => new Promise((done) => server.close(done))
  onTestFinished(() => void giveBack())
  await within(DEADLINE_MS, 'it listens', new Promise<void>((done) => server.listen(0, '127.0.0.1', done)))
  const address = server.address()
  return { port: String(typeof address === 'object' && address?.port), giveBack }
}

describe('--check', () => {
  test('finds a cluster of which only a part was given', async () => {
    const { status, lines } = await check('--port', '0', '--cluster-listen', '127.0.0.1:0')
    expect(status).toBe(2)
    expect(lines.join('\n')).toMatch(/^problem: cluster: A cluster needs --cluster, /m)
  })

  test('a port of --cluster-listen that is in use is a problem of this machine, a wrong address one of the option', async () => {
    const { port } = await holdPort()
    const cluster = ['--cluster', 'redis://127.0.0.1:1', '--cluster-secret-file', await secretFile()]
    const taken = await check('--port', '0', ...cluster, '--cluster-listen', `127.0.0.1:${port}`)
    expect(taken.status).toBe(1)
    expect(taken.lines.join('\n')).toMatch(
      /^problem: cluster: Cannot listen on 127\.0\.0\.1:\d+: the port is in use\./m,
    )
    const own = await holdPort()
    await own.giveBack()
    const same = await check('--port', own.port, ...cluster, '--cluster-listen', `127.0.0.1:${own.port}`)
    expect(same.status).toBe(1)
    expect(same.lines.join('\n')).toMatch(
      /^problem: cluster: .*: the port is in use\. .* --cluster-listen\.$/m,
    )
    expect((await check('--port', '0', ...cluster, '--cluster-listen', '9100')).status).toBe(2)
    expect((await check('--port', '0', ...cluster, '--cluster-listen', '127.0.0.1:0')).status).toBe(0)
  })

  test('looks at the address of --admin, as it is written and as a port', async () => {
    const { port } = await holdPort()
    const free = await check('--port', '0', '--admin', '127.0.0.1:0')
    expect([free.status, free.lines.at(-1)]).toEqual([0, 'ok: admin: 127.0.0.1, any free port'])
    const taken = await check('--port', '0', '--admin', `127.0.0.1:${port}`)
    expect(taken.status).toBe(1)
    expect(taken.lines.at(-1)).toMatch(
      /^problem: admin: Cannot listen on 127\.0\.0\.1:\d+: the port is in use\. .* --admin\.$/,
    )
    expect(await check('--admin', '9001')).toMatchObject({
      status: 2,
      lines: [expect.stringMatching(/^problem: options: --admin must be HOST:PORT/)],
    })
  })

  test('sees that the server and --admin have one port', async () => {
    const { port, giveBack } = await holdPort()
    await giveBack()
    const { status, lines } = await check('--port', port, '--admin', `127.0.0.1:${port}`)
    expect(status).toBe(1)
    expect(lines.slice(-2)).toEqual([
      `ok: listen: 127.0.0.1:${port}`,
      expect.stringMatching(/^problem: admin: Cannot listen on 127\.0\.0\.1:\d+: the port is in use\./),
    ])
  })

  test('says once that a port is none', async () => {
    const { status, lines } = await check('--port', '99999')
    expect(status).toBe(2)
    expect(lines).toEqual([
      'problem: options: --port must be at most 65535, not 99999.',
      'ok: exposure',
      expect.stringMatching(/^ok: relay/),
    ])
  })

  /** The variables of the client, which may be on the same machine. */
  const OF_ESS = Object.values<OptionRow>(OPTIONS).flatMap(({ variable }) => variable ?? [])

  test('warns of variables that set nothing, and of none that others need', async () => {
    const env = {
      ESS_SEND_TOKEN: 'x',
      ESS_QUOKKAS: 'x',
      ...Object.fromEntries(OF_ESS.map((name) => [name, 'x'])),
      ESS_SERVICE_HOST: 'x',
      ESS_PORT_9000_TCP: 'x',
    }
    const { status, lines } = await checkIn(env, '--port', '0')
    expect({ status, warnings: lines.slice(0, -4) }).toEqual({
      status: 0,
      warnings: [
        "warning: environment: ESS_SEND_TOKEN is no option's variable, and is ignored. Did you mean ESS_SEND_TOKENS?",
        "warning: environment: ESS_QUOKKAS is no option's variable, and is ignored. See ess-server --help.",
      ],
    })
  })

  test('writes an address of IPv6 in brackets', async () => {
    const { lines } = await check('--host', '::1', '--port', '1')
    expect(lines.at(-1)).toContain('[::1]:1')
  })

  test('finds all well, with exit status 0, and lets go of the port', async () => {
    const { port, giveBack } = await holdPort()
    await giveBack()
    const expected = {
      status: 0,
      lines: [
        'ok: options',
        'ok: exposure',
        expect.stringMatching(/^ok: relay: \w+/),
        `ok: listen: 127.0.0.1:${port}`,
      ],
    }
    expect(await check('--port', port)).toEqual(expected)
    expect(await check('--port', port)).toEqual(expected)
  })

  test('looks into the files that flags name', async () => {
    const { path, keyPath } = await certificate()
    const tokens = join(await tempDir(), 'tokens')
    await writeFile(tokens, 'a-token-of-somebody', { mode: 0o600 })
    const tls = ['--tls-cert', path, '--tls-key']
    const { status, lines } = await check('--port', '0', '--send-tokens', tokens, ...tls, keyPath)
    expect({ status, lines }).toEqual({
      status: 0,
      lines: [
        'ok: options',
        'ok: exposure',
        'ok: send-tokens',
        expect.stringMatching(/^ok: certificate: CN=.*valid until 20/),
        expect.stringMatching(/^ok: relay/),
        'ok: listen: 127.0.0.1, any free port',
      ],
    })
    expect(await check('--port', '0', '--receive-tokens', path, ...tls, '/nowhere/key.pem')).toEqual({
      status: 2,
      lines: [
        'ok: options',
        'ok: exposure',
        expect.stringMatching(/^problem: receive-tokens: Line 1 of --receive-tokens /),
        'problem: certificate: Cannot read /nowhere/key.pem: there is no such file. Check its path and who may read it.',
        expect.stringMatching(/^ok: relay/),
        'ok: listen: 127.0.0.1, any free port',
      ],
    })
  })

  test.each(['auto', 'streams'])('with TLS, the relay is by streams, as with --relay %s', async (relay) => {
    const { path, keyPath } = await certificate()
    const { status, lines } = await check(
      ...['--port', '0', '--relay', relay],
      ...['--tls-cert', path, '--tls-key', keyPath],
    )
    expect(status).toBe(0)
    expect(lines.find((line) => line.includes('relay'))).toMatch(/^ok: relay: streams/)
  })

  test('a host that others reach is a problem for a server without tokens', async () => {
    const { status, lines } = await check('--host', '0.0.0.0', '--port', '0')
    expect(status).toBe(2)
    expect(lines[1]).toMatch(/^problem: exposure: With --host 0\.0\.0\.0, anyone .* --send-tokens FILE/)
    expect((await check('--host', '0.0.0.0', '--port', '0', '--open')).status).toBe(0)
  })

  test('a port that is in use is a problem of this machine, with exit status 1', async () => {
    const { port } = await holdPort()
    const { status, lines } = await check('--port', port, '--relay', 'streams')
    expect(status).toBe(1)
    expect(lines).toEqual([
      'ok: options',
      'ok: exposure',
      'ok: relay: streams',
      `problem: listen: Cannot listen on 127.0.0.1:${port}: the port is in use. Stop the program that uses it, or choose another with --port.`,
    ])
  })

  test('an option that is wrong has exit status 2, and the rest is looked at all the same', async () => {
    const { port } = await holdPort()
    const { status, lines } = await check('--heartbeat', '0', '--port', port)
    expect(status).toBe(2)
    expect(lines).toEqual([
      'problem: options: --heartbeat must be a positive number of seconds, not 0.',
      'ok: exposure',
      expect.stringMatching(/^ok: relay/),
      expect.stringMatching(/^problem: listen/),
    ])
  })

  test.each([
    [['--prot', '1'], /^problem: options: --prot is not an option\. Did you mean --port\?$/],
    [
      ['--tls-cert', 'c.pem', '--tls-key', 'k.pem', '--relay', 'splice'],
      /^problem: options: --relay splice does not work with --tls-cert/,
    ],
    [['--ttl', 'soon'], /^problem: options: --ttl must be a duration such as 90, 90s, 10m or 1h30m/],
    [
      ['--config', '/nowhere'],
      /^problem: options: Cannot read the configuration in \/nowhere: there is no such file\. Check the path of --config\.$/,
    ],
  ])('flags that cannot be read are one problem, with exit status 2: %j', async (argv, line) => {
    const { status, lines } = await check(...argv)
    expect(status).toBe(2)
    expect(lines).toEqual([expect.stringMatching(line)])
  })

  test('says which file it has read', async () => {
    const path = join(await tempDir(), 'ess.yaml')
    await writeFile(path, 'port: 0')
    const { status, lines } = await check('--config', path)
    expect(status).toBe(0)
    expect([lines[0], lines.at(-1)]).toEqual([`ok: config: ${path}`, 'ok: listen: 127.0.0.1, any free port'])
  })
})

describe('a list of checks', () => {
  async function outcome(...checks: Parameters<typeof runChecks>[0]) {
    const { stream, text } = keeper()
    return { status: await runChecks(checks, stream), text: text() }
  }
  const fails = (name: string, exit?: 1 | 2) => ({
    name,
    ...(exit && { exit }),
    run: () => Promise.reject(new EssError('usage', `Expected "${name}" to be well`)),
  })

  test.each([
    [[], 0],
    [[fails('a', 1)], 1],
    [[fails('a')], 2],
    [[fails('a', 1), fails('b', 2), fails('c', 1)], 2],
  ])('%j has the gravest exit status, %i', async (checks, status) => {
    expect((await outcome(...checks)).status).toBe(status)
  })

  test("takes the system's error about a file for a problem, and says it", async () => {
    const { status, text } = await outcome({
      name: 'tls-cert',
      run: () => readFile('/nowhere'),
    })
    expect({ status, text }).toEqual({
      status: 2,
      text: "problem: tls-cert: ENOENT: no such file or directory, open '/nowhere'\n",
    })
  })

  test('does not take a bug for a problem', async () => {
    const bug = { name: 'a', run: () => Promise.reject(new TypeError('a bug')) }
    await expect(outcome(bug)).rejects.toThrow('a bug')
  })
})
