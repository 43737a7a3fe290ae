import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { GIB } from './scenario.js'
import { INSTALLED } from './tools.js'

/** What the numbers were taken on and with. No name of the machine, no path. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  /** How many programs ran or wanted to, in the minute before. Above one or so, do not rely on what takes time. */
  readonly load: number
  /** Of Node and of everything measured; what is not there is left out. */
  readonly versions: Readonly<Record<string, string>>
}

/** `root` is the project's folder, `sources` the bench's. */
export function describeMachine(root: string, sources: string): Machine {
  const found = {
    node: process.version,
    ess: packageVersion(root),
    'piping-server': packageVersion(join(sources, 'node_modules/piping-server')),
    hono: packageVersion(join(root, 'node_modules/hono')),
    '@hono/node-server': packageVersion(join(root, 'node_modules/@hono/node-server')),
    'age-encryption': packageVersion(join(root, 'node_modules/age-encryption')),
    croc: programVersion(join(INSTALLED, 'croc'), '--version'),
    'magic-wormhole': programVersion(join(INSTALLED, 'wormhole/bin/wormhole'), '--version'),
    nginx: programVersion('nginx', '-v'),
    haproxy: programVersion('haproxy', '-v'),
    'redis-server': programVersion('redis-server', '--version'),
    curl: programVersion('curl', '--version'),
    openssl: programVersion('openssl', 'version'),
    cc: programVersion('cc', '--version'),
  }
  const versions = Object.fromEntries(
    Object.entries(found).flatMap(([name, version]) => (version === undefined ? [] : [[name, version]])),
  )
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / GIB),
    kernel: release(),
    load: Math.round(10 * (loadavg()[0] ?? 0)) / 10,
    versions,
  }
}

/** How many files a process may have open once it has raised its own limit, as all of them here do. */
export function maxDescriptors(): number {
  const limit = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  return limit === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(limit)
}

function packageVersion(folder: string): string | undefined {
  try {
    // Any package.json has a version, and one that is not there throws.
    return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version
  } catch {
    return undefined
  }
}

function programVersion(program: string, flag: string): string | undefined {
  try {
    // nginx says it on stderr.
    const words = execFileSync('sh', ['-c', '"$0" "$1" 2>&1', program, flag], { encoding: 'utf8' })
    return /\d+(?:\.\d+)+[^\s,)]*/.exec(words.split('\n')[0] ?? '')?.[0]
  } catch {
    return undefined
  }
}
