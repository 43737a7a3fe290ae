import { chmod, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { fencedBlocks, readPage } from './markdown.js'
import { run } from './run.js'
import { startServerHere } from './start-server-here.js'
import { tempDir } from './temp-dir.js'
import { until } from './within.js'

/*
 * Each proxy runs by the very block of docs/deploying.md, in the foreground, in front of an ess-server that has
 * the flags of the block above it. Three things are replaced: the ports 8080 and 9000, by free ones, and the
 * folder /tmp/ess-proxy, by one of the test's.
 */
const PROXIES = {
  haproxy: { file: 'haproxy.cfg', args: (path: string) => ['-f', path] },
  caddy: {
    file: 'Caddyfile',
    args: (path: string) => ['run', '--adapter', 'caddyfile', '--config', path],
  },
  nginx: {
    file: 'nginx.conf',
    args: (path: string, folder: string) => ['-e', 'stderr', '-p', folder, '-c', path, '-g', 'daemon off;'],
  },
} as const
const LANGUAGES = { haproxy: 'haproxy', caddy: 'caddyfile', nginx: 'nginx' } as const

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
  /** Lines of the configuration, and what they are instead. */
  readonly lines?: Readonly<Record<string, string>>
}

/** Starts a proxy and an ess-server behind it, as documented but for `deviation`; both stop when the test is over. */
export async function startBehind(
  name: keyof typeof PROXIES,
  { flags: otherFlags, more = [], lines = {} }: Deviation = {},
): Promise<RunningProxy> {
  const blocks = fencedBlocks(await readPage('docs/deploying.md'))
  const at = blocks.findIndex(({ language }) => language === LANGUAGES[name])
  const [, flags] = /^ess-server --port 9000(.*)\n$/.exec(blocks[at - 1]?.text ?? '') ?? []
  if (flags === undefined) throw new Error(`The block above that of ${name} does not start ess-server`)
  const server = await startServerHere(
    ...(otherFlags ?? flags.split(' ').filter((flag) => flag !== '')),
    ...more,
  )
  const folder = await tempDir()
  // nginx's workers may be of a user of their own.
  await chmod(folder, 0o755)
  const port = await freePort()
  let config = blocks[at]?.text ?? ''
  for (const [line, other] of Object.entries(lines)) {
    if (!config.includes(line)) throw new Error(`The block of ${name} has no ${line}`)
    config = config.replace(line, other)
  }
  config = config
    .replaceAll(/\b8080\b/g, String(port))
    .replaceAll(/\b9000\b/g, String(server.port))
    .replaceAll('/tmp/ess-proxy', folder)
  const { file, args } = PROXIES[name]
  const path = join(folder, file)
  await writeFile(path, config)
  const env = { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder }
  const proxy = await run(name, name, args(path, folder), { env })
  // Killed at once, nginx would leave its workers behind.
  onTestFinished(async () => {
    proxy.kill('SIGTERM')
    await proxy.ended()
  })
  const url = `http://127.0.0.1:${port}`
  await until(`${name} answers`, async () => {
    const answer = await fetch(`${url}/health`).catch(() => undefined)
    await answer?.text()
    return answer?.ok
  }).catch((error: unknown) => {
    throw new Error(`${error instanceof Error ? error.message : error}: ${proxy.stderr()}`)
  })
  return { url, folder }
}

/** Proxies cannot be told "any" and asked which: one that is free now will be in a moment. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
