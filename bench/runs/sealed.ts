import { join } from 'node:path'
import { withSubject } from '../carry.js'
import { CIPHERS, type CipherReport } from '../ciphers.js'
import { makeFile } from '../files.js'
import { type Bench, GIB, MIB, type Numbers } from '../scenario.js'
import { BUNDLE } from '../starts.js'
import type { Subject } from '../subjects.js'
import { both, startTimed } from '../timed.js'

/** `ess send` with `-e`, by the name under which it is measured; `ess` is the same without. */
export const SEALED = 'ess -e'

/** Sealed by a library that needs ten seconds for a GiB. */
const LESS_BYTES = 256 * MIB

/**
 * A large file from memory to /dev/null, from `ess` to `ess`: the CPU of each end and of the relay, and how fast it
 * went, beyond what a transfer of one byte takes. And how much memory, and how much more than for a quarter of the file.
 */
export async function sealed(bench: Bench, subject: Subject): Promise<Numbers> {
  const bytes = bench.isQuick ? GIB : 4 * GIB
  const cipher = CIPHERS[subject.name]
  if (cipher !== undefined) {
    return cipherAlone(
      bench,
      cipher,
      subject.name === 'typage' ? LESS_BYTES / (bench.isQuick ? 4 : 1) : bytes,
    )
  }
  const files = {
    tiny: await makeFile(bench.files, 1),
    quarter: await makeFile(bench.files, bytes / 4),
    whole: await makeFile(bench.files, bytes),
  }
  const options = subject.name === SEALED ? ['-e'] : []
  return withSubject(bench, subject, undefined, async (relay) => {
    const server = `http://127.0.0.1:${relay.port}`
    const start = await transfer(bench, server, options, files.tiny)
    const quarter = await transfer(bench, server, options, files.quarter)
    const relayBefore = relay.cpuSeconds()
    const whole = await transfer(bench, server, options, files.whole)
    const gib = bytes / GIB
    return {
      sendCpuPerGiB: (whole.sent.cpuSeconds - start.sent.cpuSeconds) / gib,
      getCpuPerGiB: (whole.received.cpuSeconds - start.received.cpuSeconds) / gib,
      relayCpuPerGiB: (relay.cpuSeconds() - relayBefore) / gib,
      gibPerS: gib / (whole.seconds - start.seconds),
      sendMiB: whole.sent.peakBytes / MIB,
      getMiB: whole.received.peakBytes / MIB,
      sendGrownMiB: (whole.sent.peakBytes - quarter.sent.peakBytes) / MIB,
      getGrownMiB: (whole.received.peakBytes - quarter.received.peakBytes) / MIB,
      // Not shown, but kept with the results.
      seconds: whole.seconds,
      sendStart: start.sent.cpuSeconds,
      getStart: start.received.cpuSeconds,
      startSeconds: start.seconds,
    }
  })
}

function transfer({ programs, essDist, scratch }: Bench, server: string, options: string[], file: string) {
  const ess = (...args: readonly string[]) =>
    startTimed(
      programs,
      { file: process.execPath, args: [join(essDist, BUNDLE), ...args] },
      { home: scratch },
    )
  const sender = ess('send', '--no-progress', ...options, '--server', server, file)
  return both(sender, async () =>
    ess('get', '--no-progress', '-o', '/dev/null', await sender.heard(/^http\S+(?=\n)/m)),
  )
}

/** Sealing stands in the sender's column, opening in the receiver's; the speed is the slower one's, as in a transfer. */
async function cipherAlone({ programs, scratch }: Bench, script: string, bytes: number): Promise<Numbers> {
  const command = {
    file: process.execPath,
    args: [join(import.meta.dirname, '..', script), String(bytes)],
  }
  const alone = startTimed(programs, command, { home: scratch })
  try {
    // The script is ours, and prints exactly this.
    const { seal, open } = JSON.parse(await alone.heard(/^\{.*\}(?=\n)/m)) as CipherReport
    await alone.ended
    const gib = bytes / GIB
    return {
      sendCpuPerGiB: seal.cpuSeconds / gib,
      getCpuPerGiB: open.cpuSeconds / gib,
      gibPerS: gib / Math.max(seal.seconds, open.seconds),
    }
  } finally {
    await alone.stop()
  }
}
