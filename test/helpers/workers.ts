import { readFile } from 'node:fs/promises'
import { startServerIn, type TestServer } from './start-server.js'
import { until } from './within.js'

/** A server of several workers. */
export interface WorkersServer extends TestServer {
  /** The process ids of its workers that live. */
  workers(): Promise<number[]>
  /** Waits until that many live, without those in `gone`. */
  untilWorkers(count: number, gone?: readonly number[]): Promise<number[]>
}

/** Starts the real `ess-server` with two workers. */
export async function startWorkers(...flags: readonly string[]): Promise<WorkersServer> {
  const server = await startServerIn({ ESS_WORKERS: '2' }, ...flags)
  const workers = () => childrenOf(server.pid)
  return {
    ...server,
    workers,
    untilWorkers: async (count, gone = []) => {
      await until(`${count} workers live`, async () => {
        const alive = await workers()
        return alive.length === count && alive.every((pid) => !gone.includes(pid))
      })
      return await workers()
    },
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const list = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return list.trim().split(/\s+/).filter(Boolean).map(Number)
}

/** The CPU time that a process and its threads have taken, in clock ticks of 10 ms. */
export async function cpuTicksOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name may have spaces; the fields after it are counted from the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** Which part of the whole this is. */
export function shareOf(part: number, whole: readonly number[]): number {
  return part / whole.reduce((sum, one) => sum + one, 0)
}
