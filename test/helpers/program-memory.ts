import { readdir, readFile } from 'node:fs/promises'

/** A process, as /proc has it. */
interface Running {
  readonly pid: number
  readonly parent: number
  readonly command: string
}

/**
 * The memory of a program that this process has started, with all that it has started itself, in bytes. A page that
 * several processes share counts once (PSS).
 */
export async function memoryOf(command: RegExp): Promise<number> {
  const running = await allRunning()
  const under = new Set([process.pid])
  const sizes = []
  // Parents have lower ids than their children, but for the few that begin anew from 1.
  for (let before = 0; before < under.size; ) {
    before = under.size
    for (const { pid, parent } of running) if (under.has(parent)) under.add(pid)
  }
  for (const { pid, command: words } of running)
    if (pid !== process.pid && under.has(pid) && command.test(words)) sizes.push(sizeOf(pid))
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

async function allRunning(): Promise<readonly Running[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(pids.map(lookAt))
  return found.filter((one) => one !== undefined)
}

async function lookAt(pid: string): Promise<Running | undefined> {
  try {
    const [stat, command] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ])
    // The name, in parentheses, may have anything in it.
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { pid: Number(pid), parent: Number(parent), command }
  } catch {
    // It has ended meanwhile.
    return undefined
  }
}

async function sizeOf(pid: number): Promise<number> {
  try {
    const [, kib] = /^Pss:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? []
    return 1024 * Number(kib ?? 0)
  } catch {
    // It has ended meanwhile.
    return 0
  }
}
