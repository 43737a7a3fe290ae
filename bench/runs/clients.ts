import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { withSubject } from '../carry.js'
import { digest, makeFile } from '../files.js'
import { type Client, PAIRINGS, type Pairing } from '../pairings.js'
import { type Bench, GIB, type Numbers } from '../scenario.js'
import { BUNDLE } from '../starts.js'
import type { Command } from '../subject-process.js'
import type { Subject } from '../subjects.js'
import { both, startTimed } from '../timed.js'

/**
 * A file from one client to another: the CPU of each for a GiB, beyond what a byte costs, since to start Node
 * costs the same for a small file as for a large one, and is shown by itself.
 */
export async function clients(bench: Bench, subject: Subject): Promise<Numbers> {
  const pairing = PAIRINGS[subject.name]
  if (pairing === undefined) throw new Error(`Expected a pairing, got ${subject.name}`)
  const bytes = bench.isQuick ? GIB / 2 : GIB
  const large = await makeFile(bench.files, bytes)
  const tiny = await makeFile(bench.files, 1)
  return withSubject(bench, subject, undefined, async ({ port }) => {
    const server = `http://127.0.0.1:${port}`
    const start = await transfer(bench, pairing, server, tiny)
    const whole = await transfer(bench, pairing, server, large)
    const gib = bytes / GIB
    return {
      sendCpuPerGiB: (whole.sendCpu - start.sendCpu) / gib,
      getCpuPerGiB: (whole.getCpu - start.getCpu) / gib,
      sendStart: start.sendCpu,
      getStart: start.getCpu,
    }
  })
}

async function transfer(bench: Bench, { sender, receiver }: Pairing, server: string, file: string) {
  const target = join(bench.files, 'received')
  rmSync(target, { force: true })
  const surroundings = { home: bench.scratch }
  const send = startTimed(bench.programs, sendCommand(bench, sender, server, file), surroundings)
  const { sent, received } = await both(send, async () => {
    const url = await send.heard(/^http\S+(?=\n)/m)
    return startTimed(bench.programs, getCommand(bench, receiver, url, target), surroundings)
  })
  if ((await digest(target)) !== (await digest(file))) throw new Error('wrong bytes in the file received')
  return { sendCpu: sent.cpuSeconds, getCpu: received.cpuSeconds }
}

function sendCommand({ essDist }: Bench, client: Client, server: string, file: string): Command {
  return client === 'curl'
    ? { file: 'curl', args: ['-sSN', '-T', file, `${server}/`] }
    : {
        file: process.execPath,
        args: [join(essDist, BUNDLE), 'send', '--no-progress', '--server', server, file],
      }
}

function getCommand({ essDist }: Bench, client: Client, url: string, file: string): Command {
  return client === 'curl'
    ? { file: 'curl', args: ['-sS', '-o', file, url] }
    : {
        file: process.execPath,
        args: [join(essDist, BUNDLE), 'get', '--no-progress', '-o', file, url],
      }
}
