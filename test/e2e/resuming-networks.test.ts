import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, type TestContext, test } from 'vitest'
import { bytesOf } from '../helpers/bytes.js'
import { makeNetworks, type Networks, RECEIVERS_NET, SENDERS_NET } from '../helpers/networks.js'
import type { Program } from '../helpers/run.js'
import { ESS } from '../helpers/run-ess.js'
import { tempDir } from '../helpers/temp-dir.js'
import { until } from '../helpers/within.js'

const ESS_SERVER = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
/** Takes three seconds on the receiver's cable. */
const CONTENT = bytesOf(16_000_003)
/** How much has passed when something happens. */
const MIDWAY = 4_000_000
/** A connection that is only silent is given up after some tens of seconds. */
const SILENCE_MS = 100_000

interface Underway extends Networks {
  readonly sending: Program
  readonly receiving: Program
  /** Waits until both are done, and looks at what came of it. */
  arrives(): Promise<void>
}

/** A transfer between real programs on three machines, of which a part has passed. */
async function transfer(context: TestContext): Promise<Underway> {
  const networks = makeNetworks(context)
  const { server, sender, receiver } = networks
  const serving = await server.run(process.execPath, [
    ESS_SERVER,
    '--host',
    '0.0.0.0',
    '--open',
    '--port',
    '0',
  ])
  const [, port = ''] = await serving.untilStdout(/listening on http:\S+:(\d+)\n/)
  const folder = await tempDir()
  const [from, to] = [join(folder, 'sent'), join(folder, 'received')]
  await writeFile(from, CONTENT)
  const sending = await sender.run(process.execPath, [ESS, 'send', '--json', from], {
    env: { ESS_SERVER: `http://${SENDERS_NET}.1:${port}` },
  })
  const [, id = ''] = await sending.untilStdout(/"id":"([^"]+)"/)
  const receiving = await receiver.run(process.execPath, [
    ESS,
    'get',
    `http://${RECEIVERS_NET}.1:${port}/${id}`,
    '-o',
    to,
  ])
  await until('a part has passed', () => bytesTold(sending) > MIDWAY)
  return {
    ...networks,
    sending,
    receiving,
    arrives: async () => {
      expect(bytesTold(sending)).toBeLessThan(CONTENT.length)
      const received = await receiving.ended(SILENCE_MS)
      expect(received.code, received.stderr).toBe(0)
      expect((await readFile(to)).equals(CONTENT)).toBe(true)
      // All of it may have been on its way already. Then it is the verdict that the sender has to ask for.
      const sent = await sending.ended(SILENCE_MS)
      expect(sent.code, sent.stderr).toBe(0)
      expect(sent.stdout.toString()).toContain(`"event":"delivered","bytes":${CONTENT.length}`)
    },
  }
}

function bytesTold(sending: Program): number {
  const all = [...sending.stdout().matchAll(/"event":"progress","bytes":(\d+)/g)]
  return Number(all.at(-1)?.[1] ?? 0)
}

test(
  'a receiver changes its address',
  async (context) => {
    const { receiver, arrives } = await transfer(context)
    receiver.now('ip', 'address', 'del', `${RECEIVERS_NET}.2/24`, 'dev', receiver.device)
    receiver.now('ip', 'address', 'add', `${RECEIVERS_NET}.3/24`, 'dev', receiver.device)
    await arrives()
  },
  2 * SILENCE_MS,
)

test(
  'a sender changes its address',
  async (context) => {
    const { sender, arrives } = await transfer(context)
    sender.now('ip', 'address', 'del', `${SENDERS_NET}.2/24`, 'dev', sender.device)
    sender.now('ip', 'address', 'add', `${SENDERS_NET}.3/24`, 'dev', sender.device)
    await arrives()
  },
  2 * SILENCE_MS,
)

test(
  'the route of a sender is gone for a while',
  async (context) => {
    const { sender, arrives } = await transfer(context)
    sender.now('ip', 'link', 'set', sender.device, 'down')
    await delay(5000)
    sender.now('ip', 'link', 'set', sender.device, 'up')
    await arrives()
  },
  2 * SILENCE_MS,
)

test(
  'both programs are suspended for a while',
  async (context) => {
    const { sending, receiving, arrives } = await transfer(context)
    for (const program of [sending, receiving]) program.kill('SIGSTOP')
    await delay(3000)
    for (const program of [sending, receiving]) program.kill('SIGCONT')
    await arrives()
  },
  2 * SILENCE_MS,
)

test(
  'something in between forgets all connections',
  async (context) => {
    const { server, arrives } = await transfer(context)
    const ports = [...server.now('ss', '-Htn', 'state', 'established').matchAll(/:(\d+)\s*$/gm)].map(
      ([, port]) => port,
    )
    expect(ports.length).toBeGreaterThan(1)
    const rules = ['in', 'out'].map((way) => {
      const side = way === 'in' ? 'sport' : 'dport'
      return `chain ${way} { type filter hook ${way}put priority 0; tcp ${side} { ${ports.join(', ')} } drop; }`
    })
    server.now('nft', `table inet forgetful {\n${rules.join('\n')}\n}`)
    await arrives()
  },
  2 * SILENCE_MS,
)
