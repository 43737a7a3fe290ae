import { randomInt } from 'node:crypto'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { withSubject } from '../carry.js'
import { digest, emptyFolder, folderDigest, makeFile, makeFolder } from '../files.js'
import { type Bench, GIB, type Metric, MIB, type Numbers } from '../scenario.js'
import { startSubject } from '../subject-process.js'
import type { Subject } from '../subjects.js'
import { both, startTimed } from '../timed.js'
import { type End, TOOLS } from '../tools.js'

/** How long the code takes from one person to the other. Some senders say theirs just before they reach the relay. */
const HANDED_ON_MS = 1000

const FILES = 10_000
const FILE_BYTES = 4096

export const END_TO_END_METRICS = {
  wallS: { title: 's', digits: 2 },
  readyS: { title: 's to the code', digits: 2 },
  sendCpu: { title: 'sender CPU s', digits: 2 },
  getCpu: { title: 'receiver CPU s', digits: 2 },
  relayCpu: { title: 'relay CPU s', digits: 2 },
} as const satisfies Record<string, Metric>

/** One large file, from a program that sends to the one that receives, into memory. */
export async function fileEndToEnd(bench: Bench, subject: Subject): Promise<Numbers> {
  return endToEnd(bench, subject, await makeFile(bench.files, bench.isQuick ? GIB / 4 : GIB), digest)
}

/** A folder of many small files. */
export async function folderEndToEnd(bench: Bench, subject: Subject): Promise<Numbers> {
  const folder = makeFolder(bench.files, bench.isQuick ? FILES / 10 : FILES, FILE_BYTES)
  return endToEnd(bench, subject, folder, folderDigest)
}

/** The seconds run from the receiver's start to the end of both; the CPU is of everything that each end did. */
async function endToEnd(
  bench: Bench,
  subject: Subject,
  path: string,
  digestOf: (path: string) => Promise<string>,
): Promise<Numbers> {
  const tool = TOOLS[subject.name]
  if (tool === undefined) throw new Error(`Expected a tool, got ${subject.name}`)
  return withSubject(bench, subject, undefined, async (relay) => {
    const helper = tool.helper && (await startSubject(tool.helper))
    try {
      // Some senders write into the folder they are started in.
      const [origin, target] = [
        emptyFolder(join(bench.files, 'sent-from')),
        emptyFolder(join(bench.files, 'received-in')),
      ]
      const code = `${randomInt(1000, 9999)}-bench-${randomInt(1e9)}`
      const stage = {
        essDist: bench.essDist,
        relayPort: relay.port,
        helperPort: helper?.port ?? 0,
        code,
      }
      const start = (folder: string, { variables, ...command }: End) =>
        startTimed(bench.programs, command, {
          home: bench.scratch,
          folder,
          temporary: bench.files,
          ...(variables && { variables }),
        })
      const serverCpu = () => relay.cpuSeconds() + (helper?.cpuSeconds() ?? 0)
      const before = serverCpu()
      const began = performance.now()
      const sender = start(origin, tool.send(stage, path))
      let readyS = Number.NaN
      const { sent, received, seconds } = await both(sender, async () => {
        const words = await sender.heard(tool.ready)
        readyS = (performance.now() - began) / 1000
        await sleep(HANDED_ON_MS)
        return start(target, tool.get(stage, words))
      })
      const relayCpu = serverCpu() - before
      if ((await digestOf(join(target, basename(path)))) !== (await digestOf(path)))
        throw new Error('wrong bytes at the receiver')
      emptyFolder(target)
      return {
        wallS: seconds,
        readyS,
        sendCpu: sent.cpuSeconds,
        getCpu: received.cpuSeconds,
        relayCpu,
        // Not shown, but kept with the results.
        sendMiB: sent.peakBytes / MIB,
        getMiB: received.peakBytes / MIB,
      }
    } finally {
      await helper?.stop()
    }
  })
}
