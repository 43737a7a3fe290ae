import { readdir } from 'node:fs/promises'
import { STRICT_NODE } from '../helpers/child-env.js'
import type { TestServer } from '../helpers/start-server.js'
import { DEADLINE_MS, until } from '../helpers/within.js'

/** What a server holds, by kind: descriptors (and so pipes), timers, entries of its maps, objects. */
export type LeftOver = Readonly<Record<string, number>>

/** The environment of a server that `leftOverIn` can ask. */
export const CAN_BE_ASKED = {
  NODE_OPTIONS: `${STRICT_NODE} --import ${new URL('../helpers/left-over.mjs', import.meta.url)}`,
}

/** What `server` holds now, with all its nodes. One caller at a time. */
export async function leftOverIn(server: TestServer): Promise<LeftOver> {
  const all = await Promise.all((server.nodes ?? [server]).map(leftOverInOne))
  const sum: Record<string, number> = {}
  for (const [kind, count] of all.flatMap((one) => Object.entries(one))) sum[kind] = (sum[kind] ?? 0) + count
  return sum
}

async function leftOverInOne(server: TestServer): Promise<LeftOver> {
  const linesOf = () => server.stderr().match(/^\{"left":.*\}$/gm) ?? []
  const before = linesOf().length
  server.signal('SIGUSR2')
  const line = await until('the server says what it holds', () => linesOf()[before])
  const descriptors = (await readdir(`/proc/${server.pid}/fd`)).length
  // Written by the helper alone.
  return { descriptors, ...(JSON.parse(String(line)) as { left: LeftOver }).left }
}

/** Waits until it holds no more than that of anything. */
export async function expectNothingLeft(server: TestServer, before: LeftOver): Promise<void> {
  let now: LeftOver = {}
  const isAll = async () => {
    now = await leftOverIn(server)
    return Object.entries(now).every(([kind, count]) => count <= (before[kind] ?? 0))
  }
  await until('the server holds no more than at its start', isAll, DEADLINE_MS).catch((error: unknown) => {
    throw new Error(`${error}: ${JSON.stringify(now)}, and it was ${JSON.stringify(before)}`)
  })
}
