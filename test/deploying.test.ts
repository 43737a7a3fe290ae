import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { certificate } from './helpers/certificate.js'
import { freePort } from './helpers/free-port.js'
import { exchange, requestHead } from './helpers/http-exchange.js'
import { type Block, fencedBlocks, readPage } from './helpers/markdown.js'
import { needs } from './helpers/needs.js'
import { startReceiver } from './helpers/peers.js'
import { run } from './helpers/run.js'
import { runCurl } from './helpers/run-curl.js'
import { runEss } from './helpers/run-ess.js'
import { ESS_SERVER, startServer } from './helpers/start-server.js'
import { startServerHere } from './helpers/start-server-here.js'
import { tempDir } from './helpers/temp-dir.js'
import { until } from './helpers/within.js'

const DEPLOYING = 'docs/deploying.md'
const PUBLIC = 'docs/public.md'
const TOKEN = 'a-token-of-these-tests'

/** The blocks that a test in another file runs, by their languages or how they begin. */
const ELSEWHERE = {
  [DEPLOYING]: {
    // test/e2e/proxies.test.ts
    proxies: /^(?:caddyfile|nginx|haproxy defaults|apache|yaml (?:global|http):|sh ess-server --port 9000 )/,
    // test/docs.test.ts
    'docs.test.ts': /^(?:yaml # \/etc\/ess-server|json \{\n|text ok: |sh ess-server --config )/,
  },
  [PUBLIC]: {},
} as const satisfies Record<string, Record<string, RegExp>>

/** The blocks that a test below runs, by how they begin. */
const HERE = {
  [DEPLOYING]: [
    'sh ess-server --host :: ',
    'sh #!/bin/bash',
    'sh curl -fX POST ',
    'sh curl -fT ',
    'sh a2enmod ',
    'sh ESS_PORT=',
    'sh cp ess-server.service ',
    'sh docker build ',
    'haproxy backend ess_server',
    'sh ess-server --host 10.0.0.1 ',
    'sh openssl rand ',
    'text # who may send',
    'sh curl -u :TOKEN ',
    'json { "server"',
  ],
  [PUBLIC]: ['sh ess-server --host :: ', 'sh journalctl ', 'js const SECONDS', 'text 0.32 core hours'],
}

const opening = ({ language, text }: Block) => `${language} ${text}`

/** The text of the only block that begins so. */
async function block(page: string, beginning: string): Promise<string> {
  const found = fencedBlocks(await readPage(page)).filter((each) => opening(each).startsWith(beginning))
  expect(found, beginning).toHaveLength(1)
  return found[0]?.text ?? ''
}

describe.each([DEPLOYING, PUBLIC] as const)('%s', (page) => {
  test('has no block that no test looks at', async () => {
    for (const each of fencedBlocks(await readPage(page))) {
      const where = [
        ...Object.values(ELSEWHERE[page]).filter((pattern: RegExp) => pattern.test(opening(each))),
        ...HERE[page].filter((beginning) => opening(each).startsWith(beginning)),
      ]
      expect(where, `line ${each.line}`).toHaveLength(1)
    }
    for (const beginning of HERE[page]) await block(page, beginning)
  })

  test('links to chapters that are there', async () => {
    const text = await readPage(page)
    const links = [...text.matchAll(/\]\(([\w./-]*\.md)?#([^)]+)\)/g)]
    expect(links.length).toBeGreaterThan(3)
    for (const [, other = page.slice('docs/'.length), anchor] of links) {
      const chapters = [...(await readPage(join('docs', other))).matchAll(/^#+ (.*)$/gm)]
      expect(
        chapters.map(([, title = '']) => anchorOf(title)),
        other,
      ).toContain(anchor)
    }
  })

  test.runIf(page === DEPLOYING)('starts a node with options that it has', async () => {
    const command = (await block(page, 'sh ess-server --host 10.0.0.1 '))
      .replaceAll(/\\\n\s*/g, '')
      .trim()
      .replace('/etc/ess/secret', await fileOf('0'.repeat(64)))
      // This machine hasn't this address.
      .replace('--host 10.0.0.1 --port 9000', '--host 0.0.0.0 --port 0')
      .replace('--cluster-listen 10.0.0.1:9100', '--cluster-listen 127.0.0.1:0')
    await expectGoodOptions(command.split(' ').slice(1))
  })

  test('starts ess-server with options that it has', async () => {
    const { path, keyPath } = await certificate()
    const tokens = await fileOf(TOKEN)
    const command = (await block(page, 'sh ess-server --host :: '))
      .trim()
      .replace('/etc/ess/fullchain.pem', path)
      .replace('/etc/ess/privkey.pem', keyPath)
      .replace('/etc/ess/send-tokens', tokens)
      // There may be no IPv6 here, and the ports may be taken.
      .replace('--host ::', '--host 0.0.0.0')
      .replace('--port 443', '--port 0')
      .replace('127.0.0.1:9001', '127.0.0.1:0')
    await expectGoodOptions(command.split(' ').slice(1))
  })
})

describe(DEPLOYING, () => {
  test("its deploy hook copies the certificate and the key, for the server's user alone", async () => {
    const folder = await tempDir()
    const lineage = await tempDir()
    for (const name of ['fullchain', 'privkey']) await writeFile(join(lineage, `${name}.pem`), name)
    const { uid, gid } = userInfo()
    const script = (await block(DEPLOYING, 'sh #!/bin/bash'))
      .replace('-o ess -g ess', `-o ${uid} -g ${gid}`)
      .replace('/etc/ess/', `${folder}/`)
    await expectRuns(['bash', '-c', script], { RENEWED_LINEAGE: lineage })
    expect(await readFile(join(folder, 'privkey.pem'), 'utf8')).toBe('privkey')
    expect(await readFile(join(folder, 'fullchain.pem'), 'utf8')).toBe('fullchain')
  })

  test('its two commands for curl reserve and send', async (context) => {
    needs(context, 'curl')
    const server = await startServerHere('--reservations', '--early-response=false')
    const folder = await tempDir()
    await writeFile(join(folder, 'file.iso'), 'hello')
    const reserve = (await block(DEPLOYING, 'sh curl -fX POST ')).replace(
      'https://send.example.org',
      server.url,
    )
    const [url = '', address = ''] = (await expectRuns(['sh', '-c', reserve])).split('\n')
    expect(url).toMatch(/\/file\.iso$/)
    const send = (await block(DEPLOYING, 'sh curl -fT ')).replace('ADDRESS', address)
    const sender = await run(send, 'sh', ['-c', send], { cwd: folder })
    const receiver = await startReceiver('curl', url)
    expect((await receiver.ended()).code).toBe(0)
    expect((await sender.ended()).code).toBe(0)
    expect(await readFile(receiver.path, 'utf8')).toBe('hello')
  })

  test('its haproxy in front of several nodes passes by one that is dead', async (context) => {
    needs(context, 'haproxy')
    const [port, dead] = [await freePort(), await freePort()]
    const live = [await startServerHere(), await startServerHere()]
    const alone = await block(DEPLOYING, 'haproxy defaults')
    const [front = ''] = alone.split(/^backend ess_server\n/m)
    expect(front).toContain('retries 0')
    const config = `${front}${await block(DEPLOYING, 'haproxy backend ess_server')}`
      // There may be no IPv6 here. TLS is in the tests of the block above.
      .replace(/^.*v6only.*\n/m, '')
      .replace(/bind :443 ssl .*/, `bind 127.0.0.1:${port}`)
      .replace('10.0.0.1:9000', `127.0.0.1:${live[0]?.port}`)
      .replace('10.0.0.2:9000', `127.0.0.1:${dead}`)
      .replace('10.0.0.3:9000', `127.0.0.1:${live[1]?.port}`)
    const path = join(await tempDir(), 'haproxy.cfg')
    await writeFile(path, config)
    await expectRuns(['haproxy', '-c', '-f', path])
    const haproxy = await run('haproxy', 'haproxy', ['-f', path])
    const isServed = async () => (await exchange(port, requestHead('GET /health'))).status === 200
    await until('haproxy listens', () => isServed().catch(() => false))
    // Two turns of each, before its checks miss the dead one.
    for (let turn = 0; turn < 6; turn++) expect(await isServed(), haproxy.stderr()).toBe(true)
  })

  test("its site for Apache is right within all of Debian's configuration", async (context) => {
    needs(context, 'apache2', 'openssl')
    const folder = await tempDir()
    await cp('/etc/apache2', folder, { recursive: true, verbatimSymlinks: true })
    const { path, keyPath } = await certificate()
    const site =
      fencedBlocks(await readPage(DEPLOYING)).find(({ language }) => language === 'apache')?.text ?? ''
    const letsEncrypt = '/etc/letsencrypt/live/send.example.org'
    await writeFile(
      join(folder, 'sites-available/ess.conf'),
      site.replace(`${letsEncrypt}/fullchain.pem`, path).replace(`${letsEncrypt}/privkey.pem`, keyPath),
    )
    const [modules = '', sites = '', restart] = (await block(DEPLOYING, 'sh a2enmod ')).trim().split('\n')
    expect(restart).toBe('systemctl restart apache2')
    await expectRuns(['sh', '-c', `${modules} && ${sites}`], { APACHE_CONFDIR: folder })
    await expectRuns(['apache2', '-t', '-d', folder, '-f', 'apache2.conf'], {
      APACHE_RUN_DIR: folder,
      APACHE_LOG_DIR: folder,
      APACHE_LOCK_DIR: folder,
      APACHE_PID_FILE: join(folder, 'apache2.pid'),
      APACHE_RUN_USER: 'www-data',
      APACHE_RUN_GROUP: 'www-data',
    })
  })

  test('its variables for the unit are options', async () => {
    const lines = (await block(DEPLOYING, 'sh ESS_PORT=')).trim().split('\n')
    const env = Object.fromEntries(lines.map((line) => line.split('=') as [string, string]))
    await expectGoodOptions([], { ...env, ESS_PORT: '0' })
  })

  test('its unit is where it says', async () => {
    const [copy = '', ...rest] = (await block(DEPLOYING, 'sh cp ess-server.service ')).trim().split('\n')
    const folder = await tempDir()
    const command = copy.replace('/etc/systemd/system/', `${folder}/`)
    await expectRuns(['sh', '-c', `cd docs && ${command}`])
    expect(await readFile(join(folder, 'ess-server.service'), 'utf8')).toContain('[Service]')
    for (const line of rest)
      expect(line).toMatch(/^systemctl (?:daemon-reload$|(?:enable --now|status) ess-server$)/)
  })

  test('its container has the safeguards of the Dockerfile, and options that ess-server has', async () => {
    const [build = '', start = ''] = (await block(DEPLOYING, 'sh docker build ')).trim().split('\n')
    const shown = (await readPage('Dockerfile')).replaceAll('\\\n# ', '').replace(/ +/g, ' ')
    expect(shown).toContain(build)
    const [safeguards] = / --read-only .*? --stop-timeout \d+/.exec(start) ?? []
    expect(shown).toContain(`docker run${safeguards}`)
    const named = [...start.matchAll(/ -e (ESS_\w+)=(\S+)/g)].map(([, name = '', value = '']) => [
      name,
      value,
    ])
    const env = Object.fromEntries(named)
    expect(start).toContain(`:${env['ESS_SEND_TOKENS']}:ro `)
    await expectGoodOptions([], {
      ESS_HOST: '0.0.0.0',
      ESS_PORT: '0',
      ...env,
      ESS_SEND_TOKENS: await fileOf(TOKEN),
    })
  })

  test('it draws a token that a file of tokens takes', async (context) => {
    needs(context, 'openssl')
    const token = await expectRuns(['sh', '-c', await block(DEPLOYING, 'sh openssl rand ')])
    expect(token).toMatch(/^[0-9a-f]{64}\n$/)
    await expectGoodOptions(['--port', '0', '--send-tokens', await fileOf(token)])
  })

  test('both forms of a token let curl and ess send, and nothing else does', async (context) => {
    needs(context, 'curl')
    const [plain, hashed] = [TOKEN, `${TOKEN}-hashed`]
    const hash = await expectRuns(['sh', '-c', `printf %s ${hashed} | sha256sum`])
    const tokens = (await block(DEPLOYING, 'text # who may send'))
      .replace('TOKEN', plain)
      .replace('HEX', hash.split(' ')[0] ?? '')
    const server = await startServerHere('--send-tokens', await fileOf(tokens))
    const folder = await tempDir()
    await writeFile(join(folder, 'file.iso'), 'hello')
    const send = (await block(DEPLOYING, 'sh curl -u :TOKEN ')).replace(
      'https://send.example.org',
      server.url,
    )
    for (const token of [plain, hashed]) {
      const command = send.replace('TOKEN', token)
      const sender = await run(command, 'sh', ['-c', command], { cwd: folder })
      const [url = ''] = await sender.untilStdout(/^http\S+/)
      expect((await (await startReceiver('curl', url)).ended()).code).toBe(0)
      expect((await sender.ended()).code).toBe(0)
    }
    const refused = await runCurl([
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-T',
      join(folder, 'file.iso'),
      server.url,
    ])
    expect((await refused.ended()).stdout.toString()).toBe('401')

    const xdg = await tempDir()
    const home = join(xdg, 'ess')
    await mkdir(home)
    const config = (await block(DEPLOYING, 'json { "server"')).replace('https://send.example.org', server.url)
    await writeFile(join(home, 'config.json'), config)
    await writeFile(join(home, 'token'), hashed)
    const env = { XDG_CONFIG_HOME: xdg }
    const sender = await runEss(undefined, ['send', join(folder, 'file.iso')], { env })
    const [url = ''] = await sender.untilStdout(/^http\S+/)
    expect((await (await startReceiver('ess', url)).ended()).code).toBe(0)
    expect((await sender.ended()).code).toBe(0)
  })
})

describe(PUBLIC, () => {
  test('its command counts who sends', async (context) => {
    needs(context, 'curl', 'jq')
    const server = await startServer('--log', 'json')
    for (const from of ['127.0.0.2', '127.0.0.3', '127.0.0.2']) {
      const sender = await runCurl(['--interface', from, '-T', '.', `${server.url}/`], { stdin: 'open' })
      await sender.untilStdout(/# waiting/)
    }
    await until('all three are logged', () => server.stderr().split('"msg":"opened"').length === 4)
    // The journal has what systemd says there, too.
    const log = await fileOf(`Started ess-server.service.\n${server.stderr()}`)
    const [, rest = ''] = /^journalctl [^|]*(\|.*)$/s.exec(await block(PUBLIC, 'sh journalctl ')) ?? []
    const counted = await expectRuns(['sh', '-c', `cat '${log}' ${rest}`])
    expect(counted.replace(/^ +/gm, '')).toBe('2 127.0.0.2\n1 127.0.0.3\n')
  })

  test('what a terabyte costs is what its lines compute, from what was measured', async () => {
    const lines = await block(PUBLIC, 'js const SECONDS')
    expect(await expectRuns([process.execPath, '-e', lines])).toBe(
      await block(PUBLIC, 'text 0.32 core hours'),
    )
    const { scenarios } = JSON.parse(await readPage('bench/results/full.json'))
    const middle = (runs: readonly { cpuPerGiB: number }[]) =>
      runs.map(({ cpuPerGiB }) => cpuPerGiB).sort((a, b) => a - b)[1]
    expect(lines).toContain(`SECONDS_PER_GIB = ${middle(scenarios.tls.ess)?.toFixed(2)}`)
    expect(await readPage(PUBLIC)).toContain(`${middle(scenarios.length.ess)?.toFixed(2)} s in plain HTTP`)
  })

  test('its table of memory adds up, with numbers that docs/operating.md has', async () => {
    const page = await readPage(PUBLIC)
    const operating = await readPage('docs/operating.md')
    for (const said of ['to 97 MiB', 'to 19 KiB', 'to 1.1 MiB']) expect(operating).toContain(said)
    const rows = [...page.matchAll(/\| (\d+) MiB \|/g)].map(([, size]) => Number(size))
    expect(rows).toHaveLength(4)
    expect(rows.slice(0, 3).reduce((sum, size) => sum + size, 0)).toBe(rows[3])
  })
})

/** Looks at these options as a start would. */
async function expectGoodOptions(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const said = await expectRuns([process.execPath, ESS_SERVER, ...args, '--check'], env)
  expect(said).toContain('ok: listen: ')
}

/** Runs a program to its good end, and returns what it wrote. */
async function expectRuns(
  [file = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const program = await run(`${file} ${args.join(' ')}`, file, args, { env })
  const { code, stdout, stderr } = await program.ended()
  expect(code, stdout + stderr).toBe(0)
  return stdout.toString()
}

async function fileOf(text: string): Promise<string> {
  const path = join(await tempDir(), 'file')
  await writeFile(path, text, { mode: 0o600 })
  return path
}

/** The anchor that GitHub gives a title. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')
}
