import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { onTestFinished, type TestContext } from 'vitest'
import { needs } from './needs.js'
import { type Program, type RunOptions, run } from './run.js'

/** A machine: a network namespace with one cable to the server's. */
export interface Host {
  /** Runs a program there to its end, and gives what it printed. Throws if it fails. */
  now(program: string, ...args: readonly string[]): string
  /** Starts a program there. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<Program>
  /** Its end of the cable. */
  readonly device: string
}

/** Three machines: the server's, which has a cable to each of the two others, and those. */
export interface Networks {
  readonly server: Host
  readonly sender: Host
  readonly receiver: Host
}

/** On each cable the server is .1, and the other machine .2. */
export const SENDERS_NET = '10.77.1'
export const RECEIVERS_NET = '10.77.2'

/** What the receiver's cable carries. The files of these tests take some seconds. */
const RECEIVERS_RATE = '40mbit'

/**
 * Makes three machines of this one, until the test is over. The test is skipped where that can't be done; in CI it
 * fails.
 */
export function makeNetworks(context: TestContext): Networks {
  needs(context, 'ip', 'tc', 'nft', 'ss')
  const name = `ess-${randomBytes(3).toString('hex')}`
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe' })
  } catch (error) {
    if (process.env['CI'] === 'true') throw error
    context.skip('needs the right to make network namespaces')
  }
  const names = { server: name, sender: `${name}-s`, receiver: `${name}-r` }
  onTestFinished(() => {
    for (const each of Object.values(names)) execFileSync('ip', ['netns', 'del', each])
  })
  const server = hostOf(names.server, '')
  server.now('ip', 'link', 'set', 'lo', 'up')
  const sender = plug(server, names.sender, SENDERS_NET, 's')
  const receiver = plug(server, names.receiver, RECEIVERS_NET, 'r')
  server.now(
    'tc',
    'qdisc',
    'add',
    'dev',
    'to-r',
    'root',
    'tbf',
    'rate',
    RECEIVERS_RATE,
    'burst',
    '256k',
    'latency',
    '100ms',
  )
  return { server, sender, receiver }
}

function plug(server: Host, name: string, net: string, letter: string): Host {
  execFileSync('ip', ['netns', 'add', name])
  const device = `from-${letter}`
  const host = hostOf(name, device)
  server.now('ip', 'link', 'add', `to-${letter}`, 'type', 'veth', 'peer', 'name', device, 'netns', name)
  server.now('ip', 'address', 'add', `${net}.1/24`, 'dev', `to-${letter}`)
  server.now('ip', 'link', 'set', `to-${letter}`, 'up')
  host.now('ip', 'address', 'add', `${net}.2/24`, 'dev', device)
  host.now('ip', 'link', 'set', device, 'up')
  host.now('ip', 'link', 'set', 'lo', 'up')
  return host
}

function hostOf(name: string, device: string): Host {
  return {
    device,
    now: (program, ...args) =>
      execFileSync('ip', ['netns', 'exec', name, program, ...args], { stdio: 'pipe' }).toString(),
    // `ip` becomes the program, so that signals reach it.
    run: (program, args, options) =>
      run(`${program} on ${name}`, 'ip', ['netns', 'exec', name, program, ...args], options),
  }
}
