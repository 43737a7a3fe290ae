import { chmod, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type Certificate, trustedCertificate } from './certificate.js'
import { freePort } from './free-port.js'
import { type Block, fencedBlocks, readPage } from './markdown.js'
import { run } from './run.js'
import { startServerHere } from './start-server-here.js'
import { tempDir } from './temp-dir.js'
import { until } from './within.js'

/*
 * Each proxy runs by the very blocks of docs/deploying.md, in the foreground, in front of an ess-server that has the
 * flags of the block above them. The port, the name and the certificate's files are replaced, and so is port 9000. A
 * block that is part of a larger configuration in Debian stands in one with Debian's own settings here. Most tests are
 * not about TLS, and have the lines about it taken out.
 */

/** Where a proxy finds its things in a test. */
interface Site {
  readonly folder: string
  readonly port: number
  /** Of the certificate: its PEM, its key, and both in one. Undefined without TLS. */
  readonly pem?: { readonly cert: string; readonly key: string; readonly both: string }
}

interface Proxy {
  /** The language of its blocks. */
  readonly language: string
  /** The files that its blocks become, in order. */
  readonly files: readonly string[]
  /** Arguments, given the first file's path. */
  args(path: string, folder: string): readonly string[]
  /** The blocks as the test runs them: its own port, with or without TLS, and what stands around them. */
  settle(config: string, site: Site): string
}

const MODULES = '/usr/lib/apache2/modules'
const CERT = '/etc/letsencrypt/live/send.example.org/fullchain.pem'
const KEY = '/etc/letsencrypt/live/send.example.org/privkey.pem'

const PROXIES = {
  haproxy: {
    language: 'haproxy',
    files: ['haproxy.cfg'],
    args: (path) => ['-f', path],
    settle: (config, { port, pem }) =>
      // A machine may have no IPv6.
      replaced(withoutLines(config, /v6only/), {
        [`bind :443${pem ? '' : ' ssl crt /etc/haproxy/send.example.org.pem alpn http/1.1'}`]: `bind 127.0.0.1:${port}`,
        ...(pem && { '/etc/haproxy/send.example.org.pem': pem.both }),
      }),
  },
  caddy: {
    language: 'caddyfile',
    files: ['Caddyfile'],
    args: (path) => ['run', '--adapter', 'caddyfile', '--config', path],
    settle: (config, { folder, port, pem }) =>
      replaced(config, {
        // No administration on a port of its own, and no certificate from outside.
        '{\n\tservers': `{\n\tadmin off\n\tauto_https off\n\tstorage file_system ${folder}\n\tservers`,
        'send.example.org {': pem
          ? `https://localhost:${port} {\n\tbind 127.0.0.1\n\ttls ${pem.cert} ${pem.key}`
          : `http://:${port} {\n\tbind 127.0.0.1`,
      }),
  },
  nginx: {
    language: 'nginx',
    files: ['nginx.conf'],
    args: (path, folder) => ['-e', 'stderr', '-p', folder, '-c', path, '-g', 'daemon off;'],
    settle: (config, { folder, port, pem }) => {
      const logged = replaced(config, { '/var/log/nginx/ess-error.log': 'stderr' })
      return `
      worker_processes 1;
      pid ${folder}/nginx.pid;
      error_log stderr warn;
      events { worker_connections 4096; }
      http {
        gzip on;
        ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${folder}/${what};`).join('\n')}
        ${
          pem
            ? replaced(logged, { 'listen 443': `listen 127.0.0.1:${port}`, [CERT]: pem.cert, [KEY]: pem.key })
            : replaced(withoutLines(logged, /ssl_/), { 'listen 443 ssl': `listen 127.0.0.1:${port}` })
        }
      }`
    },
  },
  traefik: {
    language: 'yaml',
    files: ['traefik.yml', 'ess.yml'],
    args: (path) => [`--configFile=${path}`],
    settle: (config, { folder, port, pem }) => {
      // Each of the two files, of which this is one, has some of these.
      const named = config
        .replace('":443"', `"127.0.0.1:${port}"`)
        .replace('/etc/traefik/ess.yml', join(folder, 'ess.yml'))
        .replace('Host(`send.example.org`)', pem ? 'Host(`localhost`)' : 'PathPrefix(`/`)')
      if (pem) return named.replace(CERT, pem.cert).replace(KEY, pem.key)
      return withoutLines(named, /^ {6}tls: /).replace(/^tls:\n(?: .*\n)+/m, '')
    },
  },
  apache2: {
    language: 'apache',
    files: ['apache2.conf'],
    args: (path) => ['-D', 'FOREGROUND', '-f', path],
    settle: (config, { folder, port, pem }) => `
ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/apache2.pid
ErrorLog ${folder}/error.log
LogLevel error
ServerName localhost
User www-data
Group www-data
Timeout 300
KeepAlive On
KeepAliveTimeout 5
LogFormat "%h %l %u %t \\"%r\\" %>s %O" common
${['mpm_event', 'authz_core', 'authz_host', 'reqtimeout', 'filter', 'deflate', 'mime', 'ssl', 'proxy', 'proxy_http', 'headers'].map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
TypesConfig /etc/mime.types
Include /etc/apache2/mods-available/reqtimeout.conf
Include /etc/apache2/mods-available/mpm_event.conf
Include /etc/apache2/mods-available/deflate.conf
Listen 127.0.0.1:${port}
${
  pem
    ? replaced(config, { '*:443': `*:${port}`, [CERT]: pem.cert, [KEY]: pem.key })
    : replaced(withoutLines(config, /SSL/), { '*:443': `*:${port}` })
}`,
  },
} as const satisfies Record<string, Proxy>

/** The program of a proxy, which is its name, too. */
export type ProxyName = keyof typeof PROXIES

/** A proxy in front of an ess-server. */
export interface RunningProxy {
  /** Where senders and receivers come. */
  readonly url: string
  readonly folder: string
}

/** What is not as documented. */
export interface Deviation {
  /** The flags of ess-server, in place of those that are. */
  readonly flags?: readonly string[]
  /** Flags beside them. */
  readonly more?: readonly string[]
  /** Starts the ess-server with these flags, in place of one in the test's own process. */
  readonly start?: (...flags: readonly string[]) => Promise<{ readonly port: number }>
  /** Parts of the configuration, and what they are instead. */
  readonly lines?: Readonly<Record<string, string>>
  /**
   * Keeps the TLS of the page: by this certificate, or by one that all programs trust which the test starts from then on.
   */
  readonly tls?: boolean | Certificate
}

/** Starts a proxy and an ess-server behind it, as documented but for `deviation`; both stop when the test is over. */
export async function startBehind(
  name: ProxyName,
  { flags: otherFlags, more = [], lines = {}, tls = false, start = startServerHere }: Deviation = {},
): Promise<RunningProxy> {
  const proxy: Proxy = PROXIES[name]
  const { flags, configs } = await documented(name, proxy)
  const folder = await tempDir()
  // Workers may be of a user of their own.
  await chmod(folder, 0o755)
  const port = await freePort()
  const url = tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`
  const server = await start(
    ...(otherFlags ?? flags.map((flag) => flag.replace('https://send.example.org', url))),
    ...more,
  )
  const pem = tls ? await pemIn(folder, tls === true ? await trustedCertificate() : tls) : undefined
  const others = Object.entries(lines)
  for (const [line] of others)
    if (!configs.some((config) => config.includes(line))) throw new Error(`No block of ${name} has ${line}`)
  for (const [index, file] of proxy.files.entries()) {
    const wanted = others.reduce((text, [line, other]) => text.replace(line, other), configs[index] ?? '')
    const config = proxy.settle(wanted, { folder, port, ...(pem && { pem }) })
    await writeFile(
      join(folder, file),
      config
        .replaceAll('127.0.0.1:9000', `127.0.0.1:${server.port}`)
        .replaceAll('send.example.org', 'localhost'),
    )
  }
  const env = { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder }
  const program = await run(name, name, proxy.args(join(folder, proxy.files[0] ?? ''), folder), { env })
  // Killed at once, nginx would leave its workers behind.
  onTestFinished(async () => {
    program.kill('SIGTERM')
    await program.ended()
  })
  await until(`${name} answers`, () => answers(`${url}/health`, pem?.ca)).catch((error: unknown) => {
    throw new Error(`${error instanceof Error ? error.message : error}: ${program.stderr()}`)
  })
  return { url, folder }
}

/** The flags of ess-server in front of a proxy's first block, and its blocks. */
async function documented(name: string, { language, files }: Proxy) {
  const blocks = fencedBlocks(await readPage('docs/deploying.md'))
  const at = blocks.findIndex((block) => block.language === language)
  const [, flags] = /^ess-server --port 9000(.*)\n$/.exec(blocks[at - 1]?.text ?? '') ?? []
  if (flags === undefined) throw new Error(`The block above that of ${name} does not start ess-server`)
  const own: readonly Block[] = blocks.slice(at, at + files.length)
  if (own.some((block) => block.language !== language))
    throw new Error(`Expected ${files.length} blocks of ${name}, one behind the other`)
  return { flags: flags.split(' ').filter((flag) => flag !== ''), configs: own.map(({ text }) => text) }
}

/** A certificate and its key, also in one file. */
async function pemIn(folder: string, { path: cert, keyPath: key, cert: ca, key: keyText }: Certificate) {
  const both = join(folder, 'both.pem')
  await writeFile(both, `${ca}${keyText}`)
  return { cert, key, both, ca }
}

/** Whether something answers 200 at this URL. */
async function answers(url: string, ca: Buffer | undefined): Promise<boolean> {
  if (ca === undefined) {
    const answer = await fetch(url).catch(() => undefined)
    await answer?.text()
    return answer?.ok ?? false
  }
  return new Promise((resolve) => {
    request(url, { ca, agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
      // It does not listen yet.
      .once('error', () => resolve(false))
      .end()
  })
}

/** Replaces each of these, and throws where one is not there. */
function replaced(text: string, others: Readonly<Record<string, string>>): string {
  return Object.entries(others).reduce((before, [old, other]) => {
    if (!before.includes(old)) throw new Error(`Expected ${JSON.stringify(old)} in ${before}`)
    return before.replaceAll(old, other)
  }, text)
}

function withoutLines(text: string, pattern: RegExp): string {
  return text
    .split('\n')
    .filter((line) => !pattern.test(line))
    .join('\n')
}
