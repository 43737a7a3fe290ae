import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withSubject } from '../carry.js'
import { keep, stopChild } from '../child.js'
import type { Bench, Numbers } from '../scenario.js'
import { STARTS } from '../starts.js'
import { median } from '../statistics.js'
import type { Subject } from '../subjects.js'

/** Starts of one run, after one that isn't counted: it brings the files into memory. */
const STARTS_PER_RUN = 5

/** From the start of the process to the first link; for a Node that has nothing to do, to its end. */
export async function start(bench: Bench, subject: Subject): Promise<Numbers> {
  const file = join(bench.files, 'small')
  writeFileSync(file, 'hello')
  return withSubject(bench, subject, undefined, async ({ port }) => {
    const program = STARTS[subject.name]
    const server = `http://127.0.0.1:${port}`
    const args =
      program === undefined ? ['-e', '0'] : [join(bench.essDist, program), 'send', '--server', server, file]
    await startOnce(args)
    const all: number[] = []
    while (all.length < STARTS_PER_RUN) all.push(await startOnce(args))
    return { linkMs: median(all) }
  })
}

async function startOnce(args: readonly string[]): Promise<number> {
  const began = performance.now()
  const child = keep(
    spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NO_PROXY: '*', no_proxy: '*' },
    }),
  )
  try {
    const first: unknown = await Promise.race([once(child.stdout, 'data'), once(child, 'close')])
    const ms = performance.now() - began
    if (args[0] !== '-e' && !/^http/.test(String(first))) throw new Error(`Expected a link, got ${first}`)
    return ms
  } finally {
    await stopChild(child)
  }
}
