import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { withSubject } from '../carry.js'
import { keep, stopChild } from '../child.js'
import { type Client, PAIRINGS, type Pairing } from '../pairings.js'
import { type Bench, GIB, MIB, type Numbers } from '../scenario.js'
import { BUNDLE } from '../starts.js'
import type { Command } from '../subject-process.js'
import type { Subject } from '../subjects.js'

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
  const received = join(bench.files, 'received')
  rmSync(received, { force: true })
  const send = startTimed(sendCommand(bench, sender, server, file))
  try {
    const [line] = await Promise.race([once(send.child.stdout, 'data'), send.ended])
    const url = /^http\S+/.exec(String(line))?.[0]
    if (url === undefined) throw new Error(`Expected ${sender} to print a URL, got ${line}`)
    const get = startTimed(getCommand(bench, receiver, url, received))
    try {
      const [[, sendCpu], [, getCpu]] = await Promise.all([send.ended, get.ended])
      if ((await digest(received)) !== (await digest(file)))
        throw new Error('wrong bytes in the file received')
      return { sendCpu, getCpu }
    } finally {
      await stopChild(get.child)
    }
  } finally {
    await stopChild(send.child)
  }
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

/** Runs a command under bash's `time`, which knows what a process that has ended took. */
function startTimed({ file, args }: Command) {
  // Its own words go to stderr; the one line that the sender prints is the URL.
  const script = 'TIMEFORMAT="cpu %U %S"; time "$@"'
  const child = keep(
    spawn('bash', ['-c', script, 'bash', file, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Nothing leaves the machine, whatever proxy this one is set to.
      env: { ...process.env, NO_PROXY: '*', no_proxy: '*' },
    }),
  )
  let words = ''
  child.stderr.on('data', (chunk: Buffer) => {
    words += chunk
  })
  child.stdout.resume()
  const ended = once(child, 'close').then(([status]): [undefined, number] => {
    const times = /cpu ([\d.]+) ([\d.]+)\s*$/.exec(words)
    if (status !== 0 || times === null) throw new Error(`${file}: status ${status}: ${words.trim()}`)
    return [undefined, Number(times[1]) + Number(times[2])]
  })
  // Awaited where the transfer is; a failure before that must not end the whole bench.
  ended.catch(() => undefined)
  return { child, ended }
}

async function makeFile(folder: string, bytes: number): Promise<string> {
  const file = join(folder, `file-${bytes}`)
  if (existsSync(file)) return file
  const unfinished = `${file}.unfinished`
  writeFileSync(unfinished, '')
  for (let made = 0; made < bytes; made += MIB)
    await appendFile(unfinished, randomBytes(Math.min(MIB, bytes - made)))
  renameSync(unfinished, file)
  return file
}

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file, { highWaterMark: MIB }), hash)
  return hash.digest('hex')
}
