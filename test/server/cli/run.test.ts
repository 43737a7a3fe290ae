import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { run } from '../../../server/cli/run.js'
import { exchange, parseAnswer, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw } from '../../helpers/raw-peer.js'
import { recordLog } from '../../helpers/suite-logs.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'
import { connectReceiver, expectSenderFailed, openSender, senderHead } from '../serve.js'

/** `ess-server` in this process. It is stopped by force when the test is over. */
function start(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const written = { stdout: '', stderr: '' }
  const stream = (name: keyof typeof written) =>
    new PassThrough().on('data', (piece: Buffer) => {
      written[name] += piece
    })
  let stop = () => {}
  const status = run(argv, {
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    env,
    onStop: (listener) => {
      stop = listener
    },
  })
  let isOver = false
  const over = () => {
    isOver = true
  }
  status.then(over, over)
  const ended = () => within(DEADLINE_MS, `ess-server ${argv.join(' ')} ends`, status)
  onTestFinished(async () => {
    stop()
    stop()
    await ended().catch(() => {
      // The test has looked at how it ends; here it only has to.
    })
    recordLog(written.stderr)
  })
  return {
    written,
    stop: () => stop(),
    ended,
    /** Waits until it serves, or has ended without that. */
    decided: () => until('ess-server listens or ends', () => isOver || written.stdout.includes('listening')),
    /** Waits until it listens, and gives the port. */
    listening: async () => {
      const line = /^listening on http:\/\/127\.0\.0\.1:(\d+)\n$/
      await until('ess-server listens', () => isOver || line.test(written.stdout))
      // What it has ended with says more than a deadline would.
      if (isOver) throw new Error(`ess-server ended with ${await status}: ${written.stderr}`)
      expect(written.stderr).toMatch(/^(?:.*relay by .*\n)?$/)
      return Number(line.exec(written.stdout)?.[1])
    },
  }
}

/** What it says and exits with when it does not serve. */
async function refuse(argv: readonly string[], env?: Readonly<Record<string, string>>) {
  const server = start(argv, env)
  await server.decided()
  // The status of a server that should not have started is 0, once it is stopped.
  server.stop()
  const status = await server.ended()
  return { status, ...server.written }
}

const QUIET = ['--port', '0', '--log', 'off']

describe('--help', () => {
  test('has every option with its unit and default, on stdout', async () => {
    const { status, stdout, stderr } = await refuse(['--help'])
    expect([status, stderr]).toEqual([0, ''])
    for (const [option, words] of [
      ['host', /127\.0\.0\.1/],
      ['port', /9000/],
      ['ttl', /TIME.*600/],
      ['max-upload-bytes', /SIZE.*0 for no limit.*default: 0\]/],
      ['max-sockets', /10000/],
      ['max-sockets-per-client', /0 for no limit.*32/],
      ['max-reservations-per-client', /0 for no limit.*16/],
      ['max-waiting-per-client', /0 for no limit.*32/],
      ['max-misses-per-client', /0 for no limit.*60/],
      ['stall-timeout', /TIME.*60/],
      ['heartbeat', /TIME.*30/],
      ['base-url', /default: the host the sender used/],
      ['trust-proxy', /CIDRs.*default: none/],
      ['drain', /TIME.*30/],
      ['send-tokens', /one per line.*default: anyone may/],
      ['receive-tokens', /default: anyone with the link/],
      ['open', /Let anyone send/],
      ['cors-origin', /Origins.*\*/],
      ['log', /text.*json.*off.*text/],
    ] as const) {
      // From its name to the next option.
      const entry = new RegExp(`^ {2}--${option}\\b(?!-).*(?:\n {6,}.*)*`, 'm').exec(stdout)?.[0] ?? ''
      expect(entry.replace(/\s+/g, ' '), option).toMatch(words)
    }
    expect(stdout).toContain('ESS_MAX_UPLOAD_BYTES')
  })
})

test('--version is the version of the package', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8'))
  expect(await refuse(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' })
})

describe('the command line is wrong: one line on stderr and exit status 2, with', () => {
  test.each([
    [['--prot', '1'], /--prot is not an option\. Did you mean --port\? \[usage\]/],
    [['--something-else'], /--something-else is not an option\. See ess-server --help\. \[usage\]/],
    [['-x'], /-x is not an option\./],
    [['--foo'], /--foo is not an option\. See ess-server --help\. \[usage\]/],
    [
      ['--no-early-response'],
      /Where --early-response is false, --reservations must be true: senders get their/,
    ],
    [['extra'], /takes only options, not "extra"/],
    [['--port'], /--port needs a value\. See ess-server --help\. \[usage\]/],
    [['--port', 'http'], /--port must be a whole number, not "http"/],
    [['--port', '-1'], /--port/],
    [['--port', '1.5'], /--port must be a whole number, not "1\.5"/],
    [['--port', '65536'], /--port must be at most 65535, not 65536/],
    [['--port', '1', '--port', '2'], /--port was given 2 times\. Give it once\. \[usage\]/],
    [['--ttl', '0'], /--ttl must be a positive number of seconds, not 0/],
    [['--ttl', 'soon'], /--ttl must be a duration such as 90, 90s, 10m or 1h30m, not "soon"/],
    [['--ttl', '1e3'], /--ttl must be a duration such as 90, 90s, 10m or 1h30m, not "1e3"/],
    [['--ttl', '9999999'], /--ttl must be .*, not 9999999/],
    [['--max-upload-bytes', 'huge'], /--max-upload-bytes must be a size such as .*, not "huge"/],
    [['--max-upload-bytes', '-1'], /--max-upload-bytes|max-upload-bytes/],
    [['--workers', 'all'], /--workers must be a whole number or auto, not "all"/],
    [['--workers', '0'], /--workers must be a whole number of workers, at least 1, not 0/],
    [['--workers', '257'], /--workers must be at most 256, not 257/],
    [['--workers', '2', '--cluster', 'redis://127.0.0.1'], /--workers 2 does not work with --cluster\. /],
    [
      ['--cluster-listen', '127.0.0.1:0'],
      /A cluster needs --cluster, --cluster-listen and --cluster-secret-file\. Add --cluster and --cluster-secret-file, or/,
    ],
    [['--cluster-address', '10.0.0.1:9100'], /A cluster needs /],
    [['--cluster-tls'], /A cluster needs /],
    ...[
      ['http://127.0.0.1', /--cluster must be the URL of Redis or Valkey, such as /] as const,
      ['redis://127.0.0.1/two', /The path of --cluster must be the number of a database, /] as const,
    ].map(([url, words]): [string[], RegExp] => [
      ['--cluster', url, '--cluster-listen', '127.0.0.1:0', '--cluster-secret-file', 'secret'],
      words,
    ]),
    [['--max-sockets', '0'], /--max-sockets must be a whole number of sockets, at least 1, not 0/],
    [['--max-sockets-per-client', 'many'], /--max-sockets-per-client must be a whole number/],
    [['--max-misses-per-client', '-1'], /max-misses-per-client/],
    [['--stall-timeout', '-1'], /stall-timeout/],
    [['--heartbeat', '0'], /--heartbeat must be a positive number of seconds/],
    [['--base-url', 'example.org'], /--base-url must be an http or https URL .*, not "example\.org"/],
    [['--trust-proxy', 'everybody'], /--trust-proxy must be addresses, .*, not "everybody"/],
    [['--drain', 'later'], /--drain must be a duration such as 90, 90s, 10m or 1h30m, not "later"/],
    // Longer than any timer of Node's, which would go off at once.
    [['--drain', '9999999'], /drain/],
    [['--log', 'loud'], /text.*json.*off/],
    [['--cors-origin', 'example.org'], /--cors-origin must be origins .*, not "example\.org"/],
    [['--tls-cert', 'cert.pem'], /--tls-cert needs --tls-key too\./],
    [['--tls-key', 'key.pem'], /--tls-key needs --tls-cert too\./],
    ...['sockets', 'splice'].map((gear): [string[], RegExp] => [
      ['--tls-cert', 'c.pem', '--tls-key', 'k.pem', '--relay', gear],
      new RegExp(`--relay ${gear} does not work with --tls-cert: .* Leave --relay out\\.`),
    ]),
    [['--tls-min', '1.1'], /1\.2.*1\.3/],
    // Without a host, Node listens on every address there is.
    [['--host', ''], /--host needs a value\. See ess-server --help\. \[usage\]/],
    [['--host='], /host/],
    [['--reservations=yes'], /--reservations must be true or false, not "yes"/],
    [['--earlyResponse=off'], /--early-response must be true or false, not "off"/],
  ])('%j', async (argv, message) => {
    const { status, stdout, stderr } = await refuse([
      ...QUIET.slice(argv.includes('--port') ? 2 : 0, argv.includes('--log') ? 2 : 4),
      ...argv,
    ])
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/^ess-server: [^\n]+\n$/)
    expect(stderr).toMatch(message)
  })

  test.each([
    [{ ESS_PORT: 'http' }, /port/],
    [{ ESS_TTL: '-5' }, /ttl/],
    [{ ESS_MAX_UPLOAD_BYTES: 'huge' }, /max-upload-bytes/],
    [{ ESS_LOG: 'loud' }, /text.*json.*off/],
    [{ ESS_RESERVATIONS: 'yes' }, /--reservations must be true or false, not "yes"/],
  ])('the environment %j', async (env, message) => {
    const { status, stdout, stderr } = await refuse('ESS_PORT' in env ? [] : ['--port', '0'], env)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/^ess-server: [^\n]+\n$/)
    expect(stderr).toMatch(message)
  })
})

test('a port that is in use is one line on stderr and exit status 1', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void other.close())
  await within(
    DEADLINE_MS,
    'the other server listens',
    new Promise((resolve) => other.once('listening', resolve)),
  )
  const address = other.address()
  const port = typeof address === 'object' ? address?.port : undefined
  expect(await refuse(['--port', `${port}`])).toEqual({
    status: 1,
    stdout: '',
    stderr: `ess-server: Cannot listen on 127.0.0.1:${port}: the port is in use. Stop the program that uses it, or choose another with --port.\n`,
  })
})

test('an address this machine does not have is one line on stderr and exit status 1', async () => {
  expect(await refuse([...QUIET, '--open', '--host', '192.0.2.1'])).toEqual({
    status: 1,
    stdout: '',
    stderr:
      'ess-server: Cannot listen on 192.0.2.1:0: this machine does not have that address. Choose another with --host.\n',
  })
})

describe('a host that others reach', () => {
  // A name is judged by what it stands for, and so is an empty one, which is every address.
  test.each(['0.0.0.0', '::', '10.0.0.1', '192.0.2.1', '::ffff:192.0.2.1', 'fe80::1'])(
    '%s needs --send-tokens or --open',
    async (host) => {
      const { status, stdout, stderr } = await refuse([...QUIET, '--host', host])
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
      expect(stderr).toMatch(/^ess-server: [^\n]+\n$/)
      for (const way of [`--host ${host},`, '--send-tokens FILE', '--open', '--host 127.0.0.1'])
        expect(stderr).toContain(way)
    },
  )

  test('a list of who may receive does not say who may send', async () => {
    const file = join(await tempDir(), 'tokens')
    await writeFile(file, 'a-token-of-a-receiver', { mode: 0o600 })
    const flags = [...QUIET, '--host', '192.0.2.1']
    expect((await refuse([...flags, '--receive-tokens', file])).status).toBe(2)
    // With one it listens, or would if the machine had that address.
    const { status, stderr } = await refuse([...flags, '--send-tokens', file])
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining('does not have that address'),
    })
  })

  test('is none of these', async () => {
    for (const host of ['localhost', '127.0.0.2', '127.1', '::1', '::ffff:127.0.0.1']) {
      const { status, stderr } = await refuse([...QUIET, '--host', host])
      // A machine may have no IPv6.
      expect({ host, isRefused: status === 2, stderr }).toMatchObject({ host, isRefused: false })
    }
  })

  test('by an unknown name, the message is about the name', async () => {
    expect(await refuse([...QUIET, '--host', 'no-such-host.invalid'])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^ess-server: Cannot listen on no-such-host\.invalid:0: .+\n$/),
    })
  })
})

test.each([
  ['', /^ess-server: There is no token in --send-tokens \S+\. .*openssl rand -hex 32 \[usage\]\n$/],
  [
    'short',
    /^ess-server: Line 1 of --send-tokens \S+ is too short: a token has at least 16 characters\. .*\n$/,
  ],
  [
    undefined,
    /^ess-server: Cannot read the tokens in \S+: there is no such file\. Check the path of --send-tokens\. \[usage\]\n$/,
  ],
])('a file of tokens that holds %j is a wrong command line', async (text, message) => {
  const file = join(await tempDir(), 'tokens')
  if (text !== undefined) await writeFile(file, text)
  const { status, stdout, stderr } = await refuse([...QUIET, '--send-tokens', file])
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toMatch(message)
})

test('a certificate of no use is one line on stderr and exit status 1', async () => {
  expect(
    await refuse([...QUIET, '--tls-cert', '/nowhere/cert.pem', '--tls-key', '/nowhere/key.pem']),
  ).toEqual({
    status: 1,
    stdout: '',
    stderr:
      'ess-server: Cannot read /nowhere/cert.pem: there is no such file. Check its path and who may read it. Cannot read /nowhere/key.pem: there is no such file. Check its path and who may read it.\n',
  })
})

describe('it serves', () => {
  test('with what its flags say', async () => {
    const flags = [
      '--ttl',
      '2.5',
      '--max-upload-bytes',
      '1KiB',
      '--base-url',
      'https://send.example.org/share',
    ]
    const port = await start([...QUIET, ...flags]).listening()
    const sender = await openSender(port)
    expect(sender.text()).toContain('"ttl":2.5,')
    expect(sender.text()).toContain('"maxUploadBytes":1024}')
    expect(sender.url).toBe(`https://send.example.org/share/${sender.id}`)
  })

  test('with what its environment says, unless a flag says otherwise', async () => {
    const env = { ESS_PORT: '0', ESS_LOG: 'off', ESS_TTL: '50', ESS_MAX_UPLOAD_BYTES: '10GiB' }
    const port = await start(['--ttl', '40'], env).listening()
    const sender = await openSender(port)
    expect(sender.text()).toContain('"ttl":40,')
    expect(sender.text()).toContain('"maxUploadBytes":10737418240}')
  })

  test('every option by its variable', async () => {
    const env = {
      ESS_HOST: '127.0.0.1',
      ESS_PORT: '0',
      ESS_MAX_SOCKETS: '1',
      ESS_STALL_TIMEOUT: '0.2',
      ESS_HEARTBEAT: '0.02',
      ESS_TRUST_PROXY: '10.0.0.0/8, 127.0.0.1',
      ESS_DRAIN: '0',
      ESS_LOG: 'off',
    }
    const server = start([], env)
    const port = await server.listening()
    const sender = await openSender(port, { length: 5, headers: { 'X-Forwarded-Host': 'send.example.org' } })
    expect(sender.url).toBe(`http://send.example.org/${sender.id}`)
    await sender.until(/"waiting"/)
    const second = await connectRaw(port)
    await second.write(senderHead({ length: 0 }))
    await second.until(/too-many-sockets/)
    await connectReceiver(port, sender)
    await expectSenderFailed(sender, 'stalled')
  })

  test.each([
    [[], { ESS_RESERVATIONS: '1' }, 201],
    [[], { ESS_RESERVATIONS: 'true' }, 201],
    [[], { ESS_RESERVATIONS: '0' }, 404],
    [['--reservations'], { ESS_RESERVATIONS: '0' }, 201],
    [['--no-reservations'], { ESS_RESERVATIONS: '1' }, 404],
    [['--reservations=1'], {}, 201],
    [['--reservations=0'], { ESS_RESERVATIONS: 'true' }, 404],
  ])('a switch by %j and %j', async (argv, env, status) => {
    const port = await start([...QUIET, ...argv], env).listening()
    const answer = await exchange(port, requestHead('POST /reserve', { 'Content-Length': '0' }))
    expect(answer.status).toBe(status)
  })

  test('whatever else is in the environment under its prefix', async () => {
    const env = { ESS_SERVER: 'http://127.0.0.1:1', ESS_TOKEN: 'x', ESS_TTL: '' }
    const port = await start(QUIET, env).listening()
    expect((await openSender(port)).text()).toContain('"ttl":600,')
  })

  test('and warns of a variable that may be misspelled', async () => {
    const server = start(QUIET, { ESS_MAX_UPLOAD_BYTE: '1' })
    await server.decided()
    expect(server.written.stdout).toContain('listening on ')
    expect(server.written.stderr).toBe(
      "ess-server: warning: ESS_MAX_UPLOAD_BYTE is no option's variable, and is ignored. Did you mean ESS_MAX_UPLOAD_BYTES?\n",
    )
  })

  test('and logs on stderr alone, as JSON if asked', async () => {
    const server = start(['--port', '0', '--log', 'json'])
    const port = await server.listening()
    await exchange(port, requestHead('GET /abcdefghijkl'))
    await until('the refusal is logged', () => server.written.stderr.includes('refused'))
    const lines = server.written.stderr.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { msg: expect.stringMatching(/^relay by (?:streams|sockets|splice)/) },
      { msg: 'refused', code: 'not-found' },
    ])
    expect(server.written.stdout).toBe(`listening on http://127.0.0.1:${port}\n`)
  })
})

describe('told to stop', () => {
  test('it ends politely, with exit status 0', async () => {
    const server = start(QUIET)
    const port = await server.listening()
    const waiting = await openSender(port)
    server.stop()
    await expectSenderFailed(waiting, 'shutting-down')
    waiting.end()
    expect(await server.ended()).toBe(0)
    // The log is off, so it has nothing to say.
    expect(server.written.stderr).toBe('')
  })

  test('it fails what has not finished when the time of --drain is over, with exit status 0', async () => {
    const server = start([...QUIET, '--drain', '0.05'])
    const port = await server.listening()
    const sender = await openSender(port)
    const receiver = await connectReceiver(port, sender)
    server.stop()
    await expectSenderFailed(sender, 'shutting-down')
    sender.end()
    await receiver.ending()
    expect(parseAnswer(receiver.text())).toMatchObject({ status: 503 })
    receiver.end()
    expect(await server.ended()).toBe(0)
  })

  test('it stops at once when told twice, with exit status 1', async () => {
    const server = start(QUIET)
    const port = await server.listening()
    const sender = await openSender(port)
    const receiver = await connectReceiver(port, sender)
    server.stop()
    server.stop()
    await expectSenderFailed(sender, 'shutting-down')
    sender.end()
    await receiver.ending()
    receiver.end()
    expect(await server.ended()).toBe(1)
  })
})
