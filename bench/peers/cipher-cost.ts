import type { CipherCost } from '../ciphers.js'

/** What `work` costs this process, with all its threads. */
export async function costOf(work: () => void | Promise<void>): Promise<CipherCost> {
  const began = performance.now()
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return { seconds: (performance.now() - began) / 1000, cpuSeconds: (user + system) / 1e6 }
}
