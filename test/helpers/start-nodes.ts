import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setOtherNode } from './other-node.js'
import { startRedis } from './redis.js'
import { tempDir } from './temp-dir.js'

/** A secret as `--cluster-secret-file` has it. */
export async function secretFile(secret = 'a secret that all nodes of this cluster share'): Promise<string> {
  const path = join(await tempDir(), 'secret')
  await writeFile(path, `${secret}\n`, { mode: 0o600 })
  return path
}

/** The flags of a node; each call makes another cluster. */
export async function clusterFlags(redisUrl: string): Promise<readonly string[]> {
  const secret = await secretFile()
  return ['--cluster', redisUrl, '--cluster-listen', '127.0.0.1:0', '--cluster-secret-file', secret]
}

/** Starts a node of these flags, and another one to which its receivers go. Resolves with the first. */
export async function startTwo<Server extends { readonly url: string }>(
  start: (...flags: readonly string[]) => Promise<Server>,
  flags: readonly string[],
): Promise<Server> {
  const cluster = await clusterFlags((await startRedis()).url)
  const [home, other] = await Promise.all([start(...flags, ...cluster), start(...flags, ...cluster)])
  setOtherNode(home.url, other.url)
  return home
}
